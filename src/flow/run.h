#ifndef HAUL_FLOW_RUN_H
#define HAUL_FLOW_RUN_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "sock/sock.h"

/*
 * Two legs that run side by side and whoever looks after them. A leg is one
 * direction of a relay or of a transfer. In blocking mode each leg has a thread
 * of its own, asleep in its own call; in non-blocking mode both are stepped by
 * one event loop. The legs and the judge are the same for both.
 */
enum leg_state {
	LEG_ABSENT,
	LEG_RUNNING,
	LEG_ENDED,
	LEG_FAILED,
};

struct leg {
	enum leg_state state;
	void *owner;
	/*
	 * Go on until done, or something is wanted, or enough was done for a
	 * while: SK_EOF (done), SK_OK (to be continued), a want of waits and
	 * side, SK_TIMEOUT, SK_INTERRUPTED, SK_ERROR (*e filled).
	 */
	enum sk_result (*step)(struct leg *, struct err *e);
	struct sock *waits;	/* after a want or failure: whose call it was */
	enum sk_side side;	/* ...and of which side */
	struct err err;		/* why it failed */
};

enum verdict {
	VERDICT_GO_ON,
	VERDICT_FINISH,
	VERDICT_FAIL,		/* the error is filled */
};

enum {
	RUN_LEGS = 2,
	RUN_WATCHED = 2,	/* what the owner watches */
	RUN_SOCKS = 4,
};

struct run {
	void *owner;		/* of the run, for itself... */
	const void *context;	/* ...and what it needs besides */
	enum sk_mode mode;
	struct leg *legs[RUN_LEGS];
	/* Every socket that a leg may wait for; NULL: none. */
	struct sock *socks[RUN_SOCKS];
	/*
	 * To be set when the judge has something new to look at (blocking
	 * mode; NULL otherwise). It is set when a leg stops.
	 */
	struct latch *news;
	/* A leg whose want no longer holds: the loop steps it again. */
	bool wake[RUN_LEGS];
	/*
	 * Where the run stands: asked whenever a leg has stopped, there is
	 * news, and when *wake_ns has come, which is set if it goes on.
	 */
	enum verdict (*judge)(struct run *, int64_t *wake_ns, struct err *e);
	/*
	 * Descriptors that the owner watches besides (-1: none), and what
	 * poll(2) has told of one.
	 */
	void (*watched)(const struct run *, struct pollfd *fds);
	void (*event)(struct run *, int fd, short revents);
};

/*
 * Run the legs until the verdict is FINISH (SK_OK) or FAIL (SK_ERROR), or an
 * interruption (SK_INTERRUPTED). What is left in a failed leg's err is the
 * judge's to take; run_release frees the rest.
 */
enum sk_result run_legs(struct run *r, struct err *e);
void run_release(struct run *r);

#endif
