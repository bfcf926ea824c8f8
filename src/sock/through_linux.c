#define _GNU_SOURCE
#include "sock/through.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * Between two connections, of which there may be thousands, the pipe is there
 * only while something moves. Otherwise it is larger: that more comes before it
 * is written makes this twice as fast to a file (tests/bench).
 */
enum {
	THROUGH_MANY = 256 * 1024,
	THROUGH_ONE = 1024 * 1024,
};

struct sk_through {
	int read_fd, write_fd;
	size_t held;
};

bool
through_is_possible(enum sk_kind from, enum sk_kind to)
{
	return from == KIND_PIPE ? kind_is_stream(to) :
	    kind_is_stream(from) && to != KIND_OTHER;
}

static bool
joins_streams(const struct sock *from, const struct sock *to)
{
	return kind_is_stream(from->kind) && kind_is_stream(to->kind);
}

size_t
through_held(const struct sock *from)
{
	return from->through != NULL ? from->through->held : 0;
}

void
through_release(struct sock *from)
{
	struct sk_through *t = from->through;

	if (t == NULL)
		return;
	(void)close(t->read_fd);
	(void)close(t->write_fd);
	free(t);
	from->through = NULL;
}

static bool
open_through(struct sock *from, const struct sock *to)
{
	struct sk_through *t = calloc(1, sizeof(*t));
	struct rlimit limit;
	int fds[2];

	if (t == NULL || pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
		free(t);
		return false;
	}
	/* The last descriptors are for connections. */
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
	    (rlim_t)fds[1] >= limit.rlim_cur / 4 * 3) {
		(void)close(fds[0]);
		(void)close(fds[1]);
		free(t);
		return false;
	}
	/* As large as the user may have it. */
	if (joins_streams(from, to) ||
	    fcntl(fds[0], F_SETPIPE_SZ, THROUGH_ONE) == -1)
		(void)fcntl(fds[0], F_SETPIPE_SZ, THROUGH_MANY);
	t->read_fd = fds[0];
	t->write_fd = fds[1];
	from->through = t;
	return true;
}

/* The end of what is read: recv(2) tells one from an urgent byte. */
static enum sk_result
fill_ended(struct sock *from, struct err *e)
{
	if (from->kind == KIND_PIPE)
		return move_next(from, e);
	from->no_move = true;
	return SK_OK;
}

/* Into the pipe, which is empty: so it is the socket that is not ready. */
static enum sk_result
fill(struct sock *from, size_t max, struct err *e)
{
	ssize_t n;
	int sys;

	do
		n = splice(from->fd, NULL, from->through->write_fd, NULL, max,
		    SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	while (n < 0 && errno == EINTR && !from->kicked);
	if (n > 0) {
		from->through->held = (size_t)n;
		from->stalls = 0;
		return SK_OK;
	}
	if (n == 0)
		return fill_ended(from, e);
	sys = errno;
	if (sys == EINTR)
		return SK_WANT_READ;
	if (sys == EAGAIN || sys == EWOULDBLOCK)
		return move_stalls(from) ? SK_OK : SK_WANT_READ;
	/* A plain call can do it, or reports why not. */
	if (from->kind == KIND_PIPE || sys == EINVAL || sys == ENOSYS ||
	    sys == EPERM) {
		from->no_move = true;
		return SK_OK;
	}
	sock_note_taken(from, sys);
	err_set(e, ERR_BROKEN, sys, from->name, "receiving");
	return SK_ERROR;
}

static enum sk_result
drain(struct sock *from, struct sock *to, size_t *moved, struct sock **waits,
    struct err *e)
{
	struct sk_through *t = from->through;
	enum sk_result r = SK_OK;
	ssize_t n;

	sock_begin_taking(to);
	do
		n = splice(t->read_fd, NULL, to->fd, NULL, t->held,
		    SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		r = move_refused(from, to, errno, waits, e);
	else
		move_note_part(to, (size_t)n, t->held);
	sock_end_taking(to);
	if (n > 0) {
		*moved = (size_t)n;
		t->held -= (size_t)n;
	}
	return r;
}

enum sk_result
through_move(struct sock *from, struct sock *to, size_t max, size_t *moved,
    struct sock **waits, struct err *e)
{
	enum sk_result r = SK_OK;

	*waits = from;
	if (from->through == NULL && !open_through(from, to)) {
		from->no_move = true;
		return SK_OK;
	}
	if (from->through->held == 0)
		r = fill(from, max, e);
	if (from->through->held == 0 && joins_streams(from, to))
		through_release(from);
	if (r != SK_OK || through_held(from) == 0)
		return r;
	return drain(from, to, moved, waits, e);
}

enum sk_result
through_recv(struct sock *from, void *buf, size_t len, size_t *got,
    struct err *e)
{
	struct sk_through *t = from->through;
	ssize_t n;

	do
		n = read(t->read_fd, buf, len < t->held ? len : t->held);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		err_set(e, ERR_LOCAL, errno, from->name, "receiving");
		return SK_ERROR;
	}
	t->held -= (size_t)n;
	*got = (size_t)n;
	return SK_OK;
}
