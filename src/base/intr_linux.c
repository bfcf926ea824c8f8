/*
 * Linux: the signals stay blocked and pending, and a signalfd(2) that nobody
 * reads tells all waiting threads. There is no handler at all.
 */
#define _GNU_SOURCE
#include "base/intr_impl.h"

#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"

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

bool
intr_holds_kicks(void)
{
	return true;
}

/* Whether this thread holds kicks back, and what it blocks to take them. */
static _Thread_local bool holds;
static _Thread_local sigset_t taking;

void
intr_hold_kicks(bool hold)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGURG);
	(void)pthread_sigmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, &taking);
	(void)sigdelset(&taking, SIGURG);
	holds = hold;
}

int
intr_poll_kicked(struct pollfd *fds, nfds_t count, int64_t deadline_ns)
{
	struct timespec left = { 0 };
	int64_t ns;

	ns = deadline_ns == CLOCK_NEVER ? 0 : deadline_ns - clock_now_ns();
	if (ns > 0)
		left = (struct timespec){ .tv_sec = (time_t)(ns / CLOCK_SEC),
		    .tv_nsec = (long)(ns % CLOCK_SEC) };
	return ppoll(fds, count, deadline_ns == CLOCK_NEVER ? NULL : &left,
	    holds ? &taking : NULL);
}

void
intr_drain_status(int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) > 0)
		continue;
}
