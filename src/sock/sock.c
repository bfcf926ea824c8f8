/* The socket: its mode, and the one place where a call waits. */
#include "sock/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/intr.h"
#include "sock/sys.h"
#include "sock/through.h"

enum { WATCHED = 3 };		/* abort, stop, nudge */

void
sock_pause(struct sock *s, enum sk_side side, int64_t wake_ns, bool no_fds)
{
	s->pause_ns[side] = wake_ns;
	s->pause_only[side] = no_fds;
}

size_t
sock_pollfds(const struct sock *s, enum sk_side side, enum sk_result want,
    struct pollfd *fds)
{
	if (s->pause_only[side])
		return 0;
	if (s->tr->pollfds != NULL)
		return s->tr->pollfds(s, want, fds);
	fds[0].fd = s->fd;
	fds[0].events = want == SK_WANT_READ ? POLLIN : POLLOUT;
	fds[0].revents = 0;
	return 1;
}

int64_t
sock_wake_ns(const struct sock *s, enum sk_side side)
{
	return clock_min_ns(s->deadline_ns[side], s->pause_ns[side]);
}

static void
watch(struct pollfd *fds, size_t *count, const struct latch *latch)
{
	if (latch != NULL && !latch_is_closed(latch))
		fds[(*count)++] = (struct pollfd){ .fd = latch->fd,
		    .events = POLLIN };
}

/*
 * Beside what is watched: whoever sets a latch wakes us, and a signal does if
 * latches have descriptors. Else who sees the signal kicks us.
 */
static int
wait_watching(struct sock *s, enum sk_side side, struct pollfd *fds,
    size_t count)
{
	int n;

	watch(fds, &count, s->abort);
	if (side == SK_IN) {
		watch(fds, &count, s->stop);
		watch(fds, &count, s->nudge);
	}
	if (s->abort == NULL || !latch_is_closed(s->abort))
		return intr_poll(fds, count, sock_wake_ns(s, side));
	/* A kick is as good as what was waited for: the call looks again. */
	n = intr_poll_kicked(fds, count, sock_wake_ns(s, side));
	return n < 0 ? 1 : n;
}

/* Whether a latch that is set ends the wait. */
static bool
latch_ends(const struct sock *s, enum sk_side side, enum sk_result *r)
{
	*r = SK_OK;
	if (s->abort != NULL && latch_is_set(s->abort))
		*r = SK_INTERRUPTED;
	else if (side == SK_IN && s->nudge != NULL && latch_is_set(s->nudge))
		*r = SK_TIMEOUT;
	return *r != SK_OK;
}

bool
sock_is_kicked(const struct sock *s, enum sk_side side)
{
	return s->kicked && s->abort != NULL && (side == SK_OUT ||
	    (s->nudge == NULL && !sock_is_terminal(s)));
}

/*
 * POLLERR and POLLHUP mean "try": the call reports the real error. So does a
 * kick, which may have been for the call before.
 */
enum sk_result
sock_wait(struct sock *s, enum sk_side side, enum sk_result want)
{
	struct pollfd fds[SK_POLLFDS_MAX + WATCHED];
	enum sk_result told;
	size_t count;
	int n;

	if (latch_ends(s, side, &told))
		return told;
	count = sock_pollfds(s, side, want, fds);
	if (!sock_is_kicked(s, side)) {
		n = wait_watching(s, side, fds, count);
		if (n < 0)
			return SK_INTERRUPTED;
	} else
		n = poll(fds, (nfds_t)count,
		    clock_poll_ms(sock_wake_ns(s, side)));
	if (latch_ends(s, side, &told))
		return told;
	if (n == 0 && clock_now_ns() >= s->deadline_ns[side])
		return SK_TIMEOUT;
	return SK_OK;
}

bool
sock_again(struct sock *s, enum sk_side side, enum sk_result *r)
{
	if (*r != SK_WANT_READ && *r != SK_WANT_WRITE)
		return false;
	if (s->mode == SK_NONBLOCKING) {
		if (s->deadline_ns[side] != CLOCK_NEVER &&
		    clock_now_ns() >= s->deadline_ns[side])
			*r = SK_TIMEOUT;
		return false;
	}
	*r = sock_wait(s, side, *r);
	return *r == SK_OK;
}

