#ifndef HAUL_FLOW_RELAY_H
#define HAUL_FLOW_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/pump.h"
#include "flow/run.h"
#include "sock/sock.h"

/*
 * Two directions between our end (an input and an output) and a peer. Neither
 * waits for the other. When each has ended, the peer is closed in order; when
 * one breaks, what has come is delivered first.
 */
struct relay_config {
	enum sk_mode mode;
	enum pump_unit unit;	/* of what is sent */
	bool crlf;
	bool hold;		/* no half-close at the end of input */
	bool no_move;		/* no moving inside the kernel */
	/*
	 * Done when our direction has ended, is acknowledged and the peer is
	 * silent, instead of when both have ended.
	 */
	bool send_only;
	/*
	 * Our end is one connection: input and output are the same socket, and
	 * it is closed in order as well.
	 */
	bool joined;
	/*
	 * Our end is a command: when its output has ended and is sent, so is
	 * the relay, and that it does not read its input is no failure. When
	 * child (a socket of child.h, non-blocking) has ended, so has its
	 * output, whatever it has left running.
	 */
	bool command;
	struct sock *child;
	int64_t line_delay_ns;	/* between lines that are sent; 0: none */
	int64_t idle_ns;	/* --idle-timeout; -1: none */
	bool idle_ends;		/* ...which is an end in order */
	int64_t linger_ns;	/* --linger; -1: none */
	int64_t deadline_ns;	/* of the run; CLOCK_NEVER: none */
	/*
	 * Told when a peer begins to refuse datagrams while there is input;
	 * the final error is quiet then. NULL: nobody.
	 */
	void (*on_refusal)(const struct err *refusal);
};

struct relay_counts {
	uint64_t sent, received;
};

/*
 * Relay until the end. in: NULL: nothing is sent; out: NULL: what the peer
 * sends is not read at all. *peer is closed and NULL after SK_OK; else it is
 * the caller's, to be aborted. SK_OK, SK_INTERRUPTED, or SK_ERROR with *e.
 */
enum sk_result relay_run(const struct relay_config *config, struct sock *in,
    struct sock *out, struct sock **peer, struct relay_counts *counts,
    struct err *e);

/*
 * The same as a part of a longer run: first relay_stage, then, if that was
 * SK_OK, relay_closing, which leaves *peer (and in, if joined) closed and NULL.
 * config, in and peer stay the caller's, and must stay where they are until
 * relay_free. NULL with *e filled without memory.
 */
struct relay;
struct relay *relay_new(const struct relay_config *config, struct sock **in,
    struct sock *out, struct sock **peer, struct err *e);
struct stage *relay_stage(struct relay *r);
struct stage *relay_closing(struct relay *r);
void relay_free(struct relay *r);	/* NULL is ignored */

#endif
