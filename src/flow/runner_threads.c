/* The runner of the blocking mode: a thread for each run. */
#include "flow/run_threads_impl.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/intr.h"

/* A run in a runner, and its thread. */
struct job {
	struct runner_of_threads *runner;
	struct run *run;
	struct threads_task task;
	bool done;		/* to be finished by runner_wait */
	bool leaves;		/* finishes itself: the run may be freed */
	enum sk_result result;
	struct err err;
	struct job *previous, *next;
};

struct runner_of_threads {
	struct runner runner;
	pthread_mutex_t lock;	/* of the jobs */
	pthread_cond_t empty;	/* no jobs are left, at the end */
	struct job *jobs;
	int leaving;		/* those of them that finish themselves */
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
	(void)pthread_cond_init(&t->empty, NULL);
	threads_enter();
	return &t->runner;
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

static void
run_over(struct job *j)
{
	struct run *run = j->run;

	/* First: who is told of the end may want one for somebody else. */
	threads_part_release(threads_part_detach(run));
	if (run->over != NULL)
		run->over(run, j->result, &j->err);
	err_clear(&j->err);
}

/* Nobody need wake up for it but at the end of all. */
static void
leave(struct job *j)
{
	struct runner_of_threads *t = j->runner;

	(void)pthread_mutex_lock(&t->lock);
	j->leaves = true;
	(void)pthread_mutex_unlock(&t->lock);
	run_over(j);
	(void)pthread_mutex_lock(&t->lock);
	unlink_job(j);
	if (--t->leaving == 0)
		threads_parts_drop();
	if (t->jobs == NULL) {
		(void)latch_set(&t->news);
		(void)pthread_cond_signal(&t->empty);
	}
	(void)pthread_mutex_unlock(&t->lock);
	free(j);
}

static void
do_job(void *arg)
{
	struct job *j = arg;

	j->result = threads_run(j->run, &j->err);
	if (j->run->over_anywhere) {
		leave(j);
		return;
	}
	(void)pthread_mutex_lock(&j->runner->lock);
	j->done = true;
	(void)pthread_mutex_unlock(&j->runner->lock);
	(void)latch_set(&j->runner->news);
}

/* Abort, news, and what wakes each leg. */
unsigned
runner_fds(bool single)
{
	if (single)
		return intr_holds_kicks() ? 0 : 2 * latch_fds();
	return (2 + STAGE_LEGS) * latch_fds();
}

/* Whether it is over at once; *e is what it goes on with. */
static bool
was_brief(struct run *run, struct err *e)
{
	enum sk_result result;

	if (!run->single || !run->over_anywhere ||
	    !threads_try(run, &result, e))
		return false;
	run->over(run, result, e);
	err_clear(e);
	return true;
}

static bool
threads_add(struct runner *r, struct run *run, struct err *e)
{
	struct runner_of_threads *t = (struct runner_of_threads *)r;
	struct err so_far = { .code = ERR_NONE };
	struct job *j;
	bool started;

	run->stage->run = run;
	if (was_brief(run, &so_far))
		return true;
	j = calloc(1, sizeof(*j));
	if (j == NULL) {
		err_clear(&so_far);
		err_no_memory(e);
		return false;
	}
	err_move(&j->err, &so_far);
	if (!threads_part_open(run, true, e)) {
		err_clear(&j->err);
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
		started = threads_start(&j->task, do_job, j,
		    !run->over_anywhere, e);
	if (!started)
		unlink_job(j);
	else if (run->over_anywhere)
		t->leaving++;
	(void)pthread_mutex_unlock(&t->lock);
	if (!started) {
		threads_part_release(threads_part_detach(run));
		err_clear(&j->err);
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
	threads_join(&j->task);
	run_over(j);
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
			return intr_signal() != 0 ? SK_INTERRUPTED : SK_OK;
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
	(void)latch_set(&t->news);
}

static struct job *
next_awaited(struct runner_of_threads *t)
{
	struct job *j;

	for (j = t->jobs; j != NULL && !j->task.awaited; j = j->next)
		continue;
	return j;
}

static void
threads_free(struct runner *r)
{
	struct runner_of_threads *t = (struct runner_of_threads *)r;
	struct job *j;

	(void)pthread_mutex_lock(&t->lock);
	t->closing = true;
	for (j = t->jobs; j != NULL; j = j->next) {
		if (j->leaves)
			continue;
		threads_end(j->run);
	}
	while ((j = next_awaited(t)) != NULL) {
		unlink_job(j);
		(void)pthread_mutex_unlock(&t->lock);
		finish_job(j);
		(void)pthread_mutex_lock(&t->lock);
	}
	while (t->jobs != NULL)
		(void)pthread_cond_wait(&t->empty, &t->lock);
	(void)pthread_mutex_unlock(&t->lock);
	(void)pthread_cond_destroy(&t->empty);
	(void)pthread_mutex_destroy(&t->lock);
	latch_close(&t->news);
	free(t);
	threads_leave();
}

const struct runner_type runner_threads = {
	threads_new, threads_add, threads_wait, threads_stop, threads_free,
};
