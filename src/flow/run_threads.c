/*
 * The blocking mode. A stage with a judge has a thread for each leg, and the
 * thread of the run looks after them; a single leg is that thread's own work.
 * A runner has a thread for each run.
 */
#include "flow/run_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/intr.h"

enum { THREAD_STACK = 256 * 1024 };

/* What wakes the threads of a run. */
struct run_threads_part {
	struct latch abort;		/* ends every wait of a stage */
	atomic_bool ended;		/* ...and of the run */
	struct latch news;		/* for the judge */
	struct latch wake[STAGE_LEGS];	/* for a leg that waits for nobody */
};

static void
part_free(struct run_threads_part *p)
{
	int i;

	latch_close(&p->abort);
	latch_close(&p->news);
	for (i = 0; i < STAGE_LEGS; i++)
		latch_close(&p->wake[i]);
	free(p);
}

static bool
part_open(struct run *r, struct err *e)
{
	static const struct run_threads_part closed = {
		LATCH_CLOSED, false, LATCH_CLOSED,
		{ LATCH_CLOSED, LATCH_CLOSED }
	};
	struct run_threads_part *p = malloc(sizeof(*p));
	bool ok;

	r->threads = p;
	if (p == NULL) {
		err_no_memory(e);
		return false;
	}
	*p = closed;
	ok = latch_open(&p->abort, e) && latch_open(&p->wake[0], e);
	if (!r->single)
		ok = ok && latch_open(&p->wake[1], e) &&
		    latch_open(&p->news, e);
	if (!ok) {
		part_free(p);
		r->threads = NULL;
	}
	return ok;
}

void
run_threads_wake(struct run *r, int leg)
{
	if (r->threads != NULL)
		latch_set(&r->threads->wake[leg]);
}

void
run_threads_news(struct run *r)
{
	if (r->threads != NULL && !r->single)
		latch_set(&r->threads->news);
}

/* Wait for what a leg wants: SK_OK, or why there is nothing to wait for. */
static enum sk_result
wait_for(struct run *r, int i, enum sk_result want)
{
	const struct leg *leg = r->stage->legs[i];
	struct run_threads_part *p = r->threads;
	struct pollfd fds[2] = {
		{ .fd = p->wake[i].fd, .events = POLLIN },
		{ .fd = p->abort.fd, .events = POLLIN },
	};

	if (leg->waits != NULL)
		return sock_wait(leg->waits, (enum sk_side)leg->side, want);
	if (intr_poll(fds, 2, leg->wake_ns) < 0 || latch_is_set(&p->abort))
		return SK_INTERRUPTED;
	latch_reset(&p->wake[i]);
	return SK_OK;
}

/* Step a leg until it has stopped. */
static enum sk_result
go(struct run *r, int i, struct err *e)
{
	struct leg *leg = r->stage->legs[i];
	enum sk_result result;

	for (;;) {
		/* Whatever it was woken for, it looks at now. */
		if (r->stage->nudged != NULL)
			latch_reset(&r->threads->wake[i]);
		result = leg->step(leg, e);
		if (result == SK_WANT_READ || result == SK_WANT_WRITE)
			result = wait_for(r, i, result);
		if (result != SK_OK)
			return result;
		if (latch_is_set(&r->threads->abort))
			return SK_INTERRUPTED;
	}
}

struct worker {
	struct run *run;
	int leg;
	pthread_t thread;
	bool started, joined;
	atomic_bool done;
	enum sk_result result;
	struct err err;
};

static void *
work(void *arg)
{
	struct worker *w = arg;

	w->result = go(w->run, w->leg, &w->err);
	atomic_store(&w->done, true);
	latch_set(&w->run->threads->news);
	return NULL;
}

static bool
start_thread(pthread_t *thread, void *(*function)(void *), void *arg,
    struct err *e)
{
	pthread_attr_t attr;
	int sys;

