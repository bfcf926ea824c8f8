#ifndef HAUL_FLOW_PUMP_H
#define HAUL_FLOW_PUMP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/run.h"
#include "sock/sock.h"

/*
 * One direction: bytes from a source to a sink, then the end of input, then
 * the proof that all of it has arrived. The same steps in both modes: where
 * the sockets are blocking the calls wait, where they are not the step returns
 * what it wants.
 */
enum pump_state {
	PUMP_FLOWING,	/* until the end of the source */
	PUMP_DRAINING,	/* what was read is still to be sent */
	PUMP_SHUTTING,	/* the sink is told of the end */
	PUMP_SETTLING,	/* until the peer has acknowledged everything */
	PUMP_DONE,
};

/* How bytes become datagrams, where the sink takes datagrams. */
enum pump_unit {
	PUMP_STREAM,	/* no datagrams */
	PUMP_LINE,	/* each line, its newline included */
	PUMP_CHUNK,	/* each read; a datagram stays a datagram */
};

/* The largest UDP payload over IPv4: 65535 less 8 and 20 (RFC 768, 791). */
enum { PUMP_DATAGRAM_MAX = 65507 };

/* A refusal (ICMP) of datagrams, shared by the two directions of a relay. */
struct refusal {
	atomic_int sys;		/* errno of the last one; 0: none since */
	atomic_bool answered;	/* the peer has sent a datagram */
};

struct pump {
	/* Set by the owner before the first step. */
	struct sock *from, *to;
	enum pump_unit unit;
	bool crlf;		/* LF becomes CRLF, a CRLF stays */
	bool hold;		/* do not tell the sink of the end */
	bool no_move;		/* never inside the kernel */
	bool lossy;		/* a sink that reads no more is no failure */
	struct refusal *refusal;	/* NULL: one is an error */
	struct stage *stage;	/* told of a new state or refusal; or NULL */
	int64_t line_delay_ns;	/* between lines; to has a pace; 0: none */
	size_t size;		/* of the buffer */

	/* For the owner, also from another thread. */
	atomic_int state;		/* enum pump_state */
	_Atomic uint64_t bytes;		/* that the sink has taken */
	_Atomic int64_t moved_ns;	/* when it last took or gave some */
	_Atomic int64_t ended_ns;	/* when the source ended; 0: not yet */
	atomic_size_t pending;		/* bytes read and not yet taken */

	/* For the owner, after a step that wants or fails. */
	struct sock *waits;		/* whose call it was... */
	enum sk_side side;		/* ...and of which side */

	/* The pump's own. */
	char *buf;		/* malloc, at need */
	size_t start, end;	/* what is read and not sent */
	bool whole;		/* it is a datagram, perhaps an empty one */
	bool last_cr;
	bool drops;		/* the sink reads no more */
	unsigned char littles;	/* so often has little come, in a row */
	bool wide;		/* pipes hold as much as they can */
};

/*
 * Larger than a pipe and than the receive window of a fast connection, small
 * enough for the second-level cache; and where there are many.
 */
enum {
	PUMP_BUFFER = 256 * 1024,
	PUMP_BUFFER_SMALL = 96 * 1024,
};

/* An idle pump; zero-initialised but for what the owner sets. */
void pump_init(struct pump *p, struct sock *from, struct sock *to);

/*
 * Move until done, or something is wanted, or the budget is spent (in bytes,
 * and some for each attempt). SK_OK: to be continued: the budget is spent, or
 * the pump is about to shut the sink. SK_EOF: done. A want, SK_TIMEOUT,
 * SK_INTERRUPTED or SK_ERROR (*e filled): of p->waits, side p->side.
 */
enum sk_result pump_step(struct pump *p, size_t budget, struct err *e);

/*
 * For an owner that is the sink itself (to is NULL): the next unit, at *data.
 * SK_OK, SK_EOF at the end, or as pump_step; what was taken of it is told with
 * pump_taken before the next call.
 */
enum sk_result pump_read(struct pump *p, const char **data, size_t *len,
    struct err *e);
void pump_taken(struct pump *p, size_t len);

/* Free the buffer, whatever is in it; or if it is empty. */
void pump_release(struct pump *p);
void pump_rest(struct pump *p);

#endif
