#ifndef HAUL_CLI_TRANSFERS_H
#define HAUL_CLI_TRANSFERS_H

#include "cli/session.h"
#include "transfer/transfer.h"

/*
 * Transfers of a session, with what they show: one, or one and its
 * continuations after breaks (--retry-for), or one after the other
 * (--keep-open).
 */
struct transfers {
	struct session *session;
	/* Run one over a connection, which is closed or aborted. */
	enum sk_result (*once)(struct transfers *, struct sock **peer,
	    struct transfer_result *, struct err *);
	char *const *operands;		/* send */
	struct place *place;		/* receive */
	bool keeps_open;
	uint64_t count;			/* with keeps_open; 0: any number */

	/* For once. */
	struct transfer_config config;
	struct transfer_status *status;
	enum err_code first_code;	/* with keeps_open: of what failed */
	bool began;		/* it was a transfer, and no stranger */
};

enum sk_result transfers_run(struct transfers *t,
    const struct transfer_options *options, struct err *e);

/* Options that contradict each other are a usage error. */
bool transfers_check(const struct opt_command *cmd,
    const struct transfer_options *options,
    const struct common_options *common, struct err *e);

#endif
