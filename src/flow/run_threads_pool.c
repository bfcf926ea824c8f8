/*
 * Threads, and what wakes a run, are kept for the next one: a client that comes,
 * says a word and goes would otherwise cost its server two threads and four
 * descriptors, which is more work than all the rest.
 */
#include "flow/run_threads_impl.h"

#include <stdlib.h>

enum {
	THREAD_STACK = 256 * 1024,
	/* Of each, so many are kept: after a crowd, the others go. */
	KEPT = 16,
};

/* A thread, as it knows itself. */
struct thread {
	pthread_t id;
	pthread_cond_t wake;
	struct threads_task *task;
	bool ends;
	struct thread *next;	/* of those that have nothing to do */
};

static struct {
	pthread_mutex_t lock;	/* of all of it, and of all tasks */
	pthread_cond_t quiet;	/* nobody is busy */
	int users;
	int busy;
	struct thread *idle;
	int idle_count;
	/* The one that has ended by itself: joined by whoever is next. */
	pthread_t ended;
	bool has_ended;
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

/* With the lock held, until there is a task; false: there will be none. */
static bool
rest(struct thread *t)
{
	if (pool.users == 0 || pool.idle_count >= KEPT)
		return false;
	t->task = NULL;
	t->next = pool.idle;
	pool.idle = t;
	pool.idle_count++;
	while (t->task == NULL && !t->ends)
		(void)pthread_cond_wait(&t->wake, &pool.lock);
	return !t->ends;
}

/* Join the one that has ended before. With the lock held, which is let go. */
static void
take_turns(bool ends, pthread_t id)
{
	pthread_t before = pool.ended;
	bool has_before = pool.has_ended;

	pool.has_ended = ends;
	pool.ended = id;
	(void)pthread_mutex_unlock(&pool.lock);
	if (has_before)
		(void)pthread_join(before, NULL);
}

/* A task without anybody who awaits it may be freed by its function. */
static void
perform(struct threads_task *task)
{
	bool awaited = task->awaited;

	task->function(task->arg);
	if (!awaited)
		return;
	(void)pthread_mutex_lock(&pool.lock);
	task->over = true;
	(void)pthread_cond_signal(&task->changed);
	(void)pthread_mutex_unlock(&pool.lock);
}

static void *
live(void *arg)
{
	struct thread t = { .id = pthread_self(), .task = arg };

	(void)pthread_cond_init(&t.wake, NULL);
	(void)pthread_mutex_lock(&pool.lock);
	do {
		(void)pthread_mutex_unlock(&pool.lock);
		perform(t.task);
		(void)pthread_mutex_lock(&pool.lock);
		be_busy(-1);
	} while (rest(&t));
	(void)pthread_cond_destroy(&t.wake);
	/* Who is told to end is joined by who has told it. */
	if (t.ends)
		(void)pthread_mutex_unlock(&pool.lock);
	else
		take_turns(true, t.id);
	return NULL;
}

static bool
new_thread(struct threads_task *task, struct err *e)
{
	pthread_attr_t attr;
	pthread_t thread;
	int sys;

	sys = pthread_attr_init(&attr);
	if (sys == 0) {
		(void)pthread_attr_setstacksize(&attr, THREAD_STACK);
		sys = pthread_create(&thread, &attr, live, task);
		(void)pthread_attr_destroy(&attr);
	}
	if (sys != 0)
		err_set(e, ERR_LOCAL, sys, "", "cannot start a thread");
	return sys == 0;
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

bool
threads_start(struct threads_task *task, void (*function)(void *), void *arg,
    bool awaited, struct err *e)
{
	struct thread *t;

	task->function = function;
	task->arg = arg;
	task->awaited = awaited;
	task->over = false;
	if (awaited)
		(void)pthread_cond_init(&task->changed, NULL);
	(void)pthread_mutex_lock(&pool.lock);
	be_busy(1);
	t = take_idle();
	if (t != NULL) {
		t->task = task;
		(void)pthread_cond_signal(&t->wake);
	}
	(void)pthread_mutex_unlock(&pool.lock);
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
threads_enter(void)
{
	(void)pthread_mutex_lock(&pool.lock);
	pool.users++;
	(void)pthread_mutex_unlock(&pool.lock);
}

void
threads_leave(void)
{
	struct run_threads_part *parts = NULL, *p;
	struct thread *t;
	pthread_t id;

	(void)pthread_mutex_lock(&pool.lock);
	if (--pool.users > 0) {
		(void)pthread_mutex_unlock(&pool.lock);
		return;
	}
	/* Those whose tasks nobody awaited. */
	while (pool.busy > 0)
		(void)pthread_cond_wait(&pool.quiet, &pool.lock);
	while ((t = take_idle()) != NULL) {
		t->ends = true;
		id = t->id;
		(void)pthread_cond_signal(&t->wake);
		(void)pthread_mutex_unlock(&pool.lock);
		(void)pthread_join(id, NULL);
		(void)pthread_mutex_lock(&pool.lock);
	}
	parts = pool.parts;
	pool.parts = NULL;
	pool.parts_count = 0;
	take_turns(false, pthread_self());
	while ((p = parts) != NULL) {
		parts = p->next;
		threads_part_free(p);
	}
}
