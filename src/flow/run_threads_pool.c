/*
 * Threads, and what wakes a run, are kept for the next one: a client that
 * comes, says a word and goes would otherwise cost its server two threads and
 * four descriptors, which is more work than all the rest (`listen -k > file`
 * takes 1.6 times as many clients a second so).
 */
#include "flow/run_threads_impl.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/intr.h"

enum {
	THREAD_STACK = 256 * 1024,
	/* Of each, so many are kept: after a crowd, the others go. */
	KEPT = 16,
	/* Who is about to sleep does not notice: once more after so long. */
	KICKS_MS = 1,
};

/*
 * A thread. It is freed by the last user alone, so that it can be woken without
 * the lock, which it would run into at once.
 */
struct thread {
	pthread_t id;
	pthread_cond_t wake;
	struct threads_task *task;
	bool ends;
	/* In the list of the idle or spare; or who has ended before it. */
	struct thread *next;
};

static struct {
	pthread_mutex_t lock;	/* of all of it, and of all tasks */
	pthread_cond_t quiet;	/* nobody is busy */
	int users;
	int busy;
	struct thread *idle;
	int idle_count;
	struct thread *gone;	/* the last one that has ended by itself */
	struct thread *spare;	/* those that are joined */
	struct run_threads_part *parts;
	int parts_count;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER,
    .quiet = PTHREAD_COND_INITIALIZER };

/* With the lock held. */
static void
be_busy(int more)
{
	pool.busy += more;
	if (pool.busy == 0)
		(void)pthread_cond_broadcast(&pool.quiet);
}

/* A task without anybody who awaits it may be freed by its function. */
static void
perform(struct threads_task *task)
{
	bool awaited = task->awaited;

	if (awaited) {
		(void)pthread_mutex_lock(&pool.lock);
		task->thread = pthread_self();
		task->begun = true;
		(void)pthread_mutex_unlock(&pool.lock);
	}
	task->function(task->arg);
	if (!awaited)
		return;
	(void)pthread_mutex_lock(&pool.lock);
	task->over = true;
	(void)pthread_cond_signal(&task->changed);
	(void)pthread_mutex_unlock(&pool.lock);
}

/* Until there is a task; false: there will be none. */
static bool
rest(struct thread *t)
{
	bool kept;

	(void)pthread_mutex_lock(&pool.lock);
	kept = pool.users > 0 && pool.idle_count < KEPT;
	t->task = NULL;
	if (kept) {
		t->next = pool.idle;
		pool.idle = t;
		pool.idle_count++;
	} else {
		t->next = pool.gone;
		pool.gone = t;
	}
	be_busy(-1);
	while (kept && t->task == NULL && !t->ends)
		(void)pthread_cond_wait(&t->wake, &pool.lock);
	(void)pthread_mutex_unlock(&pool.lock);
	return kept && !t->ends;
}

/* With the lock held. */
static void
make_spare(struct thread *t)
{
	t->next = pool.spare;
	pool.spare = t;
}

static void *
live(void *arg)
{
	struct thread *t = arg;

	t->id = pthread_self();
	intr_take_kicks();
	do
		perform(t->task);
	while (rest(t));
	/* Who is told to end is joined by who has told it. */
	if (t->ends || t->next == NULL)
		return NULL;
	(void)pthread_join(t->next->id, NULL);
	(void)pthread_mutex_lock(&pool.lock);
	make_spare(t->next);
	(void)pthread_mutex_unlock(&pool.lock);
	return NULL;
}

static struct thread *
take_spare(void)
{
	struct thread *t;

	(void)pthread_mutex_lock(&pool.lock);
	t = pool.spare;
	if (t != NULL)
		pool.spare = t->next;
	(void)pthread_mutex_unlock(&pool.lock);
	if (t == NULL && (t = calloc(1, sizeof(*t))) != NULL)
		(void)pthread_cond_init(&t->wake, NULL);
	return t;
}

static bool
new_thread(struct threads_task *task, struct err *e)
{
	struct thread *t = take_spare();
	pthread_attr_t attr;
	pthread_t thread;
	int sys;

	if (t == NULL) {
		err_no_memory(e);
		return false;
	}
	t->task = task;
	sys = pthread_attr_init(&attr);
	if (sys == 0) {
		(void)pthread_attr_setstacksize(&attr, THREAD_STACK);
		sys = pthread_create(&thread, &attr, live, t);
		(void)pthread_attr_destroy(&attr);
	}
	if (sys == 0)
		return true;
	(void)pthread_mutex_lock(&pool.lock);
	make_spare(t);
	(void)pthread_mutex_unlock(&pool.lock);
	err_set(e, ERR_LOCAL, sys, "", "cannot start a thread");
	return false;
}

