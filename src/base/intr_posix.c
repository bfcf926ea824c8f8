/*
 * Elsewhere: the handler makes a pipe readable, and does nothing else that
 * anybody could notice.
 */
#include "base/intr_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

static int wake_pipe[2] = { -1, -1 };
static atomic_int last;

static void
on_signal(int sig)
{
	int saved = errno;

	atomic_store(&last, sig);
	/* A full pipe wakes as well as one more byte would. */
	if (write(wake_pipe[1], "", 1) < 0)
		errno = saved;
	errno = saved;
}

int
intr_prepare(const sigset_t *set)
{
	struct sigaction act = { .sa_handler = on_signal };
	int i, sig;

	if (pipe(wake_pipe) != 0)
		return -1;
	for (i = 0; i < 2; i++) {
		(void)fcntl(wake_pipe[i], F_SETFD, FD_CLOEXEC);
		(void)fcntl(wake_pipe[i], F_SETFL, O_NONBLOCK);
	}
	for (sig = 1; sig < NSIG; sig++)
		if (sigismember(set, sig) == 1)
			(void)sigaction(sig, &act, NULL);
	return wake_pipe[0];
}

int
intr_pending(const sigset_t *set)
{
	(void)set;
	return atomic_load(&last);
}
