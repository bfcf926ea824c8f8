#ifndef HAUL_FLOW_RUN_IMPL_H
#define HAUL_FLOW_RUN_IMPL_H

#include "flow/run.h"

/* A step of a leg has returned this result. False: interrupted. */
bool run_leg_stopped(struct leg *leg, enum sk_result result, struct err *e);

/* Ask the judge. False: it is over, and *result is that of the run. */
bool run_goes_on(struct run *r, int64_t *wake_ns, enum sk_result *result,
    struct err *e);

/* The two drivers; abort is a latch that makes every wait return. */
enum sk_result run_threads(struct run *r, struct latch *abort, struct err *e);
enum sk_result run_loop(struct run *r, struct err *e);

#endif