/* With the lock held. */
static struct thread *
take_idle(void)
{
	struct thread *t = pool.idle;

	if (t != NULL) {
		pool.idle = t->next;
		pool.idle_count--;
	}
	return t;
}

static void
init_changed(struct threads_task *task)
{
	pthread_condattr_t attr;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&task->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
}

bool
threads_start(struct threads_task *task, void (*function)(void *), void *arg,
    bool awaited, struct err *e)
{
	struct thread *t;

	task->function = function;
	task->arg = arg;
	task->awaited = awaited;
	task->begun = task->over = false;
	if (awaited)
		init_changed(task);
	(void)pthread_mutex_lock(&pool.lock);
	be_busy(1);
	t = take_idle();
	if (t != NULL)
		t->task = task;
	(void)pthread_mutex_unlock(&pool.lock);
	if (t != NULL)
		(void)pthread_cond_signal(&t->wake);
	if (t != NULL || new_thread(task, e))
		return true;
	(void)pthread_mutex_lock(&pool.lock);
	be_busy(-1);
	(void)pthread_mutex_unlock(&pool.lock);
	if (awaited)
		(void)pthread_cond_destroy(&task->changed);
	return false;
}

void
threads_join(struct threads_task *task)
{
	(void)pthread_mutex_lock(&pool.lock);
	while (!task->over)
		(void)pthread_cond_wait(&task->changed, &pool.lock);
	(void)pthread_mutex_unlock(&pool.lock);
	(void)pthread_cond_destroy(&task->changed);
}

/* With the lock, without which the thread cannot leave the task. */
static void
kick(struct threads_task *task)
{
	int64_t next = clock_now_ns() + KICKS_MS * CLOCK_MS;
	struct timespec at = { .tv_sec = (time_t)(next / CLOCK_SEC),
	    .tv_nsec = (long)(next % CLOCK_SEC) };

	if (task->begun)
		intr_kick(task->thread);
	(void)pthread_cond_timedwait(&task->changed, &pool.lock, &at);
}

void
threads_kick_out(struct threads_task *task)
{
	(void)pthread_mutex_lock(&pool.lock);
	while (!task->over)
		kick(task);
	(void)pthread_mutex_unlock(&pool.lock);
	(void)pthread_cond_destroy(&task->changed);
}

struct run_threads_part *
threads_part_kept(bool single)
{
	struct run_threads_part **at, *p;

	(void)pthread_mutex_lock(&pool.lock);
	for (at = &pool.parts; (p = *at) != NULL; at = &p->next)
		if (p->single == single) {
			*at = p->next;
			pool.parts_count--;
			break;
		}
	(void)pthread_mutex_unlock(&pool.lock);
	return p;
}

bool
threads_part_keep(struct run_threads_part *p)
{
	bool keep;

	(void)pthread_mutex_lock(&pool.lock);
	keep = pool.users > 0 && pool.parts_count < KEPT;
	if (keep) {
		p->next = pool.parts;
		pool.parts = p;
		pool.parts_count++;
	}
	(void)pthread_mutex_unlock(&pool.lock);
	return keep;
}

void
threads_parts_drop(void)
{
	struct run_threads_part *parts, *p;

	(void)pthread_mutex_lock(&pool.lock);
	parts = pool.parts;
	pool.parts = NULL;
	pool.parts_count = 0;
	(void)pthread_mutex_unlock(&pool.lock);
	while ((p = parts) != NULL) {
		parts = p->next;
		threads_part_free(p);
	}
}

void
threads_enter(void)
{
	(void)pthread_mutex_lock(&pool.lock);
	pool.users++;
	(void)pthread_mutex_unlock(&pool.lock);
}

/* With the lock held; it is let go meanwhile. */
static void
end_threads(void)
{
	struct thread *t;

	/* Those whose tasks nobody awaits. */
	while (pool.busy > 0)
		(void)pthread_cond_wait(&pool.quiet, &pool.lock);
	while ((t = take_idle()) != NULL || (t = pool.gone) != NULL) {
		if (t == pool.gone)
			pool.gone = NULL;
		else
			t->ends = true;
		(void)pthread_cond_signal(&t->wake);
		(void)pthread_mutex_unlock(&pool.lock);
		(void)pthread_join(t->id, NULL);
		(void)pthread_mutex_lock(&pool.lock);
		t->ends = false;
		make_spare(t);
	}
}

void
threads_leave(void)
{
	struct thread *spare, *t;

	(void)pthread_mutex_lock(&pool.lock);
	if (--pool.users > 0) {
		(void)pthread_mutex_unlock(&pool.lock);
		return;
	}
	end_threads();
	spare = pool.spare;
	pool.spare = NULL;
	(void)pthread_mutex_unlock(&pool.lock);
	threads_parts_drop();
	while ((t = spare) != NULL) {
		spare = t->next;
		(void)pthread_cond_destroy(&t->wake);
		free(t);
	}
}
