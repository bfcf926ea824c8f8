/*
 * The non-blocking mode: all legs of all runs in one thread, and one event
 * loop. Runs that have something to do stand in a queue; the others wait for
 * descriptors, or for a time, in a heap of their wake-up times.
 */
#include "flow/run_loop_impl.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/intr.h"

enum {
	EVENTS_MAX = 64,
	NOWHERE = -1,		/* not in the heap */
};

/* The queue. */

static void
enqueue(struct run *r)
{
	struct run_loop_part *p = r->loop;
	struct runner_of_loop *l = p->runner;

	if (p->in_queue)
		return;
	p->in_queue = true;
	p->before = l->last;
	p->behind = NULL;
	if (l->last != NULL)
		l->last->loop->behind = r;
	else
		l->first = r;
	l->last = r;
}

static void
dequeue(struct run *r)
{
	struct run_loop_part *p = r->loop;
	struct runner_of_loop *l = p->runner;

	if (!p->in_queue)
		return;
	if (p->before != NULL)
		p->before->loop->behind = p->behind;
	else
		l->first = p->behind;
	if (p->behind != NULL)
		p->behind->loop->before = p->before;
	else
		l->last = p->before;
	p->in_queue = false;
}

void
run_loop_wake(struct run *r, int leg)
{
	if (r->stage->legs[leg] != NULL)
		r->stage->legs[leg]->ready = true;
	run_loop_news(r);
}

void
run_loop_news(struct run *r)
{
	if (r->loop != NULL)
		enqueue(r);
}

/* The heap. */

static void
put(struct runner_of_loop *l, int at, struct run *r)
{
	l->heap[at] = r;
	r->loop->heap_at = at;
}

static void
sift(struct runner_of_loop *l, int at, struct run *r)
{
	int64_t wake_ns = r->loop->wake_ns;
	int child;

	for (; at > 0 && l->heap[(at - 1) / 2]->loop->wake_ns > wake_ns;
	    at = (at - 1) / 2)
		put(l, at, l->heap[(at - 1) / 2]);
	for (; (child = 2 * at + 1) < l->heap_count; at = child) {
		if (child + 1 < l->heap_count &&
		    l->heap[child + 1]->loop->wake_ns <
		    l->heap[child]->loop->wake_ns)
			child++;
		if (l->heap[child]->loop->wake_ns >= wake_ns)
			break;
		put(l, at, l->heap[child]);
	}
	put(l, at, r);
}

static void
sleep_no_more(struct run *r)
{
	struct runner_of_loop *l = r->loop->runner;
	int at = r->loop->heap_at;
	struct run *last;

	if (at == NOWHERE)
		return;
	r->loop->heap_at = NOWHERE;
	last = l->heap[--l->heap_count];
	if (last != r)
		sift(l, at, last);
}

/* There is room in the heap for every run: runner_add has made it. */
static void
sleep_until(struct run *r, int64_t wake_ns)
{
	struct runner_of_loop *l = r->loop->runner;

	if (wake_ns == CLOCK_NEVER) {
		sleep_no_more(r);
		return;
	}
	if (r->loop->heap_at != NOWHERE && r->loop->wake_ns == wake_ns)
		return;
	r->loop->wake_ns = wake_ns;
	sift(l, r->loop->heap_at != NOWHERE ? r->loop->heap_at :
	    l->heap_count++, r);
}

static void
happened(const struct loop_event *ev)
{
	struct run *r = ev->tag;
	const struct judge *judge = r->stage->judge;

	run_loop_ready(r, ev->fd, ev->events);
	if (judge != NULL && judge->event != NULL)
		judge->event(r->stage, ev->fd, ev->events);
	enqueue(r);
}

/* The turn of a run. */

static int64_t
leg_wake_ns(const struct leg *leg)
{
	if (leg == NULL || leg->state != LEG_RUNNING)
		return CLOCK_NEVER;
	if (leg->ready)
		return 0;
	return leg->waits != NULL ?
	    sock_wake_ns(leg->waits, (enum sk_side)leg->side) : leg->wake_ns;
}

/* Step what is due. False: interrupted. */
static bool
step(struct stage *s)
{
	struct err e = { .code = ERR_NONE };
	enum sk_result result;
	struct leg *leg;
	int64_t wake_ns;
	int i;

	for (i = 0; i < STAGE_LEGS; i++) {
		leg = s->legs[i];
		wake_ns = leg_wake_ns(leg);
		if (wake_ns == CLOCK_NEVER ||
		    (wake_ns > 0 && clock_now_ns() < wake_ns))
			continue;
		/* A wake during the step is for the next one. */
		leg->ready = false;
		result = leg->step(leg, &e);
		if (leg->ready && (result == SK_WANT_READ ||
		    result == SK_WANT_WRITE))
			result = SK_OK;
		if (!run_leg_stopped(leg, result, &e))
			return false;
	}
	return true;
}

static void
part_free(struct run *r)
{
	free(r->loop->more);
	free(r->loop);
	r->loop = NULL;
}

static void
end(struct run *r, enum sk_result result, struct err *e)
{
	struct runner_of_loop *l = r->loop->runner;
	struct run_loop_part *p = r->loop;

	sleep_no_more(r);
	dequeue(r);
	if (p->previous != NULL)
		p->previous->loop->next = p->next;
	else
		l->all = p->next;
	if (p->next != NULL)
		p->next->loop->previous = p->previous;
	l->count--;
	part_free(r);
	if (r->over != NULL)
		r->over(r, result, e);
	else {
		l->result = result;
		err_move(&l->err, e);
	}
	err_clear(e);
}

