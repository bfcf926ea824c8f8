/* Moving bytes from one socket to another inside the kernel. */
#include "sock/impl.h"

#include <errno.h>

#include "sock/sys.h"
#include "sock/through.h"

enum { STALLS_MAX = 3 };

bool
sock_can_move(const struct sock *from, const struct sock *to)
{
	return !from->no_move && !from->opaque && !to->opaque &&
	    (sys_can_move(from->kind, to->kind) ||
	    through_is_possible(from->kind, to->kind));
}

void
sock_widen(struct sock *s)
{
	if (s->kind == KIND_PIPE)
		sys_widen(s->fd);
}

size_t
sock_moving(const struct sock *from)
{
	return through_held(from);
}

bool
move_stalls(struct sock *from)
{
	struct pollfd p = { .fd = from->fd, .events = POLLIN };

	if (poll(&p, 1, 0) <= 0)
		return false;
	from->no_move = ++from->stalls == STALLS_MAX;
	return true;
}

/*
 * Which of the two was not ready? A file always is. If both are by now, the
 * move is to be tried again (SK_OK with nothing moved); if that happens again
 * and again, the kernel cannot do it after all (an urgent byte), and the bytes
 * go by memory.
 */
static enum sk_result
move_want(struct sock *from, struct sock *to, struct sock **waits)
{
	struct pollfd fds[2] = {
		{ .fd = from->fd, .events = POLLIN },
		{ .fd = to->fd, .events = POLLOUT },
	};

	if (from->kind == KIND_FILE) {
		*waits = to;
		return SK_WANT_WRITE;
	}
	(void)poll(fds, 2, 0);
	if (fds[0].revents == 0) {
		*waits = from;
		return SK_WANT_READ;
	}
	if (fds[1].revents == 0) {
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

/*
 * A stream that blocks would do so until all is gone that is to go into it, or,
 * being read, would keep the lock of the pipe from whoever reads that.
 */
static void
block_no_more(struct sock *s)
{
	if (s->kind != KIND_PIPE && atomic_load(&s->blocks))
		(void)sock_set_blocks(s, false);
}

static enum sk_result
try_move(struct sock *from, struct sock *to, size_t max, size_t *moved,
    struct sock **waits, struct err *e)
{
	ssize_t n;

	*waits = from;
	if (!sock_may_go(from, SK_IN, &max))
		return SK_WANT_READ;
	if (!sock_may_go(to, SK_OUT, &max)) {
		*waits = to;
		return SK_WANT_WRITE;
	}
	block_no_more(from);
	block_no_more(to);
	if (through_is_possible(from->kind, to->kind))
		return through_move(from, to, max, moved, waits, e);
	do
		n = sys_move(from, to, max);
	while (n < 0 && errno == EINTR && !from->kicked);
	if (n > 0) {
		*moved = (size_t)n;
		from->stalls = 0;
		return SK_OK;
	}
	if (n == 0 && from->kind != KIND_FILE && from->kind != KIND_PIPE) {
		/* recv(2) tells an end from an urgent byte. */
		from->no_move = true;
		return SK_OK;
	}
	if (n == 0)
		return from->tr->try_next != NULL ?
		    from->tr->try_next(from, e) : SK_EOF;
	if (errno == EINTR)
		return SK_WANT_READ;
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
		sock_begin(from, SK_IN);
		sock_begin(to, SK_OUT);
		r = try_move(from, to, max, moved, waits, e);
	} while (sock_again(*waits, *waits == from ? SK_IN : SK_OUT, &r));
	sock_went(from, SK_IN, *moved);
	sock_went(to, SK_OUT, *moved);
	return r;
}
