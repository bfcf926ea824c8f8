/*
 * How fast a socket may go: the generic cell rate algorithm, which is a token
 * bucket of one slice. What was moved takes its time from where the last one
 * ended, so that a late wake is made up for, but not a pause.
 */
#include "sock/impl.h"

#include <stdlib.h>

#include "base/clock.h"

enum { PACE_SLICES = 50 };	/* of a second */

bool
sock_may_go(struct sock *s, enum sk_side side, size_t *len)
{
	const struct sk_pace *p = s->pace;
	uint64_t slice;

	if (p == NULL)
		return true;
	if (clock_now_ns() < p->ready_ns[side]) {
		sock_pause(s, side, p->ready_ns[side], true);
		return false;
	}
	slice = p->rate / PACE_SLICES + 1;
	if (p->rate > 0 && !s->tr->datagram && *len > slice)
		*len = (size_t)slice;
	return true;
}

void
sock_went(struct sock *s, enum sk_side side, size_t len)
{
	struct sk_pace *p = s->pace;
	int64_t earliest;

	if (p == NULL || p->rate == 0)
		return;
	earliest = clock_now_ns() - CLOCK_SEC / PACE_SLICES;
	if (p->ready_ns[side] < earliest)
		p->ready_ns[side] = earliest;
	p->ready_ns[side] = clock_after_ns(p->ready_ns[side],
	    (int64_t)((double)len * (double)CLOCK_SEC / (double)p->rate));
}

bool
sock_set_pace(struct sock *s, uint64_t rate, struct err *e)
{
	if (s->pace == NULL)
		s->pace = calloc(1, sizeof(*s->pace));
	if (s->pace == NULL) {
		err_no_memory(e);
		return false;
	}
	s->pace->rate = rate;
	return true;
}

void
sock_delay(struct sock *s, enum sk_side side, int64_t until_ns)
{
	if (s->pace->ready_ns[side] < until_ns)
		s->pace->ready_ns[side] = until_ns;
}
