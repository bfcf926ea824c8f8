/*
 * Elsewhere: the handler makes a pipe readable, and does nothing else that
 * anybody could notice.
 */
#include "base/intr_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"

static int wake_pipe[2] = { -1, -1 };
static int status_pipe[2] = { -1, -1 };
static atomic_int last;

static void
ring(int fd)
{
	int saved = errno;

	/* A full pipe wakes as well as one more byte would. */
	if (write(fd, "", 1) < 0)
		errno = saved;
	errno = saved;
}

static void
on_signal(int sig)
{
	atomic_store(&last, sig);
	ring(wake_pipe[1]);
}

static void
on_status(int sig)
{
	(void)sig;
	ring(status_pipe[1]);
}

/* Make a pipe that a handler of the signals rings; its reading end, or -1. */
static int
prepare(int ends[2], const sigset_t *set, void (*handler)(int))
{
	struct sigaction act = { .sa_handler = handler };
	int i, sig;

	if (pipe(ends) != 0)
		return -1;
	for (i = 0; i < 2; i++) {
		(void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
		(void)fcntl(ends[i], F_SETFL, O_NONBLOCK);
	}
	for (sig = 1; sig < NSIG; sig++)
		if (sigismember(set, sig) == 1)
			(void)sigaction(sig, &act, NULL);
	return ends[0];
}

int
intr_prepare(const sigset_t *set)
{
	return prepare(wake_pipe, set, on_signal);
}

int
intr_pending(const sigset_t *set)
{
	(void)set;
	return atomic_load(&last);
}

int
intr_prepare_status(const sigset_t *set)
{
	return prepare(status_pipe, set, on_status);
}

/* There is no ppoll(2) everywhere. */
bool
intr_holds_kicks(void)
{
	return false;
}

void
intr_hold_kicks(bool hold)
{
	(void)hold;
}

int
intr_poll_kicked(struct pollfd *fds, nfds_t count, int64_t deadline_ns)
{
	return poll(fds, count, clock_poll_ms(deadline_ns));
}

void
intr_drain_status(int fd)
{
	char bytes[64];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		continue;
}
