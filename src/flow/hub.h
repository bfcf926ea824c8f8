#ifndef HAUL_FLOW_HUB_H
#define HAUL_FLOW_HUB_H

#include "flow/pump.h"
#include "flow/serve.h"

/*
 * The service of listen -k: what clients send goes to one output, each read
 * whole; what one input gives goes to every client that is there, or, if it is
 * a regular file, to every client from its start. And of --broker: what a
 * client sends goes to all the others.
 *
 * Nobody waits for a client that does not read: what has been given to others
 * and not to it is kept up to a bound; at the bound the source waits, and a
 * client that takes less than that in a second is dropped. (The only client of
 * an input is waited for.)
 */
struct hub_config {
	enum sk_mode mode;
	bool broker;
	enum pump_unit unit;	/* of what is sent */
	bool crlf;
	bool hold;		/* no half-close at the end of the input */
	bool no_move;		/* no moving inside the kernel */
	bool send_only;		/* drop what clients say */
	int64_t line_delay_ns;	/* 0: none */
	int64_t idle_ns;	/* --idle-timeout of a client; -1: none */
	bool idle_ends;		/* ...which is an end in order */
	int64_t linger_ns;	/* --linger; -1: none */
	int64_t deadline_ns;	/* of the run */
};

struct hub;

/*
 * in, out: NULL: none; both stay the caller's. hub_begun is for serve, with the
 * hub as its context. NULL with *e filled without memory.
 */
struct hub *hub_new(const struct hub_config *config, struct sock *in,
    struct sock *out, struct err *e);
void hub_begun(void *hub, struct server *server);
void hub_free(struct hub *h);		/* NULL is ignored */

extern const struct service hub_service;

#endif
