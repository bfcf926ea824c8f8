#ifndef HAUL_BASE_CLOCK_H
#define HAUL_BASE_CLOCK_H

#include <stdint.h>

/*
 * Time is int64_t nanoseconds. A deadline is an absolute time of the
 * monotonic clock, or CLOCK_NEVER.
 */
#define CLOCK_NEVER	INT64_MAX
#define CLOCK_MS	INT64_C(1000000)
#define CLOCK_SEC	INT64_C(1000000000)

/* The monotonic clock now. */
int64_t clock_now_ns(void);

/* The deadline that lies duration_ns after now; CLOCK_NEVER on overflow. */
int64_t clock_after_ns(int64_t now_ns, int64_t duration_ns);

/* The earlier of two deadlines. */
int64_t clock_min_ns(int64_t a_ns, int64_t b_ns);

/*
 * What is left until the deadline, as poll(2) takes it: milliseconds, rounded
 * up, 0 if it has passed, -1 for CLOCK_NEVER.
 */
int clock_poll_ms(int64_t deadline_ns);

#endif
