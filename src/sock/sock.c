/* The socket: its mode, and the one place where a call waits. */
#include "sock/impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/intr.h"
#include "sock/sys.h"

enum {
	WATCHED = 3,		/* abort, stop, nudge */
	STALLS_MAX = 3,
	PACE_SLICES = 50,	/* of a second */
};

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
	if (latch != NULL)
		fds[(*count)++] = (struct pollfd){ .fd = latch->fd,
		    .events = POLLIN };
}

/* POLLERR and POLLHUP mean "try": the call reports the real error. */
enum sk_result
sock_wait(struct sock *s, enum sk_side side, enum sk_result want)
{
	struct pollfd fds[SK_POLLFDS_MAX + WATCHED];
	size_t count;
	int n;

	count = sock_pollfds(s, side, want, fds);
	watch(fds, &count, s->abort);
	if (side == SK_IN) {
		watch(fds, &count, s->stop);
		watch(fds, &count, s->nudge);
	}
	n = intr_poll(fds, count, sock_wake_ns(s, side));
	if (n < 0 || (s->abort != NULL && latch_is_set(s->abort)))
		return SK_INTERRUPTED;
	if (side == SK_IN && s->nudge != NULL && latch_is_set(s->nudge))
		return SK_TIMEOUT;
	if (n == 0 && clock_now_ns() >= s->deadline_ns[side])
		return SK_TIMEOUT;
	return SK_OK;
}

/* True if the call is to be tried again; *r is its result if not. */
static bool
again(struct sock *s, enum sk_side side, enum sk_result *r)
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

static void
begin(struct sock *s, enum sk_side side)
{
	sock_pause(s, side, CLOCK_NEVER, false);
}

/*
 * Whether a side may go on by its pace, with up to *len bytes: what a stream
 * may move within a slice, so that it flows instead of jumping.
 */
static bool
may_go(struct sock *s, enum sk_side side, size_t *len)
{
	const struct sk_pace *p = s->pace;
	uint64_t slice;

	if (p == NULL)
		return true;
	if (clock_now_ns() < p->ready_ns[side]) {
		sock_pause(s, side, p->ready_ns[side], true);
		return false;
	}
	slice = p->rate / PACE_SLICES + 1;
	if (p->rate > 0 && !s->tr->datagram && *len > slice)
		*len = (size_t)slice;
	return true;
}

/*
 * The generic cell rate algorithm, which is a token bucket of one slice: what
 * was moved takes its time from where the last one ended, so that a late wake
 * is made up for, but not a pause.
 */
static void
went(struct sock *s, enum sk_side side, size_t len)
{
	struct sk_pace *p = s->pace;
	int64_t earliest;

	if (p == NULL || p->rate == 0)
		return;
	earliest = clock_now_ns() - CLOCK_SEC / PACE_SLICES;
	if (p->ready_ns[side] < earliest)
		p->ready_ns[side] = earliest;
	p->ready_ns[side] = clock_after_ns(p->ready_ns[side],
	    (int64_t)((double)len * (double)CLOCK_SEC / (double)p->rate));
}

bool
sock_set_pace(struct sock *s, uint64_t rate, struct err *e)
{
	if (s->pace == NULL && (s->pace = calloc(1, sizeof(*s->pace))) == NULL) {
		err_no_memory(e);
		return false;
	}
	s->pace->rate = rate;
	return true;
}

void
sock_delay(struct sock *s, enum sk_side side, int64_t until_ns)
{
	if (s->pace->ready_ns[side] < until_ns)
		s->pace->ready_ns[side] = until_ns;
}

enum sk_result
sock_connect(struct sock *s, struct err *e)
{
	enum sk_result r;

	do {
		begin(s, SK_OUT);
		r = s->tr->try_connect != NULL ? s->tr->try_connect(s, e) :
		    SK_OK;
	} while (again(s, SK_OUT, &r));
	return r;
}

enum sk_result
sock_listen(struct sock *s, struct err *e)
{
	enum sk_result r;

	do {
		begin(s, SK_OUT);
		r = s->tr->try_listen != NULL ? s->tr->try_listen(s, e) :
		    SK_OK;
	} while (again(s, SK_OUT, &r));
	return r;
}

enum sk_result
sock_accept(struct sock *s, struct sock **client, struct err *e)
{
	enum sk_result r;

	*client = NULL;
	do {
		begin(s, SK_IN);
		r = s->tr->try_accept(s, client, e);
	} while (again(s, SK_IN, &r));
	return r;
}

enum sk_result
sock_handshake(struct sock *s, struct err *e)
{
	enum sk_result r;

	do {
		begin(s, SK_OUT);
		r = s->tr->try_handshake != NULL ?
		    s->tr->try_handshake(s, e) : SK_OK;
	} while (again(s, SK_OUT, &r));
	return r;
}

enum sk_result
sock_recv(struct sock *s, void *buf, size_t len, size_t *got, struct err *e)
{
	enum sk_result r;

	*got = 0;
	do {
		if (atomic_load(&s->input_stopped))
			return SK_EOF;
		begin(s, SK_IN);
		r = may_go(s, SK_IN, &len) ?
		    s->tr->try_recv(s, buf, len, got, e) : SK_WANT_READ;
	} while (again(s, SK_IN, &r));
	went(s, SK_IN, *got);
	return r;
}

