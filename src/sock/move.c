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
	    (sys_can_sendfile(from->kind, to->kind) ||
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

static bool
is_broken(int sys)
{
	return sys == EPIPE || sys == ECONNRESET || sys == ETIMEDOUT ||
	    sys == ENOTCONN || sys == ECONNABORTED || sys == EHOSTUNREACH ||
	    sys == ENETUNREACH || sys == ENETDOWN;
}

enum sk_result
move_refused(struct sock *from, struct sock *to, int sys, struct sock **waits,
    struct err *e)
{
	*waits = to;
	if (sys == EAGAIN || sys == EWOULDBLOCK)
		return SK_WANT_WRITE;
	/* EINVAL and its like (O_APPEND), or EIO: a plain call does it. */
	if (!kind_is_stream(to->kind) || !is_broken(sys)) {
		from->no_move = true;
		return SK_OK;
	}
	sock_note_taken(to, sys);
	err_set(e, ERR_BROKEN, sys == EPIPE ? ECONNRESET : sys, to->name,
	    "sending");
	return SK_ERROR;
}

enum sk_result
move_next(struct sock *from, struct err *e)
{
	return from->tr->try_next != NULL ? from->tr->try_next(from, e) :
	    SK_EOF;
}

/*
 * A stream that blocks would do so until all is gone that is to go into it, or
 * something has come, with all else waiting that may end the wait.
 */
static void
block_no_more(struct sock *s)
{
	if (s->kind != KIND_PIPE && atomic_load(&s->blocks))
		(void)sock_set_blocks(s, false);
}

/* Of a UNIX stream, a peer that has closed in order looks the same. */
void
move_note_part(struct sock *to, size_t sent, size_t all)
{
	if (sent < all && to->kind == KIND_TCP && sock_is_dead(to))
		sock_note_taken(to, ECONNRESET);
}

/* From a file, which is always ready. */
static enum sk_result
send_file(struct sock *from, struct sock *to, size_t max, size_t *moved,
    struct sock **waits, struct err *e)
{
	enum sk_result r = SK_OK;
	ssize_t n;

	sock_begin_taking(to);
	do
		n = sys_sendfile(to->fd, from->fd, max);
	while (n < 0 && errno == EINTR && !from->kicked);
	if (n < 0 && errno == EINTR)
		r = SK_WANT_READ;
	else if (n < 0)
		r = move_refused(from, to, errno, waits, e);
	else
		move_note_part(to, (size_t)n, max);
	sock_end_taking(to);
	if (n > 0)
		*moved = (size_t)n;
	return n == 0 ? move_next(from, e) : r;
}

static enum sk_result
try_move(struct sock *from, struct sock *to, size_t max, size_t *moved,
    struct sock **waits, struct err *e)
{
	*waits = from;
	if (!sock_may_go(from, SK_IN, &max))
		return SK_WANT_READ;
	if (!sock_may_go(to, SK_OUT, &max)) {
		*waits = to;
		return SK_WANT_WRITE;
	}
	block_no_more(from);
	block_no_more(to);
	return through_is_possible(from->kind, to->kind) ?
	    through_move(from, to, max, moved, waits, e) :
	    send_file(from, to, max, moved, waits, e);
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
