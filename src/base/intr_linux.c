/* Linux: ppoll(2) unblocks the signals just while it sleeps. */
#define _GNU_SOURCE
#include "base/intr.h"
#include "base/intr_impl.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

#include "base/clock.h"

static sigset_t wait_mask;

void
intr_prepare(const sigset_t *set)
{
	(void)pthread_sigmask(SIG_BLOCK, set, &wait_mask);
}

void
intr_wake(void)
{
}

const sigset_t *
intr_mask(void)
{
	return &wait_mask;
}

int
intr_poll(struct pollfd *fds, nfds_t count, int64_t deadline_ns)
{
	struct timespec ts, *limit = NULL;
	int64_t left;
	int n;

	while (intr_signal() == 0) {
		if (deadline_ns != CLOCK_NEVER) {
			left = deadline_ns - clock_now_ns();
			if (left < 0)
				left = 0;
			ts.tv_sec = (time_t)(left / CLOCK_SEC);
			ts.tv_nsec = (long)(left % CLOCK_SEC);
			limit = &ts;
		}
		n = ppoll(fds, count, limit, &wait_mask);
		if (n >= 0 && intr_signal() == 0)
			return n;
	}
	return -1;
}