enum sk_result
sock_send(struct sock *s, const void *buf, size_t len, size_t *put,
    struct err *e)
{
	enum sk_result r;

	*put = 0;
	do {
		begin(s, SK_OUT);
		r = may_go(s, SK_OUT, &len) ?
		    s->tr->try_send(s, buf, len, put, e) : SK_WANT_WRITE;
	} while (again(s, SK_OUT, &r));
	went(s, SK_OUT, *put);
	return r;
}

enum sk_result
sock_shutdown_write(struct sock *s, struct err *e)
{
	enum sk_result r;

	do {
		begin(s, SK_OUT);
		r = s->tr->try_shutdown != NULL ? s->tr->try_shutdown(s, e) :
		    SK_OK;
	} while (again(s, SK_OUT, &r));
	return r;
}

enum sk_result
sock_drain(struct sock *s, struct err *e)
{
	enum sk_result r;

	do {
		begin(s, SK_OUT);
		r = s->tr->try_drain != NULL ? s->tr->try_drain(s, e) : SK_OK;
	} while (again(s, SK_OUT, &r));
	return r;
}

bool
sock_can_move(const struct sock *from, const struct sock *to)
{
	return !from->no_move && !from->opaque && !to->opaque &&
	    sys_can_move(from->kind, to->kind);
}

/*
 * Which of the two was not ready? If both are by now, the move is to be tried
 * again (SK_OK with nothing moved); if that happens again and again, the
 * kernel cannot do it after all (an urgent byte), and the bytes go by memory.
 */
static enum sk_result
move_want(struct sock *from, struct sock *to, struct sock **waits)
{
	struct pollfd fds[2] = {
		{ .fd = from->fd, .events = POLLIN },
		{ .fd = to->fd, .events = POLLOUT },
	};

	(void)poll(fds, 2, 0);
	if (fds[0].revents == 0) {
		*waits = from;
		return SK_WANT_READ;
	}
	if (to->fd != -1 && fds[1].revents == 0) {
		*waits = to;
		return SK_WANT_WRITE;
	}
	from->no_move = ++from->stalls == STALLS_MAX;
	return SK_OK;
}

static enum sk_result
move_error(struct sock *from, struct sock *to, int sys, struct sock **waits,
    struct err *e)
{
	bool broken = sys == EPIPE || sys == ECONNRESET || sys == ETIMEDOUT ||
	    sys == ENOTCONN || sys == ECONNABORTED || sys == EHOSTUNREACH ||
	    sys == ENETUNREACH || sys == ENETDOWN;
	bool from_stream = from->kind == KIND_TCP ||
	    from->kind == KIND_STREAM;

	*waits = broken && !from_stream ? to : from;
	if (!broken || (from_stream && sys == EPIPE)) {
		/*
		 * EINVAL and its like, or EIO: let a plain call report it.
		 * So too a pipe without a reader: splice(2) says EPIPE even
		 * where the stream has ended and nothing would be written.
		 */
		from->no_move = true;
		return SK_OK;
	}
	if (*waits == to)
		err_set(e, ERR_BROKEN, sys == EPIPE ? ECONNRESET : sys,
		    to->name, "sending");
	else
		err_set(e, ERR_BROKEN, sys, from->name, "receiving");
	return SK_ERROR;
}

static enum sk_result
try_move(struct sock *from, struct sock *to, size_t max, size_t *moved,
    struct sock **waits, struct err *e)
{
	ssize_t n;

	*waits = from;
	if (!may_go(from, SK_IN, &max))
		return SK_WANT_READ;
	if (!may_go(to, SK_OUT, &max)) {
		*waits = to;
		return SK_WANT_WRITE;
	}
	do
		n = sys_move(from, to, max);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		*moved = (size_t)n;
		from->stalls = 0;
		went(from, SK_IN, *moved);
		went(to, SK_OUT, *moved);
		return SK_OK;
	}
	if (n == 0)
		return from->tr->try_next != NULL ?
		    from->tr->try_next(from, e) : SK_EOF;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return move_want(from, to, waits);
	return move_error(from, to, errno, waits, e);
}

enum sk_result
sock_move(struct sock *from, struct sock *to, size_t max, size_t *moved,
    struct sock **waits, struct err *e)
{
	enum sk_result r;

	*moved = 0;
	do {
		if (atomic_load(&from->input_stopped))
			return SK_EOF;
		begin(from, SK_IN);
		begin(to, SK_OUT);
		r = try_move(from, to, max, moved, waits, e);
	} while (again(*waits, *waits == from ? SK_IN : SK_OUT, &r));
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
	return s->kind == KIND_TCP || s->kind == KIND_STREAM ? s->fd : -1;
}

long
sock_unacknowledged(const struct sock *s)
{
	return s->kind == KIND_TCP || s->kind == KIND_STREAM ?
	    sys_unacknowledged(s->fd) : 0;
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
		latch_set(s->stop);
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
