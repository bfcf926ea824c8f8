#ifndef HAUL_FLOW_RUN_IMPL_H
#define HAUL_FLOW_RUN_IMPL_H

#include "flow/run.h"

/*
 * A step of a leg has returned this result: note what it wants, or how it
 * stopped. False: interrupted.
 */
bool run_leg_stopped(struct leg *leg, enum sk_result result, struct err *e);

/*
 * Ask the judge, or where there is none, whether the leg has stopped. False:
 * the stage is over, and *result is its.
 */
bool run_goes_on(struct stage *s, int64_t *wake_ns, enum sk_result *result,
    struct err *e);

/*
 * The stage of a run is over. True: the next one is set up; false: the run is
 * over, with *result.
 */
bool run_next(struct run *r, enum sk_result *result, struct err *e);

/* Set or unset the latch that ends every wait of a stage. */
void run_set_abort(struct stage *s, const struct latch *abort);

/* What the two drivers do for run.h: run_threads.c, run_loop.c. */
void run_threads_wake(struct run *r, int leg);
void run_threads_news(struct run *r);
enum sk_result run_threads_alone(struct run *r, struct err *e);
void run_loop_wake(struct run *r, int leg);
void run_loop_news(struct run *r);
enum sk_result run_loop_alone(struct run *r, struct err *e);

/* A runner is one of two. */
struct runner_type {
	struct runner *(*new)(struct err *e);
	bool (*add)(struct runner *, struct run *, struct err *e);
	enum sk_result (*wait)(struct runner *, int64_t deadline_ns,
	    struct err *e);
	void (*stop)(struct runner *);
	void (*free)(struct runner *);
};
struct runner {
	const struct runner_type *type;
};
extern const struct runner_type runner_threads, runner_loop;

#endif
