#ifndef HAUL_CLI_SERVICE_H
#define HAUL_CLI_SERVICE_H

#include "cli/options.h"
#include "cli/session.h"

/* What listen can do besides talking to one client. */
struct service_options {
	bool keep_open, broker, activate, accept_proxy;
	uint64_t max_clients, count;		/* 0: any number */
	const char *forward, *shell, *proxy;
	struct opt_texts allow, deny;
};

enum { SERVICE_OPTS = 11 };
extern const struct opt service_opts[SERVICE_OPTS];

/* Check the options against each other and those of the relay. */
bool service_check(const struct session *s, const struct service_options *o,
    const struct relay_options *relay, char *const *command,
    struct err *e);

/* Make the session's access list. */
bool service_access(struct session *s, const struct service_options *o,
    struct err *e);

/* Whether it takes a server, or talk will do. */
bool service_is_wanted(const struct session *s,
    const struct service_options *o, char *const *command);

/* Listen and serve. command: NULL: none. */
enum sk_result service_run(struct session *s,
    const struct service_options *o, const struct relay_options *relay,
    char *const *command, struct err *e);

/* A command on one connection that was made: connect's. */
enum sk_result service_command(struct session *s,
    const struct relay_options *relay, char *const *command,
    const char *shell, struct err *e);

#endif
