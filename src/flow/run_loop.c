/* The non-blocking mode: both legs in one thread, and one event loop. */
#include "flow/run_impl.h"

#include <poll.h>

#include "base/clock.h"
#include "flow/loop.h"

enum {
	EVENTS_MAX = 8,
	INTERESTS_MAX = RUN_LEGS * SK_POLLFDS_MAX + RUN_WATCHED,
};

/* What is polled for one leg or watched by the owner. */
struct interest {
	int fd;
	unsigned generation;	/* of its socket */
	short events;
};

struct interests {
	struct interest v[INTERESTS_MAX];
	size_t count;
};

static struct interest *
find(struct interests *set, int fd)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		if (set->v[i].fd == fd)
			return &set->v[i];
	return NULL;
}

static void
add(struct interests *set, struct interest more)
{
	struct interest *known = find(set, more.fd);

	if (known == NULL)
		set->v[set->count++] = more;
	else
		known->events = (short)(known->events | more.events);
}

struct runner {
	struct leg *leg;
	bool ready;		/* worth a step */
	struct interests wants;
	int64_t wake_ns;
};

/* Step a leg and note what it waits for. False: interrupted. */
static bool
step(struct runner *run)
{
	struct pollfd fds[SK_POLLFDS_MAX];
	struct leg *leg = run->leg;
	struct err e = { 0 };
	enum sk_result r;
	size_t i, n;

	run->wants.count = 0;
	run->wake_ns = CLOCK_NEVER;
	r = leg->step(leg, &e);
	run->ready = r == SK_OK;
	if (r == SK_WANT_READ || r == SK_WANT_WRITE) {
		n = sock_pollfds(leg->waits, leg->side, r, fds);
		for (i = 0; i < n; i++)
			add(&run->wants, (struct interest){ fds[i].fd,
			    sock_generation(leg->waits), fds[i].events });
		run->wake_ns = sock_wake_ns(leg->waits, leg->side);
	}
	return run_leg_stopped(leg, r, &e);
}

static void
wanted(const struct run *r, const struct runner *runs, struct interests *now)
{
	struct pollfd fds[RUN_WATCHED];
	size_t i, j;

	now->count = 0;
	for (i = 0; i < RUN_LEGS; i++)
		if (runs[i].leg->state == LEG_RUNNING && !runs[i].ready)
			for (j = 0; j < runs[i].wants.count; j++)
				add(now, runs[i].wants.v[j]);
	r->watched(r, fds);
	for (i = 0; i < RUN_WATCHED; i++)
		if (fds[i].fd != -1)
			add(now, (struct interest){ .fd = fds[i].fd,
			    .events = fds[i].events });
}

/*
 * Tell the loop what is wanted now. Descriptors that nobody wants are taken
 * out, as a hang-up would be reported for ever.
 */
static bool
watch(const struct run *r, struct loop *l, struct runner *runs,
    struct interests *old, struct err *e)
{
	struct interests now;
	const struct interest *still;
	size_t i;
	int k;

	wanted(r, runs, &now);
	for (i = 0; i < old->count; i++) {
		still = find(&now, old->v[i].fd);
		if (still == NULL ||
		    still->generation != old->v[i].generation)
			loop_forget(l, old->v[i].fd);
	}
	for (i = 0; i < now.count; i++) {
		if (loop_watch(l, now.v[i].fd, now.v[i].events, NULL, e))
			continue;
		if (e->code != ERR_NONE)
			return false;
		/* Always ready: whoever wants it need not wait. */
		for (k = 0; k < RUN_LEGS; k++)
			if (find(&runs[k].wants, now.v[i].fd) != NULL)
				runs[k].ready = true;
	}
	*old = now;
	return true;
}

static void
wake(struct run *r, struct runner *runs, const struct loop_event *ev)
{
	int i;

	for (i = 0; i < RUN_LEGS; i++)
		if (find(&runs[i].wants, ev->fd) != NULL)
			runs[i].ready = true;
	r->event(r, ev->fd, ev->events);
}

static int64_t
next_wake(const struct runner *runs, int64_t wake_ns)
{
	int i;

	for (i = 0; i < RUN_LEGS; i++) {
		if (runs[i].leg->state != LEG_RUNNING)
			continue;
		if (runs[i].ready)
			return 0;
		wake_ns = clock_min_ns(wake_ns, runs[i].wake_ns);
	}
	return wake_ns;
}

static bool
is_due(const struct runner *run)
{
	return run->leg->state == LEG_RUNNING &&
	    (run->ready || clock_now_ns() >= run->wake_ns);
}

static enum sk_result
run(struct run *r, struct loop *l, struct runner *runs, struct err *e)
{
	struct loop_event events[EVENTS_MAX];
	struct interests watched = { .count = 0 };
	enum sk_result result;
	int64_t wake_ns;
	int i, n;

	for (;;) {
		for (i = 0; i < RUN_LEGS; i++)
			if (is_due(&runs[i]) && !step(&runs[i]))
				return SK_INTERRUPTED;
		if (!run_goes_on(r, &wake_ns, &result, e))
			return result;
		for (i = 0; i < RUN_LEGS; i++) {
			runs[i].ready |= r->wake[i];
			r->wake[i] = false;
		}
		if (!watch(r, l, runs, &watched, e))
			return SK_ERROR;
		n = loop_wait(l, next_wake(runs, wake_ns), events,
		    EVENTS_MAX);
		if (n < 0)
			return SK_INTERRUPTED;
		for (i = 0; i < n; i++)
			wake(r, runs, &events[i]);
	}
}

enum sk_result
run_loop(struct run *r, struct err *e)
{
	struct runner runs[RUN_LEGS];
	struct loop *l = loop_new(e);
	enum sk_result result;
	int i;

	if (l == NULL)
		return SK_ERROR;
	for (i = 0; i < RUN_LEGS; i++)
		runs[i] = (struct runner){ .leg = r->legs[i], .ready = true,
		    .wake_ns = CLOCK_NEVER };
	result = run(r, l, runs, e);
	loop_free(l);
	return result;
}
