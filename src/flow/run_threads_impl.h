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
};

/*
 * Make what wakes the threads of r. False with *e filled. And take it from r,
 * so that nobody wakes it any more; it is to be freed then.
 */
bool threads_part_open(struct run *r, struct err *e);
struct run_threads_part *threads_part_detach(struct run *r);
void threads_part_free(struct run_threads_part *p);

/* Start a thread with a small stack; false with *e filled. */
bool threads_start(pthread_t *thread, void *(*function)(void *), void *arg,
    struct err *e);

/* All stages of r, which has its part, in the calling thread. */
enum sk_result threads_run(struct run *r, struct err *e);

#endif