	sys = pthread_attr_init(&attr);
	if (sys == 0) {
		(void)pthread_attr_setstacksize(&attr, THREAD_STACK);
		sys = pthread_create(thread, &attr, function, arg);
		(void)pthread_attr_destroy(&attr);
	}
	if (sys != 0)
		err_set(e, ERR_LOCAL, sys, "", "cannot start a thread");
	return sys == 0;
}

static void
join(struct worker *w)
{
	if (w->started && !w->joined)
		(void)pthread_join(w->thread, NULL);
	w->joined = true;
}

/* Sleep until there is news, or something to tell, or wake_ns. */
static bool
look(struct run *r, struct worker *workers, int64_t wake_ns)
{
	const struct judge *judge = r->stage->judge;
	struct pollfd fds[STAGE_WATCHED + 1];
	int i;

	for (i = 0; i < STAGE_WATCHED; i++)
		fds[i] = (struct pollfd){ .fd = -1 };
	fds[i] = (struct pollfd){ .fd = r->threads->news.fd,
	    .events = POLLIN };

	if (judge->watched != NULL)
		judge->watched(r->stage, fds);
	if (intr_poll(fds, STAGE_WATCHED + 1, wake_ns) < 0 ||
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
		join(&workers[i]);
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
		workers[i].started = start_thread(&workers[i].thread, work,
		    &workers[i], e);
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

	if (start_workers(r, workers, e))
		result = supervise(r, workers, e);
	latch_set(abort);
	for (i = 0; i < STAGE_LEGS; i++) {
		join(&workers[i]);
		err_clear(&workers[i].err);
	}
	latch_reset(abort);
	if (atomic_load(&r->threads->ended))
		latch_set(abort);
	return result;
}

static enum sk_result
run_single(struct run *r, struct err *e)
{
	struct leg *leg = r->stage->legs[0];
	enum sk_result result;
	int64_t wake_ns;

	if (!run_leg_stopped(leg, go(r, 0, e), e))
		return SK_INTERRUPTED;
	(void)run_goes_on(r->stage, &wake_ns, &result, e);
	return result;
}

static enum sk_result
run_stages(struct run *r, struct err *e)
{
	enum sk_result result;
	struct sock *nudged;
	struct stage *s;

	do {
		s = r->stage;
		if (s->run != r)
			s->run = r;
		nudged = s->nudged;
		run_set_abort(s, &r->threads->abort);
		if (nudged != NULL)
			sock_set_nudge(nudged, &r->threads->wake[0]);
		result = s->judge != NULL ? run_judged(r, e) :
		    run_single(r, e);
		if (nudged != NULL)
			sock_set_nudge(nudged, NULL);
		run_set_abort(s, NULL);
	} while (run_next(r, &result, e));
	return result;
}

enum sk_result
run_threads_alone(struct run *r, struct err *e)
{
	enum sk_result result;

	if (!part_open(r, e)) {
		result = SK_ERROR;
		(void)run_next(r, &result, e);
		return result;
	}
	result = run_stages(r, e);
	part_free(r->threads);
	r->threads = NULL;
	return result;
}

/* A run in a runner, and its thread. */
struct job {
	struct runner_of_threads *runner;
	struct run *run;
	pthread_t thread;
	bool done;
	enum sk_result result;
	struct err err;
	struct job *previous, *next;
};

struct runner_of_threads {
	struct runner runner;
	pthread_mutex_t lock;	/* of the jobs */
	struct job *jobs;
	bool closing;		/* no further ones */
	struct latch news;	/* a job is done, or it is to stop */
	atomic_bool stopped;
};

static struct runner *
threads_new(struct err *e)
{
	struct runner_of_threads *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		err_no_memory(e);
		return NULL;
	}
	t->runner.type = &runner_threads;
	t->news = (struct latch)LATCH_CLOSED;
	if (!latch_open(&t->news, e)) {
		free(t);
		return NULL;
	}
	(void)pthread_mutex_init(&t->lock, NULL);
	return &t->runner;
}

static void *
do_job(void *arg)
{
	struct job *j = arg;

	j->result = run_stages(j->run, &j->err);
	(void)pthread_mutex_lock(&j->runner->lock);
	j->done = true;
	(void)pthread_mutex_unlock(&j->runner->lock);
	latch_set(&j->runner->news);
	return NULL;
}

