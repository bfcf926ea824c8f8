#ifndef HAUL_CLI_SESSION_H
#define HAUL_CLI_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/options.h"
#include "flow/relay.h"
#include "sock/access.h"
#include "sock/proxy.h"
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
	bool probes;		/* operands are not one address */
	bool inherits;		/* --activate: there is no address */
	struct sock *listener;	/* NULL: not listening */
	struct access_list *access;	/* who may connect; NULL: everybody */
	struct proxy *proxy;	/* to connect through; NULL: none */
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

/* Print an error that does not end the run; *e is empty afterwards. */
void session_tell(struct err *e);

/* Stop listening; and free what the session holds. */
void session_end(struct session *s);
void session_free(struct session *s);

/*
 * As many descriptors as we may have from now on. Returns how many there were;
 * 0: unknown.
 */
uint64_t session_raise_descriptors(void);

/* A proxy's URL or @FILE, with HAUL_PROXY_AUTH; NULL with *e filled. */
struct proxy *session_proxy(const struct session *s, const char *url,
    struct err *e);

/* --limit; 0: any rate. For every connection from now on. */
void session_set_rate(struct session *s, uint64_t rate);

/* Every address of the machine, and no list of who may come. */
bool session_is_open_to_all(const struct session *s);

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

/* HAUL_NO_ZEROCOPY: nothing is to be moved inside the kernel. */
bool session_no_move(void);

/* The unit for --datagram, with in as the input. */
enum pump_unit session_unit(enum datagram_unit unit, const struct sock *in);

/*
 * What --help, --version and --sockopt help ask for, on standard output; true
 * if there was one of them.
 */
bool session_told(const struct opt_command *cmd,
    const struct common_options *common);

#endif
