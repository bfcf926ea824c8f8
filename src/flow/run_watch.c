/* What the event loop watches for a run. */
#include "flow/run_loop_impl.h"

#include <stdlib.h>
#include <string.h>

/* What is to be watched, put together anew. */
struct interests {
	struct interest v[INTERESTS_MAX];
	size_t count;
};

static struct interest *
find(struct interest *v, size_t count, int fd)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (v[i].fd == fd)
			return &v[i];
	return NULL;
}

static void
add(struct interests *set, struct interest more)
{
	struct interest *known = find(set->v, set->count, more.fd);

	if (known == NULL)
		set->v[set->count++] = more;
	else
		known->events |= more.events;
}

static size_t
leg_pollfds(const struct leg *leg, struct pollfd *fds)
{
	if (leg == NULL || leg->state != LEG_RUNNING || leg->ready ||
	    leg->want == SK_OK || leg->waits == NULL)
		return 0;
	return sock_pollfds(leg->waits, (enum sk_side)leg->side,
	    (enum sk_result)leg->want, fds);
}

static void
wanted(const struct stage *s, struct interests *now)
{
	struct pollfd fds[SK_POLLFDS_MAX];
	size_t i, j, n;

	now->count = 0;
	for (i = 0; i < STAGE_WATCHED; i++)
		fds[i] = (struct pollfd){ .fd = -1 };
	if (s->judge != NULL && s->judge->watched != NULL) {
		s->judge->watched(s, fds);
		for (i = 0; i < STAGE_WATCHED; i++)
			if (fds[i].fd != -1)
				add(now, (struct interest){ .fd = fds[i].fd,
				    .events = fds[i].events });
	}
	for (i = 0; i < STAGE_LEGS; i++) {
		n = leg_pollfds(s->legs[i], fds);
		for (j = 0; j < n; j++)
			add(now, (struct interest){ fds[j].fd,
			    sock_generation(s->legs[i]->waits),
			    fds[j].events });
	}
}

static struct interest *
watched_now(struct run_loop_part *p)
{
	return p->more != NULL ? p->more : p->few;
}

static bool
keep(struct run_loop_part *p, const struct interests *now, struct err *e)
{
	struct interest *more = NULL;

	if (now->count > INTERESTS_FEW) {
		more = malloc(now->count * sizeof(*more));
		if (more == NULL) {
			err_no_memory(e);
			return false;
		}
	}
	free(p->more);
	p->more = more;
	p->count = now->count;
	memcpy(watched_now(p), now->v, now->count * sizeof(*now->v));
	return true;
}

void
run_loop_ready(struct run *r, int fd, short events)
{
	struct pollfd fds[SK_POLLFDS_MAX];
	size_t i, j, n;

	for (i = 0; i < STAGE_LEGS; i++) {
		n = leg_pollfds(r->stage->legs[i], fds);
		for (j = 0; j < n; j++)
			if (fds[j].fd == fd && (events & (fds[j].events |
			    POLLERR | POLLHUP | POLLNVAL)) != 0)
				r->stage->legs[i]->ready = true;
	}
}

void
run_loop_forget(struct run *r)
{
	struct run_loop_part *p = r->loop;
	size_t i;

	for (i = 0; i < p->count; i++)
		loop_forget(p->runner->loop, watched_now(p)[i].fd, r);
	p->count = 0;
}

bool
run_loop_watch(struct run *r, struct err *e)
{
	struct run_loop_part *p = r->loop;
	struct loop *l = p->runner->loop;
	const struct interest *old = watched_now(p), *still;
	struct interests now;
	size_t i;

	wanted(r->stage, &now);
	if (now.count == p->count &&
	    memcmp(now.v, old, now.count * sizeof(*old)) == 0)
		return true;
	for (i = 0; i < p->count; i++) {
		still = find(now.v, now.count, old[i].fd);
		if (still == NULL || still->generation != old[i].generation)
			loop_forget(l, old[i].fd, r);
	}
	p->count = 0;
	for (i = 0; i < now.count; i++) {
		if (loop_watch(l, now.v[i].fd, (short)now.v[i].events, r, e))
			continue;
		if (e->code != ERR_NONE)
			return false;
		/* Always ready: whoever wants it need not wait. */
		run_loop_ready(r, now.v[i].fd, (short)now.v[i].events);
	}
	return keep(p, &now, e);
}
