/*
 * Linux: the signals stay blocked and pending, and a signalfd(2) that nobody
 * reads tells all waiting threads. There is no handler at all.
 */
#define _GNU_SOURCE
#include "base/intr_impl.h"

#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

int
intr_prepare(const sigset_t *set)
{
	int fd;

	fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd != -1)
		(void)pthread_sigmask(SIG_BLOCK, set, NULL);
	return fd;
}

int
intr_pending(const sigset_t *set)
{
	sigset_t pending;
	int sig;

	(void)sigpending(&pending);
	for (sig = 1; sig < NSIG; sig++)
		if (sigismember(set, sig) == 1 &&
		    sigismember(&pending, sig) == 1)
			return sig;
	return 0;
}

int
intr_prepare_status(const sigset_t *set)
{
	return intr_prepare(set);
}

void
intr_drain_status(int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) > 0)
		continue;
}