void
sock_begin(struct sock *s, enum sk_side side)
{
	sock_pause(s, side, CLOCK_NEVER, false);
}

enum sk_result
sock_connect(struct sock *s, struct err *e)
{
	enum sk_result r;

	do {
		sock_begin(s, SK_OUT);
		r = s->tr->try_connect != NULL ? s->tr->try_connect(s, e) :
		    SK_OK;
	} while (sock_again(s, SK_OUT, &r));
	return r;
}

enum sk_result
sock_listen(struct sock *s, struct err *e)
{
	enum sk_result r;

	do {
		sock_begin(s, SK_OUT);
		r = s->tr->try_listen != NULL ? s->tr->try_listen(s, e) :
		    SK_OK;
	} while (sock_again(s, SK_OUT, &r));
	return r;
}

enum sk_result
sock_accept(struct sock *s, struct sock **client, struct err *e)
{
	enum sk_result r;

	*client = NULL;
	do {
		sock_begin(s, SK_IN);
		r = s->tr->try_accept(s, client, e);
	} while (sock_again(s, SK_IN, &r));
	return r;
}

enum sk_result
sock_handshake(struct sock *s, struct err *e)
{
	enum sk_result r;

	do {
		sock_begin(s, SK_OUT);
		r = s->tr->try_handshake != NULL ?
		    s->tr->try_handshake(s, e) : SK_OK;
	} while (sock_again(s, SK_OUT, &r));
	return r;
}

void
sock_begin_taking(struct sock *s)
{
	atomic_fetch_add(&s->taking, 1);
}

void
sock_end_taking(struct sock *s)
{
	atomic_fetch_add(&s->taking, 1);
}

void
sock_note_taken(struct sock *s, int sys)
{
	if (sys == ECONNRESET)
		atomic_store(&s->taken_error, sys);
}

bool
sock_is_dead(const struct sock *s)
{
	struct pollfd p = { .fd = s->fd };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) != 0;
}

/*
 * A connection that lives has had no error, and sendfile(2) may wait for a
 * disk. Where it is dead, the call is soon over, if not at once.
 */
int
sock_await_taken(struct sock *s)
{
	unsigned now = atomic_load(&s->taking);

	if (now % 2 == 1 && sock_is_dead(s))
		while (atomic_load(&s->taking) == now)
			(void)poll(NULL, 0, 1);
	return atomic_load(&s->taken_error);
}

static enum sk_result
try_recv(struct sock *s, void *buf, size_t len, size_t *got, struct err *e)
{
	if (!sock_may_go(s, SK_IN, &len))
		return SK_WANT_READ;
	s->sleeps = sock_is_kicked(s, SK_IN) &&
	    s->deadline_ns[SK_IN] == CLOCK_NEVER;
	if (through_held(s) > 0)
		return through_recv(s, buf, len, got, e);
	return s->tr->try_recv(s, buf, len, got, e);
}

enum sk_result
sock_recv(struct sock *s, void *buf, size_t len, size_t *got, struct err *e)
{
	enum sk_result r;

	*got = 0;
	do {
		if (atomic_load(&s->input_stopped))
			return SK_EOF;
		sock_begin(s, SK_IN);
		r = try_recv(s, buf, len, got, e);
	} while (sock_again(s, SK_IN, &r));
	sock_went(s, SK_IN, *got);
	return r;
}

enum sk_result
sock_send(struct sock *s, const void *buf, size_t len, size_t *put,
    struct err *e)
{
	enum sk_result r;

	*put = 0;
	do {
		sock_begin(s, SK_OUT);
		r = sock_may_go(s, SK_OUT, &len) ?
		    s->tr->try_send(s, buf, len, put, e) : SK_WANT_WRITE;
	} while (sock_again(s, SK_OUT, &r));
	sock_went(s, SK_OUT, *put);
	return r;
}

enum sk_result
sock_shutdown_write(struct sock *s, struct err *e)
{
	enum sk_result r;

	do {
		sock_begin(s, SK_OUT);
		r = s->tr->try_shutdown != NULL ? s->tr->try_shutdown(s, e) :
		    SK_OK;
	} while (sock_again(s, SK_OUT, &r));
	return r;
}

