/*
 * The blocking mode. A stage with a judge has a thread for each leg, and the
 * thread of the run looks after them; a single leg is that thread's own work.
 */
#include "flow/run_threads_impl.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/intr.h"

enum { TRIES = 16 };	/* steps of a run before it gets a thread */

void
threads_part_free(struct run_threads_part *p)
{
	int i;

	latch_close(&p->abort);
	latch_close(&p->news);
	for (i = 0; i < STAGE_LEGS; i++)
		latch_close(&p->wake[i]);
	free(p);
}

void
threads_part_release(struct run_threads_part *p)
{
	int i;

	if (p->kicked) {
		threads_part_free(p);
		return;
	}
	latch_reset(&p->abort);
	atomic_store(&p->ended, false);
	latch_reset(&p->news);
	for (i = 0; i < STAGE_LEGS; i++)
		latch_reset(&p->wake[i]);
	if (!threads_part_keep(p))
		threads_part_free(p);
}

bool
threads_part_open(struct run *r, bool kicked, struct err *e)
{
	static const struct run_threads_part closed = {
		.abort = LATCH_CLOSED, .news = LATCH_CLOSED,
		.wake = { LATCH_CLOSED, LATCH_CLOSED }
	};
	struct run_threads_part *p;
	bool ok;

	kicked = kicked && r->single && intr_holds_kicks();
	r->threads = p = kicked ? NULL : threads_part_kept(r->single);
	if (p != NULL)
		return true;
	r->threads = p = malloc(sizeof(*p));
	if (p == NULL) {
		err_no_memory(e);
		return false;
	}
	*p = closed;
	p->single = r->single;
	p->kicked = kicked;
	if (kicked)
		return true;
	ok = latch_open(&p->abort, e) && latch_open(&p->wake[0], e);
	if (!r->single)
		ok = ok && latch_open(&p->wake[1], e) &&
		    latch_open(&p->news, e);
	if (!ok) {
		threads_part_free(p);
		r->threads = NULL;
	}
	return ok;
}

/* Whoever wakes a run may do so while it ends. */
static pthread_mutex_t wake_lock = PTHREAD_MUTEX_INITIALIZER;

/* With the lock held. A kick for the first of them is enough. */
static void
wake_part(struct run_threads_part *p, struct latch *latch)
{
	if (latch_set(latch) && p->runs)
		intr_kick(p->thread);
}

void
run_threads_wake(struct run *r, int leg)
{
	(void)pthread_mutex_lock(&wake_lock);
	if (r->threads != NULL)
		wake_part(r->threads, &r->threads->wake[leg]);
	(void)pthread_mutex_unlock(&wake_lock);
}

void
threads_end(struct run *r)
{
	(void)pthread_mutex_lock(&wake_lock);
	if (r->threads != NULL) {
		atomic_store(&r->threads->ended, true);
		wake_part(r->threads, &r->threads->abort);
	}
	(void)pthread_mutex_unlock(&wake_lock);
}

/* The thread of a run begins to be kicked, or it is over. */
static void
set_runs(struct run_threads_part *p, bool runs)
{
	intr_hold_kicks(runs);
	(void)pthread_mutex_lock(&wake_lock);
	p->runs = runs;
	p->thread = pthread_self();
	(void)pthread_mutex_unlock(&wake_lock);
}

struct run_threads_part *
threads_part_detach(struct run *r)
{
	struct run_threads_part *p;

	(void)pthread_mutex_lock(&wake_lock);
	p = r->threads;
	r->threads = NULL;
	(void)pthread_mutex_unlock(&wake_lock);
	return p;
}

void
run_threads_news(struct run *r)
{
	(void)pthread_mutex_lock(&wake_lock);
	if (r->threads != NULL && atomic_load(&r->threads->solo))
		wake_part(r->threads, &r->threads->wake[0]);
	else if (r->threads != NULL)
		(void)latch_set(&r->threads->news);
	(void)pthread_mutex_unlock(&wake_lock);
}

/* Until a leg that waits for nobody is woken; false: interrupted. */
static bool
doze(struct run_threads_part *p, int i, int64_t wake_ns)
{
	struct pollfd fds[2] = {
		{ .fd = p->wake[i].fd, .events = POLLIN },
		{ .fd = p->abort.fd, .events = POLLIN },
	};

	if (!p->kicked)
		return intr_poll(fds, 2, wake_ns) >= 0;
	if (!latch_is_set(&p->wake[i]) && !latch_is_set(&p->abort))
		(void)intr_poll_kicked(NULL, 0, wake_ns);
	return true;
}

