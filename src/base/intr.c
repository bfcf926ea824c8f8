#include "base/intr.h"
#include "base/intr_impl.h"

#include <stdatomic.h>
#include <stddef.h>

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
static atomic_int caught;

enum { SIGNALS = sizeof(signals) / sizeof(signals[0]) };

static void
on_signal(int sig)
{
	atomic_store(&caught, sig);
	intr_wake();
}

int
intr_signal(void)
{
	return atomic_load(&caught);
}

void
intr_install(void)
{
	struct sigaction act = { .sa_handler = SIG_IGN };
	struct sigaction old;
	sigset_t set;
	size_t i;

	(void)sigaction(SIGPIPE, &act, NULL);
	(void)sigaction(SIGXFSZ, &act, NULL);
	(void)sigemptyset(&set);
	act.sa_handler = on_signal;
	for (i = 0; i < SIGNALS; i++) {
		if (sigaction(signals[i], NULL, &old) != 0 ||
		    old.sa_handler == SIG_IGN)
			continue;
		(void)sigaction(signals[i], &act, NULL);
		(void)sigaddset(&set, signals[i]);
	}
	intr_prepare(&set);
}

bool
intr_sleep(int64_t deadline_ns)
{
	return intr_poll(NULL, 0, deadline_ns) == 0;
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
