#ifndef HAUL_FLOW_RUN_LOOP_IMPL_H
#define HAUL_FLOW_RUN_LOOP_IMPL_H

#include "flow/loop.h"
#include "flow/run_impl.h"

enum {
	INTERESTS_MAX = STAGE_LEGS * SK_POLLFDS_MAX + STAGE_WATCHED,
	INTERESTS_FEW = 3,	/* what most runs have at most */
};

/* A descriptor that the loop watches for a run. */
struct interest {
	int fd;
	unsigned generation;	/* of its socket */
	int events;
};

struct run_loop_part {
	struct runner_of_loop *runner;
	struct run *previous, *next;	/* of all runs */
	struct run *before, *behind;	/* in the queue */
	bool in_queue;
	int heap_at;			/* place in the heap, or -1 */
	int64_t wake_ns;
	/* What the loop watches now: few, or more than that (malloc). */
	size_t count;
	struct interest few[INTERESTS_FEW];
	struct interest *more;
};

struct runner_of_loop {
	struct runner runner;
	struct loop *loop;
	struct run *all;
	int count;
	struct run *first, *last;	/* the queue */
	struct run **heap;
	int heap_count, heap_size;
	bool stopped;
	/* Of a run that nobody is told of. */
	enum sk_result result;
	struct err err;
};

/*
 * Tell the loop what a run wants now. Descriptors that nobody wants are taken
 * out, as a hang-up would be reported for ever. False with *e filled.
 */
bool run_loop_watch(struct run *r, struct err *e);

/* Nothing of the run is watched any more. */
void run_loop_forget(struct run *r);

/* What has happened to a descriptor: ready are the legs that want it. */
void run_loop_ready(struct run *r, int fd, short events);

#endif