/* Wait for what a leg wants: SK_OK, or why there is nothing to wait for. */
static enum sk_result
wait_for(struct run *r, int i, enum sk_result want)
{
	const struct leg *leg = r->stage->legs[i];
	struct run_threads_part *p = r->threads;

	if (leg->waits != NULL)
		return sock_wait(leg->waits, (enum sk_side)leg->side, want);
	if (!doze(p, i, leg->wake_ns) || latch_is_set(&p->abort))
		return SK_INTERRUPTED;
	latch_reset(&p->wake[i]);
	return SK_OK;
}

/* One step of a leg, and what it waits for. */
static enum sk_result
step(struct run *r, int i, struct err *e)
{
	struct leg *leg = r->stage->legs[i];
	enum sk_result result;

	result = leg->step(leg, e);
	if (result == SK_WANT_READ || result == SK_WANT_WRITE)
		result = wait_for(r, i, result);
	return result == SK_OK && latch_is_set(&r->threads->abort) ?
	    SK_INTERRUPTED : result;
}

struct worker {
	struct run *run;
	int leg;
	struct threads_task task;
	bool started, joined;
	atomic_bool done;
	enum sk_result result;
	struct err err;
};

static void
work(void *arg)
{
	struct worker *w = arg;

	do
		w->result = step(w->run, w->leg, &w->err);
	while (w->result == SK_OK);
	atomic_store(&w->done, true);
	(void)latch_set(&w->run->threads->news);
}

static void
join(struct worker *w, void (*await)(struct threads_task *))
{
	if (w->started && !w->joined)
		await(&w->task);
	w->joined = true;
}

/* Whether who sleeps in calls of the stage's sockets is kicked out of them. */
static void
set_kicked(struct stage *s, bool kicked)
{
	int i;

	for (i = 0; i < STAGE_SOCKS; i++)
		if (s->socks[i] != NULL)
			sock_set_kicked(s->socks[i], kicked);
}

/* Sleep until there is news, or something to tell, or wake_ns. */
static bool
look(struct run *r, struct worker *workers, int64_t wake_ns)
{
	const struct judge *judge = r->stage->judge;
	struct pollfd fds[STAGE_WATCHED + 2];
	int i;

	for (i = 0; i < STAGE_WATCHED; i++)
		fds[i] = (struct pollfd){ .fd = -1 };
	fds[i] = (struct pollfd){ .fd = r->threads->news.fd,
	    .events = POLLIN };
	/* The legs do not watch it: they are kicked when we have left. */
	fds[i + 1] = (struct pollfd){ .fd = r->threads->abort.fd,
	    .events = POLLIN };

	if (judge->watched != NULL)
		judge->watched(r->stage, fds);
	if (intr_poll(fds, STAGE_WATCHED + 2, wake_ns) < 0 ||
	    latch_is_set(&r->threads->abort))
		return false;
	for (i = 0; i < STAGE_WATCHED; i++)
		if (fds[i].fd != -1 && fds[i].revents != 0)
			judge->event(r->stage, fds[i].fd, fds[i].revents);
	latch_reset(&r->threads->news);
	for (i = 0; i < STAGE_LEGS; i++) {
		if (!workers[i].started || workers[i].joined ||
		    !atomic_load(&workers[i].done))
			continue;
		join(&workers[i], threads_join);
		if (!run_leg_stopped(r->stage->legs[i], workers[i].result,
		    &workers[i].err))
			return false;
	}
	return true;
}

static enum sk_result
supervise(struct run *r, struct worker *workers, struct err *e)
{
	enum sk_result result;
	int64_t wake_ns;

	for (;;) {
		if (!run_goes_on(r->stage, &wake_ns, &result, e))
			return result;
		if (!look(r, workers, wake_ns))
			return SK_INTERRUPTED;
	}
}

