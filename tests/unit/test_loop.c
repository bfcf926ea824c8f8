/* The event loop: the same behaviour on epoll and on poll. */
#include "flow/loop.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/intr.h"
#include "tap.h"

enum {
	EVENTS = 16,
	MANY = 100,
	FEW = 4,		/* events taken in one wait */
	SHORT_MS = 30,
};

static int
look(struct loop *l, struct loop_event *ev)
{
	return loop_wait(l, 0, ev, EVENTS);
}

static void
test_events(struct loop *l)
{
	struct loop_event ev[EVENTS];
	struct err e = { 0 };
	int fds[2], tag = 0, other = 0;
	char byte;

	if (pipe(fds) != 0) {
		tap_ok(false, "a pipe");
		return;
	}
	tap_int(look(l, ev), 0, "a loop with nothing to watch");
	tap_ok(loop_watch(l, fds[0], POLLIN, &tag, &e), "watching a pipe");
	tap_int(look(l, ev), 0, "an empty pipe is not readable");
	tap_int(write(fds[1], "x", 1), 1, "a byte");
	tap_ok(look(l, ev) == 1 && ev[0].fd == fds[0] &&
	    (ev[0].events & POLLIN) && ev[0].tag == &tag,
	    "then it is, with its tag");
	tap_int(look(l, ev), 1, "and is again: level-triggered");
	tap_ok(loop_watch(l, fds[0], POLLIN, &other, &e) &&
	    look(l, ev) == 1 && ev[0].tag == &other, "another tag");
	tap_ok(loop_watch(l, fds[0], 0, &other, &e) && look(l, ev) == 0,
	    "watched for errors alone");
	tap_ok(loop_watch(l, fds[0], POLLIN, &other, &e) && look(l, ev) == 1,
	    "and for input again");
	tap_ok(loop_watch(l, fds[1], POLLOUT, &tag, &e) && look(l, ev) == 2,
	    "two descriptors");
	loop_forget(l, fds[0], &other);
	tap_ok(look(l, ev) == 1 && ev[0].fd == fds[1] &&
	    (ev[0].events & POLLOUT), "one is forgotten");
	loop_forget(l, fds[0], &other);
	loop_forget(l, 12345, NULL);
	tap_int(look(l, ev), 1, "forgetting what is not watched");
	tap_int(read(fds[0], &byte, 1), 1, "the byte");
	(void)close(fds[0]);
	tap_ok(loop_watch(l, fds[1], 0, &tag, &e) && look(l, ev) == 1 &&
	    (ev[0].events & (POLLERR | POLLHUP)),
	    "an error is told without being asked for");
	loop_forget(l, fds[1], &tag);
	(void)close(fds[1]);
	tap_int(look(l, ev), 0, "nothing is left");
	err_clear(&e);
}

/* A file is always ready: epoll cannot watch it, poll says so at once. */
static void
test_file(struct loop *l)
{
	struct loop_event ev[EVENTS];
	struct err e = { 0 };
	FILE *file = tmpfile();
	int fd = file != NULL ? fileno(file) : -1;

	if (loop_watch(l, fd, POLLIN, NULL, &e)) {
		tap_int(look(l, ev), 1, "a file is ready");
		loop_forget(l, fd, NULL);
	} else
		tap_int(e.code, ERR_NONE, "a file is ready, and no error");
	err_clear(&e);
	if (file != NULL)
		(void)fclose(file);
}

static void
test_deadline(struct loop *l)
{
	struct loop_event ev[EVENTS];
	int64_t start = clock_now_ns(), took_ns;
	int n;

	n = loop_wait(l, start + SHORT_MS * CLOCK_MS, ev, EVENTS);
	took_ns = clock_now_ns() - start;
	tap_ok(n == 0 && took_ns >= SHORT_MS * CLOCK_MS,
	    "it waits until the deadline");
	start = clock_now_ns();
	n = loop_wait(l, start - CLOCK_SEC, ev, EVENTS);
	tap_ok(n == 0 && clock_now_ns() - start < CLOCK_SEC,
	    "but not for one that has passed");
}

/* Who comes last in the table is told as well, if others are always ready. */
static void
test_many(struct loop *l)
{
	static int fds[MANY][2];
	bool seen[MANY] = { false };
	struct loop_event ev[EVENTS];
	struct err e = { 0 };
	int i, n, turn, missing = MANY;
	bool ok = true;

	for (i = 0; i < MANY; i++)
		ok = pipe(fds[i]) == 0 && write(fds[i][1], "x", 1) == 1 &&
		    loop_watch(l, fds[i][0], POLLIN, &fds[i], &e) && ok;
	tap_ok(ok, "%d descriptors are watched", MANY);
	for (turn = 0; turn < 2 * MANY && missing > 0; turn++) {
		n = loop_wait(l, CLOCK_NEVER, ev, FEW);
		for (i = 0; i < n; i++) {
			int k = (int)((int (*)[2])ev[i].tag - fds);

			missing -= !seen[k];
			seen[k] = true;
		}
	}
	tap_int(missing, 0, "each of them is told in turn");
	for (i = 0; i < MANY; i++) {
		loop_forget(l, fds[i][0], &fds[i]);
		(void)close(fds[i][0]);
		(void)close(fds[i][1]);
	}
	tap_int(look(l, ev), 0, "all of them are forgotten");
	err_clear(&e);
}

/* The last test: haul is asked to end from now on. */
static void
test_interruption(void)
{
	struct loop_event ev[EVENTS];
	struct err e = { 0 };
	struct loop *l;

	intr_install();
	l = loop_new(&e);
	(void)raise(SIGTERM);
	tap_int(loop_wait(l, CLOCK_NEVER, ev, EVENTS), -1,
	    "a signal ends the wait");
	tap_int(intr_signal(), SIGTERM, "and is known by its number");
	loop_free(l);
}

int
main(void)
{
	struct err e = { 0 };
	struct loop *l;

	tap_start();
	loop_free(NULL);
	l = loop_new(&e);
	if (!tap_ok(l != NULL, "a new loop"))
		return tap_done();
	test_events(l);
	test_file(l);
	test_deadline(l);
	test_many(l);
	test_interruption();
	loop_free(l);
	return tap_done();
}
