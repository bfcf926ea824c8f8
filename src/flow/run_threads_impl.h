#ifndef HAUL_FLOW_RUN_THREADS_IMPL_H
#define HAUL_FLOW_RUN_THREADS_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "flow/run_impl.h"

/* What wakes the threads of a run. */
struct run_threads_part {
	struct latch abort;		/* ends every wait of a stage */
	atomic_bool ended;		/* ...and of the run */
	struct latch news;		/* for the judge */
	struct latch wake[STAGE_LEGS];	/* for a leg that waits for nobody */
	bool single;			/* as run.single */
	/*
	 * All latches are closed: the thread of the run, which is alone, is
	 * kicked, as long as it runs.
	 */
	bool kicked;
	bool runs;
	pthread_t thread;
	atomic_bool solo;		/* the run's thread is alone */
	struct run_threads_part *next;	/* of those that are kept */
};

/*
 * Make what wakes the threads of r. False with *e filled. kicked: if r is
 * single and the platform can. And take it from r, so that nobody wakes it any
 * more; it is to be released then.
 */
bool threads_part_open(struct run *r, bool kicked, struct err *e);
struct run_threads_part *threads_part_detach(struct run *r);
void threads_part_release(struct run_threads_part *p);
void threads_part_free(struct run_threads_part *p);

/*
 * Let a single run do what it can without waiting (but for a file), in the
 * thread that adds it: a client that has come, spoken and gone already needs no
 * thread of its own. True: it is over, with *result and *e.
 */
bool threads_try(struct run *r, enum sk_result *result, struct err *e);

/* End r, which goes on in a runner. */
void threads_end(struct run *r);

/* A function in a thread, which may have done other things before. */
struct threads_task {
	void (*function)(void *);
	void *arg;
	bool awaited;
	bool begun, over;
	pthread_t thread;	/* since it has begun, until it is over */
	pthread_cond_t changed;
};

/*
 * Whoever starts threads enters before, and leaves after: the last to leave
 * ends those that are kept. run_threads_pool.c.
 */
void threads_enter(void);
void threads_leave(void);

/*
 * Start one with a small stack; false with *e filled. And await its end, as has
 * to be done if it is awaited; one that is not may free its task itself.
 */
bool threads_start(struct threads_task *task, void (*function)(void *),
    void *arg, bool awaited, struct err *e);
void threads_join(struct threads_task *task);

/* The same, with a kick each millisecond (base/intr.h). */
void threads_kick_out(struct threads_task *task);

/*
 * A part that was kept, or NULL: there is none. Keep one, with all latches
 * unset; false: there are enough.
 */
struct run_threads_part *threads_part_kept(bool single);
bool threads_part_keep(struct run_threads_part *p);

/* Free those that are kept: a server that has nothing to do keeps none. */
void threads_parts_drop(void);

/* All stages of r, which has its part, in the calling thread. */
enum sk_result threads_run(struct run *r, struct err *e);

#endif
