#include "base/clock.h"

#include <limits.h>
#include <time.h>

int64_t
clock_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * CLOCK_SEC + ts.tv_nsec;
}

int64_t
clock_after_ns(int64_t now_ns, int64_t duration_ns)
{
	if (duration_ns > CLOCK_NEVER - now_ns)
		return CLOCK_NEVER;
	return now_ns + duration_ns;
}

int64_t
clock_min_ns(int64_t a_ns, int64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

int
clock_poll_ms(int64_t deadline_ns)
{
	int64_t left;

	if (deadline_ns == CLOCK_NEVER)
		return -1;
	left = deadline_ns - clock_now_ns();
	if (left <= 0)
		return 0;
	if (left >= (int64_t)INT_MAX * CLOCK_MS)
		return INT_MAX;
	return (int)((left + CLOCK_MS - 1) / CLOCK_MS);
}