/* The stage is over, with result. */
static void
next_stage(struct run *r, enum sk_result result, struct err *e)
{
	run_loop_forget(r);
	if (!run_next(r, &result, e)) {
		end(r, result, e);
		return;
	}
	err_clear(e);
	r->stage->run = r;
	enqueue(r);
}

static void
turn(struct run *r)
{
	struct err e = { .code = ERR_NONE };
	enum sk_result result = SK_ERROR;
	int64_t wake_ns;
	int i;

	if (!step(r->stage)) {
		next_stage(r, SK_INTERRUPTED, &e);
		return;
	}
	if (!run_goes_on(r->stage, &wake_ns, &result, &e) ||
	    !run_loop_watch(r, &e)) {
		next_stage(r, result, &e);
		return;
	}
	for (i = 0; i < STAGE_LEGS; i++)
		wake_ns = clock_min_ns(wake_ns, leg_wake_ns(r->stage->legs[i]));
	if (wake_ns == 0)
		enqueue(r);
	sleep_until(r, wake_ns == 0 ? CLOCK_NEVER : wake_ns);
}

/* A round: everybody who stands in the queue now. */
static void
take_turns(struct runner_of_loop *l)
{
	struct run *last = l->last, *r;
	bool is_last;

	if (last == NULL)
		return;
	do {
		r = l->first;
		dequeue(r);
		is_last = r == last;
		turn(r);
	} while (!is_last && l->first != NULL);
}

static void
wake_sleepers(struct runner_of_loop *l)
{
	struct run *r;

	while (l->heap_count > 0 &&
	    l->heap[0]->loop->wake_ns <= clock_now_ns()) {
		r = l->heap[0];
		sleep_no_more(r);
		enqueue(r);
	}
}

static int64_t
next_wake(const struct runner_of_loop *l, int64_t deadline_ns)
{
	if (l->first != NULL)
		return 0;
	return l->heap_count == 0 ? deadline_ns :
	    clock_min_ns(deadline_ns, l->heap[0]->loop->wake_ns);
}

static enum sk_result
loop_wait_all(struct runner *runner, int64_t deadline_ns, struct err *e)
{
	struct runner_of_loop *l = (struct runner_of_loop *)runner;
	struct loop_event events[EVENTS_MAX];
	int i, n;

	(void)e;
	for (;;) {
		take_turns(l);
		if (l->all == NULL || l->stopped)
			return intr_signal() != 0 ? SK_INTERRUPTED : SK_OK;
		if (deadline_ns != CLOCK_NEVER &&
		    clock_now_ns() >= deadline_ns)
			return SK_TIMEOUT;
		n = loop_wait(l->loop, next_wake(l, deadline_ns), events,
		    EVENTS_MAX);
		if (n < 0)
			return SK_INTERRUPTED;
		for (i = 0; i < n; i++)
			happened(&events[i]);
		wake_sleepers(l);
	}
}

static struct runner *
loop_new_runner(struct err *e)
{
	struct runner_of_loop *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		err_no_memory(e);
		return NULL;
	}
	l->runner.type = &runner_loop;
	l->loop = loop_new(e);
	if (l->loop == NULL) {
		free(l);
		return NULL;
	}
	return &l->runner;
}

/* Room in the heap for one run more than there are. */
static bool
make_room(struct runner_of_loop *l)
{
	struct run **heap;
	int size;

	if (l->count < l->heap_size)
		return true;
	size = l->heap_size > 0 ? 2 * l->heap_size : EVENTS_MAX;
	heap = realloc(l->heap, (size_t)size * sizeof(struct run *));
	if (heap == NULL)
		return false;
	l->heap = heap;
	l->heap_size = size;
	return true;
}

static bool
loop_add(struct runner *runner, struct run *r, struct err *e)
{
	struct runner_of_loop *l = (struct runner_of_loop *)runner;

	r->loop = calloc(1, sizeof(*r->loop));
	if (r->loop == NULL || !make_room(l)) {
		free(r->loop);
		r->loop = NULL;
		err_no_memory(e);
		return false;
	}
	r->loop->runner = l;
	r->loop->heap_at = NOWHERE;
	r->loop->next = l->all;
	if (l->all != NULL)
		l->all->loop->previous = r;
	l->all = r;
	l->count++;
	r->stage->run = r;
	enqueue(r);
	return true;
}

static void
loop_stop(struct runner *runner)
{
	((struct runner_of_loop *)runner)->stopped = true;
}

static void
loop_free_runner(struct runner *runner)
{
	struct runner_of_loop *l = (struct runner_of_loop *)runner;
	struct err e = { .code = ERR_NONE };
	enum sk_result result;
	struct run *r;

	while ((r = l->all) != NULL) {
		run_loop_forget(r);
		do
			result = SK_INTERRUPTED;
		while (run_next(r, &result, &e));
		end(r, result, &e);
	}
	err_clear(&l->err);
	loop_free(l->loop);
	free(l->heap);
	free(l);
}

const struct runner_type runner_loop = {
	loop_new_runner, loop_add, loop_wait_all, loop_stop, loop_free_runner,
};

enum sk_result
run_loop_alone(struct run *r, struct err *e)
{
	struct runner_of_loop *l;
	enum sk_result result;

	l = (struct runner_of_loop *)loop_new_runner(e);
	if (l == NULL || !loop_add(&l->runner, r, e)) {
		runner_free(l != NULL ? &l->runner : NULL);
		result = SK_ERROR;
		(void)run_next(r, &result, e);
		return result;
	}
	result = loop_wait_all(&l->runner, CLOCK_NEVER, e);
	if (result == SK_OK) {
		result = l->result;
		err_move(e, &l->err);
	}
	runner_free(&l->runner);
	return result;
}