static bool
start_workers(struct run *r, struct worker *workers, struct err *e)
{
	struct leg *leg;
	int i;

	for (i = 0; i < STAGE_LEGS; i++) {
		leg = r->stage->legs[i];
		workers[i].run = r;
		workers[i].leg = i;
		if (leg == NULL || leg->state == LEG_ABSENT)
			continue;
		workers[i].started = threads_start(&workers[i].task, work,
		    &workers[i], true, e);
		if (!workers[i].started)
			return false;
	}
	return true;
}

/* The legs in threads of their own; abort ends those that go on. */
static enum sk_result
run_judged(struct run *r, struct err *e)
{
	struct worker workers[STAGE_LEGS] = { 0 };
	struct latch *abort = &r->threads->abort;
	enum sk_result result = SK_ERROR;
	int i;

	set_kicked(r->stage, true);
	if (start_workers(r, workers, e))
		result = supervise(r, workers, e);
	(void)latch_set(abort);
	for (i = 0; i < STAGE_LEGS; i++) {
		join(&workers[i], threads_kick_out);
		err_clear(&workers[i].err);
	}
	set_kicked(r->stage, false);
	latch_reset(abort);
	if (atomic_load(&r->threads->ended))
		(void)latch_set(abort);
	return result;
}

/*
 * A single leg in the thread of the run, which asks the judge, if there is one,
 * before each step: half of the thread changes of a client that only talks.
 */
static enum sk_result
run_solo(struct run *r, struct err *e)
{
	struct leg *leg = r->stage->legs[0];
	enum sk_result result;
	int64_t wake_ns;

	for (;;) {
		/* Whatever it was woken for, it looks at now. */
		if (r->stage->nudged != NULL)
			latch_reset(&r->threads->wake[0]);
		if (!run_goes_on(r->stage, &wake_ns, &result, e))
			return result;
		if (!run_leg_stopped(leg, step(r, 0, e), e))
			return SK_INTERRUPTED;
	}
}

enum sk_result
threads_run(struct run *r, struct err *e)
{
	enum sk_result result;
	struct sock *nudged;
	struct stage *s;
	bool solo;

	if (r->threads->kicked)
		set_runs(r->threads, true);
	do {
		s = r->stage;
		nudged = s->nudged;
		solo = s->judge == NULL || nudged != NULL;
		assert(solo || !r->threads->kicked);
		atomic_store(&r->threads->solo, solo);
		run_set_abort(s, &r->threads->abort);
		if (nudged != NULL)
			sock_set_nudge(nudged, &r->threads->wake[0]);
		result = solo ? run_solo(r, e) : run_judged(r, e);
		if (nudged != NULL)
			sock_set_nudge(nudged, NULL);
		run_set_abort(s, NULL);
	} while (run_next(r, &result, e));
	if (r->threads->kicked)
		set_runs(r->threads, false);
	return result;
}

static void
set_mode(struct stage *s, enum sk_mode mode)
{
	int i;

	for (i = 0; i < STAGE_SOCKS; i++)
		if (s->socks[i] != NULL)
			sock_set_mode(s->socks[i], mode);
}

/* False: the run is over. *waits: it would have to. */
static bool
try_step(struct run *r, bool *waits, enum sk_result *result, struct err *e)
{
	struct leg *leg = r->stage->legs[0];
	enum sk_result step;
	int64_t wake_ns;

	if (!run_goes_on(r->stage, &wake_ns, result, e))
		return run_next(r, result, e);
	set_mode(r->stage, SK_NONBLOCKING);
	step = leg->step(leg, e);
	set_mode(r->stage, SK_BLOCKING);
	*waits = step == SK_WANT_READ || step == SK_WANT_WRITE;
	if (*waits || run_leg_stopped(leg, step, e))
		return true;
	*result = SK_INTERRUPTED;
	return run_next(r, result, e);
}

bool
threads_try(struct run *r, enum sk_result *result, struct err *e)
{
	bool waits = false;
	int i;

	for (i = 0; i < TRIES && !waits; i++)
		if (!try_step(r, &waits, result, e))
			return true;
	return false;
}

enum sk_result
run_threads_alone(struct run *r, struct err *e)
{
	enum sk_result result;

	/* This thread has to look out for signals, too. */
	if (!threads_part_open(r, false, e)) {
		result = SK_ERROR;
		(void)run_next(r, &result, e);
		return result;
	}
	threads_enter();
	r->stage->run = r;
	result = threads_run(r, e);
	threads_part_release(threads_part_detach(r));
	threads_leave();
	return result;
}
