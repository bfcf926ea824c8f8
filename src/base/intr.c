#include "base/intr.h"
#include "base/intr_impl.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { FDS_MAX = 80 };

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
static const int status_signals[] = {
	SIGUSR1,
#ifdef SIGINFO
	SIGINFO,
#endif
};
static sigset_t handled;
static int signal_fd = -1, status_fd = -1;
static atomic_int caught;

void
intr_install(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	size_t i;

	(void)sigaction(SIGPIPE, &ignore, NULL);
	(void)sigaction(SIGXFSZ, &ignore, NULL);
	(void)sigemptyset(&handled);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			(void)sigaddset(&handled, signals[i]);
	signal_fd = intr_prepare(&handled);
}

int
intr_fd(void)
{
	return signal_fd;
}

int
intr_signal(void)
{
	return atomic_load(&caught);
}

void
intr_note(void)
{
	atomic_store(&caught, intr_pending(&handled));
}

int
intr_poll(struct pollfd *fds, nfds_t count, int64_t deadline_ns)
{
	struct pollfd stack[FDS_MAX], *all = stack;
	int n;

	if (count >= FDS_MAX)
		all = malloc((count + 1) * sizeof(*all));
	if (all == NULL)
		return -1;
	if (count > 0)
		memcpy(all, fds, count * sizeof(*all));
	all[count] = (struct pollfd){ .fd = signal_fd, .events = POLLIN };
	do
		n = poll(all, count + 1, clock_poll_ms(deadline_ns));
	while (n < 0);
	if (all[count].revents != 0) {
		intr_note();
		n = -1;
	}
	if (count > 0)
		memcpy(fds, all, count * sizeof(*all));
	if (all != stack)
		free(all);
	return n;
}

bool
intr_sleep(int64_t deadline_ns)
{
	return intr_poll(NULL, 0, deadline_ns) == 0;
}

static void
do_nothing(int sig)
{
	(void)sig;
}

static void
handle_kicks(void)
{
	struct sigaction act = { .sa_handler = do_nothing };

	(void)sigaction(SIGURG, &act, NULL);
}

void
intr_kick(pthread_t thread)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, handle_kicks);
	(void)pthread_kill(thread, SIGURG);
}

void
intr_take_kicks(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGURG);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void
intr_status_on(void)
{
	sigset_t set;
	size_t i;

	(void)sigemptyset(&set);
	for (i = 0; i < sizeof(status_signals) / sizeof(status_signals[0]);
	    i++)
		(void)sigaddset(&set, status_signals[i]);
	status_fd = intr_prepare_status(&set);
}

int
intr_status_fd(void)
{
	return status_fd;
}

void
intr_take_status(void)
{
	intr_drain_status(status_fd);
}

void
intr_die(int sig)
{
	struct sigaction act = { .sa_handler = SIG_DFL };
	sigset_t set;

	(void)sigaction(sig, &act, NULL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, sig);
	(void)raise(sig);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