void
sock_shutdown_read(struct sock *s)
{
	(void)shutdown(s->fd, SHUT_RD);
}

enum sk_result
sock_drain(struct sock *s, struct err *e)
{
	enum sk_result r;

	do {
		sock_begin(s, SK_OUT);
		r = s->tr->try_drain != NULL ? s->tr->try_drain(s, e) : SK_OK;
	} while (sock_again(s, SK_OUT, &r));
	return r;
}

enum sk_result
sock_probe(struct sock *s, struct err *e)
{
	return s->tr->try_probe != NULL ? s->tr->try_probe(s, e) : SK_OK;
}

bool
sock_has_input(const struct sock *s)
{
	struct pollfd fds[SK_POLLFDS_MAX];
	size_t count = s->tr->pollfds != NULL ?
	    s->tr->pollfds(s, SK_WANT_READ, fds) : 1;

	if (s->tr->pollfds == NULL)
		fds[0] = (struct pollfd){ .fd = s->fd, .events = POLLIN };
	return poll(fds, (nfds_t)count, 0) > 0;
}

int
sock_peer_fd(const struct sock *s)
{
	return kind_is_stream(s->kind) ? s->fd : -1;
}

long
sock_unacknowledged(const struct sock *s)
{
	return kind_is_stream(s->kind) ? sys_unacknowledged(s->fd) : 0;
}

static void
sock_free(struct sock *s)
{
	if (s->tr->release != NULL)
		s->tr->release(s);
	if (s->fd != -1)
		(void)close(s->fd);
	if (s->origin != NULL && atomic_fetch_sub(&s->origin->users, 1) == 1)
		free(s->origin);
	through_release(s);
	free(s->pace);
	free(s->announced);
	free(s->name);
	free(s);
}

enum sk_result
sock_close(struct sock **s, struct err *e)
{
	enum sk_result r;

	r = sock_drain(*s, e);
	if (r != SK_OK)
		return r;
	if (!sock_disarm(*s, e))
		return SK_ERROR;
	sock_free(*s);
	*s = NULL;
	return SK_OK;
}

void
sock_abort(struct sock **s)
{
	if (*s != NULL)
		sock_free(*s);
	*s = NULL;
}

void
sock_set_mode(struct sock *s, enum sk_mode mode)
{
	s->mode = (unsigned char)mode;
}

void
sock_set_deadline(struct sock *s, int64_t deadline_ns)
{
	s->deadline_ns[SK_IN] = s->deadline_ns[SK_OUT] = deadline_ns;
}

void
sock_set_side_deadline(struct sock *s, enum sk_side side, int64_t deadline_ns)
{
	s->deadline_ns[side] = deadline_ns;
}

void
sock_set_abort(struct sock *s, const struct latch *latch)
{
	s->abort = latch;
}

bool
sock_set_blocks(struct sock *s, bool blocks)
{
	int flags = fcntl(s->fd, F_GETFL);

	if (flags == -1 || fcntl(s->fd, F_SETFL, blocks ?
	    flags & ~O_NONBLOCK : flags | O_NONBLOCK) == -1)
		return false;
	atomic_store(&s->blocks, blocks);
	return true;
}

void
sock_set_kicked(struct sock *s, bool kicked)
{
	s->kicked = kicked;
	if (s->tr->set_kicked != NULL)
		s->tr->set_kicked(s);
}

void
sock_set_nudge(struct sock *s, const struct latch *latch)
{
	s->nudge = latch;
}

void
sock_follow(struct sock *s, const struct sock *other)
{
	s->abort = other->abort;
}

void
sock_set_stop(struct sock *s, struct latch *latch)
{
	s->stop = latch;
}

void
sock_stop_input(struct sock *s)
{
	atomic_store(&s->input_stopped, true);
	if (s->stop != NULL)
		(void)latch_set(s->stop);
}

unsigned
sock_next_generation(void)
{
	static atomic_uint last;

	return atomic_fetch_add(&last, 1) + 1;
}

unsigned
sock_generation(const struct sock *s)
{
	return s->generation;
}

bool
sock_is_datagram(const struct sock *s)
{
	return s->tr->datagram;
}

const char *
sock_name(const struct sock *s)
{
	return s->name;
}