static void
unlink_job(struct job *j)
{
	if (j->previous != NULL)
		j->previous->next = j->next;
	else
		j->runner->jobs = j->next;
	if (j->next != NULL)
		j->next->previous = j->previous;
}

static bool
threads_add(struct runner *r, struct run *run, struct err *e)
{
	struct runner_of_threads *t = (struct runner_of_threads *)r;
	struct job *j = calloc(1, sizeof(*j));
	bool started;

	if (j == NULL) {
		err_no_memory(e);
		return false;
	}
	if (!part_open(run, e)) {
		free(j);
		return false;
	}
	j->runner = t;
	j->run = run;
	(void)pthread_mutex_lock(&t->lock);
	j->next = t->jobs;
	if (j->next != NULL)
		j->next->previous = j;
	t->jobs = j;
	if (t->closing) {
		err_set(e, ERR_LOCAL, 0, "", "at the end of the run");
		e->quiet = true;
		started = false;
	} else
		started = start_thread(&j->thread, do_job, j, e);
	if (!started)
		unlink_job(j);
	(void)pthread_mutex_unlock(&t->lock);
	if (!started) {
		part_free(run->threads);
		run->threads = NULL;
		free(j);
	}
	return started;
}

/* Take a job that is done; NULL: there is none. *left: whether others go on. */
static struct job *
take_done(struct runner_of_threads *t, bool *left)
{
	struct job *j;

	(void)pthread_mutex_lock(&t->lock);
	*left = t->jobs != NULL;
	for (j = t->jobs; j != NULL && !j->done; j = j->next)
		continue;
	if (j != NULL)
		unlink_job(j);
	(void)pthread_mutex_unlock(&t->lock);
	return j;
}

static void
finish_job(struct job *j)
{
	struct run *run = j->run;
	struct run_threads_part *part = run->threads;

	(void)pthread_join(j->thread, NULL);
	/* Others may wake the run until over has told them not to. */
	if (run->over != NULL)
		run->over(run, j->result, &j->err);
	part_free(part);
	err_clear(&j->err);
	free(j);
}

static enum sk_result
threads_wait(struct runner *r, int64_t deadline_ns, struct err *e)
{
	struct runner_of_threads *t = (struct runner_of_threads *)r;
	struct pollfd p = { .fd = t->news.fd, .events = POLLIN };
	struct job *j;
	bool left;

	(void)e;
	for (;;) {
		latch_reset(&t->news);
		while ((j = take_done(t, &left)) != NULL)
			finish_job(j);
		if (!left || atomic_load(&t->stopped))
			return SK_OK;
		if (clock_now_ns() >= deadline_ns)
			return SK_TIMEOUT;
		if (intr_poll(&p, 1, deadline_ns) < 0)
			return SK_INTERRUPTED;
	}
}

static void
threads_stop(struct runner *r)
{
	struct runner_of_threads *t = (struct runner_of_threads *)r;

	atomic_store(&t->stopped, true);
	latch_set(&t->news);
}

static void
threads_free(struct runner *r)
{
	struct runner_of_threads *t = (struct runner_of_threads *)r;
	struct job *j;

	(void)pthread_mutex_lock(&t->lock);
	t->closing = true;
	for (j = t->jobs; j != NULL; j = j->next) {
		atomic_store(&j->run->threads->ended, true);
		latch_set(&j->run->threads->abort);
	}
	while ((j = t->jobs) != NULL) {
		unlink_job(j);
		(void)pthread_mutex_unlock(&t->lock);
		finish_job(j);
		(void)pthread_mutex_lock(&t->lock);
	}
	(void)pthread_mutex_unlock(&t->lock);
	(void)pthread_mutex_destroy(&t->lock);
	latch_close(&t->news);
	free(t);
}

const struct runner_type runner_threads = {
	threads_new, threads_add, threads_wait, threads_stop, threads_free,
};
