/* The latch: set once, seen by everybody, closed without harm. */
#include "base/latch.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/intr.h"
#include "tap.h"

enum { SETTERS = 8 };

static bool
is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void *
set(void *latch)
{
	(void)latch_set(latch);
	return NULL;
}

/* A thread that sleeps on the descriptor is woken. */
static void *
sleep_on(void *latch)
{
	struct latch *l = latch;
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	return poll(&p, 1, -1) == 1 && latch_is_set(l) ? latch : NULL;
}

/* One that comes before the wait ends it. */
static void
test_kicks(void)
{
	struct latch l = LATCH_CLOSED;
	int64_t begin = clock_now_ns(), late = begin + 10 * CLOCK_SEC;

	tap_ok(latch_is_closed(&l) && latch_set(&l) && !latch_set(&l) &&
	    latch_is_set(&l), "a closed one can be set");
	latch_reset(&l);
	tap_ok(!latch_is_set(&l), "and reset");
	latch_close(&l);
	if (!intr_holds_kicks())
		return;
	intr_hold_kicks(true);
	intr_kick(pthread_self());
	tap_ok(intr_poll_kicked(NULL, 0, late) < 0 && clock_now_ns() < late,
	    "a kick that is held back ends the next wait");
	tap_int(intr_poll_kicked(NULL, 0, clock_now_ns() + CLOCK_MS), 0,
	    "and only that");
	intr_hold_kicks(false);
}

int
main(void)
{
	struct latch l = LATCH_CLOSED;
	struct err e = { 0 };
	pthread_t sleeper, setters[SETTERS];
	void *woken = NULL;
	int i, fd, write_fd;
	bool ok = true;

	tap_start();
	test_kicks();
	latch_close(&l);
	tap_int(l.fd, -1, "a closed latch can be closed");
	if (!tap_ok(latch_open(&l, &e), "opening"))
		return tap_done();
	tap_ok(!latch_is_set(&l) && !is_readable(l.fd), "it begins unset");
	tap_ok((fcntl(l.fd, F_GETFD) & FD_CLOEXEC) &&
	    (fcntl(l.write_fd, F_GETFD) & FD_CLOEXEC),
	    "no child inherits it");

	ok = pthread_create(&sleeper, NULL, sleep_on, &l) == 0;
	for (i = 0; i < SETTERS; i++)
		ok = pthread_create(&setters[i], NULL, set, &l) == 0 && ok;
	for (i = 0; i < SETTERS; i++)
		(void)pthread_join(setters[i], NULL);
	(void)pthread_join(sleeper, &woken);
	tap_ok(ok && woken == &l, "setting wakes who polls");
	tap_ok(latch_is_set(&l) && is_readable(l.fd), "it stays set");
	(void)latch_set(&l);
	latch_reset(&l);
	tap_ok(!latch_is_set(&l) && !is_readable(l.fd),
	    "setting again writes nothing more");

	fd = l.fd;
	write_fd = l.write_fd;
	latch_close(&l);
	tap_ok(l.fd == -1 && fcntl(fd, F_GETFD) == -1 &&
	    fcntl(write_fd, F_GETFD) == -1, "closing releases both ends");
	return tap_done();
}
