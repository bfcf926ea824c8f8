#ifndef HAUL_FLOW_RELAY_H
#define HAUL_FLOW_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/pump.h"
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
	int64_t idle_ns;	/* --idle-timeout; -1: none */
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

#endif
