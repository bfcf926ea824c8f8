#ifndef HAUL_CLI_SESSION_H
#define HAUL_CLI_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/options.h"
#include "flow/relay.h"
#include "sock/sock.h"

/*
 * From options to a connected socket and through the relay: what the four
 * subcommands share. Calls return SK_OK, SK_INTERRUPTED, or SK_ERROR with *e.
 */
struct session {
	const struct opt_command *cmd;
	const struct common_options *common;
	const struct dial_options *dial;	/* NULL: never connects */
	const struct bind_options *bind;	/* NULL: never listens */
	bool listens;
	bool stays;		/* goes on listening after a connection */
	bool retries;		/* --retry-for means broken transfers, too */
	struct sock *listener;	/* NULL: not listening */
	enum sk_mode mode;
	int64_t deadline_ns;			/* of the run */
	struct addr addr;
	char source_port[ADDR_PORT_MAX];
	struct sock_config config;
};

/*
 * Check the options against each other and set the session up; listens and
 * default_mode are the subcommand's. *used is the number of operands that made
 * the address.
 */
bool session_init(struct session *s, char *const *operands, bool listens,
    enum sk_mode default_mode, int *used, struct err *e);

/* Whether there is no operand at rest; a usage error if there is. */
bool session_no_more(const struct session *s, char *const *rest,
    struct err *e);

/*
 * Connect, as often as --retry-for allows, or listen and accept one. Called
 * again, a session that stays accepts the next one.
 */
enum sk_result session_establish(struct session *s, struct sock **peer,
    struct err *e);

/*
 * The same after a connection has broken, until a time. SK_TIMEOUT, or SK_ERROR
 * with *e: nobody was there.
 */
enum sk_result session_resume(struct session *s, int64_t until_ns,
    struct sock **peer, struct err *e);

/* Stop listening. */
void session_end(struct session *s);

/* Listen and tell so. */
enum sk_result session_listen(struct session *s, struct sock **listener,
    struct err *e);

/* Wait for the first datagram at a listener, if --accept-timeout is given. */
enum sk_result session_await_datagram(struct session *s,
    struct sock *listener, struct err *e);

/*
 * Relay between in, out (NULL: that direction is not used) and the peer, which
 * is closed in any case. config needs the fields of its subcommand only.
 */
enum sk_result session_relay(struct session *s, struct relay_config *config,
    struct sock *in, struct sock *out, struct sock **peer, struct err *e);

/* The unit for --datagram, with in as the input. */
enum pump_unit session_unit(enum datagram_unit unit, const struct sock *in);

/*
 * What --help, --version and --sockopt help ask for, on standard output; true
 * if there was one of them.
 */
bool session_told(const struct opt_command *cmd,
    const struct common_options *common);

#endif
