/*
 * Elsewhere: POSIX.1-2008 has no ppoll, so the handler makes a pipe readable
 * that every sleeper polls as well.
 */
#include "base/intr.h"
#include "base/intr_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { FDS_MAX = 64 };

static int wake_pipe[2] = { -1, -1 };

void
intr_prepare(const sigset_t *set)
{
	int i;

	(void)set;
	if (pipe(wake_pipe) != 0)
		return;
	for (i = 0; i < 2; i++) {
		(void)fcntl(wake_pipe[i], F_SETFD, FD_CLOEXEC);
		(void)fcntl(wake_pipe[i], F_SETFL, O_NONBLOCK);
	}
}

void
intr_wake(void)
{
	int saved = errno;

	/* A full pipe wakes as well as one more byte would. */
	if (write(wake_pipe[1], "", 1) < 0)
		errno = saved;
	errno = saved;
}

const sigset_t *
intr_mask(void)
{
	return NULL;
}

int
intr_poll(struct pollfd *fds, nfds_t count, int64_t deadline_ns)
{
	struct pollfd stack[FDS_MAX], *all = stack;
	int n;

	if (count >= FDS_MAX)
		all = malloc((count + 1) * sizeof(*all));
	if (all == NULL)
		return poll(fds, count, clock_poll_ms(deadline_ns));
	if (count > 0)
		memcpy(all, fds, count * sizeof(*all));
	all[count] = (struct pollfd){ .fd = wake_pipe[0], .events = POLLIN };
	do {
		n = poll(all, count + 1, clock_poll_ms(deadline_ns));
		if (intr_signal() != 0)
			n = -1;
	} while (n < 0 && intr_signal() == 0);
	if (count > 0)
		memcpy(fds, all, count * sizeof(*all));
	if (all != stack)
		free(all);
	return n;
}
