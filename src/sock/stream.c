/* Connected streams: TCP, UNIX, vsock. */
#include "sock/impl.h"

#include <errno.h>

#include "base/clock.h"
#include "sock/sys.h"

enum {
	DRAIN_STEP_FIRST_MS = 1,
	DRAIN_STEP_LAST_MS = 50,
};

/* Both are the same to the user: the peer has gone. */
static enum sk_result
broken(struct sock *s, int sys, const char *phase, struct err *e)
{
	err_set(e, ERR_BROKEN, sys == EPIPE ? ECONNRESET : sys, s->name,
	    "%s", phase);
	return SK_ERROR;
}

static enum sk_result
broken_out(struct sock *s, int sys, struct err *e)
{
	sock_note_taken(s, sys);
	return broken(s, sys, "sending", e);
}

/* At the end of what can be received: was it an end in order? */
static enum sk_result
stream_try_next(struct sock *s, struct err *e)
{
	int sys = sock_await_taken(s);

	if (sys != 0)
		return broken(s, sys, "receiving", e);
	atomic_store(&s->ended, true);
	return SK_EOF;
}

static enum sk_result
stream_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	ssize_t n;

	do
		n = recv(s->fd, buf, len, s->sleeps ? 0 : MSG_DONTWAIT);
	while (n < 0 && errno == EINTR && !s->sleeps);
	if (n > 0) {
		*got = (size_t)n;
		return SK_OK;
	}
	if (n == 0)
		return stream_try_next(s, e);
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return SK_WANT_READ;
	return broken(s, errno, "receiving", e);
}

static enum sk_result
stream_try_send(struct sock *s, const void *buf, size_t len, size_t *put,
    struct err *e)
{
	enum sk_result r;

	sock_begin_taking(s);
	r = sock_send_fd(s->fd, buf, len, put);
	if (r == SK_ERROR)
		r = broken_out(s, errno, e);
	sock_end_taking(s);
	return r;
}

/* The error that the connection has had, which is nobody else's then. */
static int
take_error(struct sock *s)
{
	int sys;

	sock_begin_taking(s);
	sys = sock_take_error(s->fd);
	sock_note_taken(s, sys);
	sock_end_taking(s);
	return sys;
}

static enum sk_result
stream_try_shutdown(struct sock *s, struct err *e)
{
	int sys;

	if (s->kind == KIND_TCP)
		s->clean = sys_unacknowledged(s->fd) == 0;
	if (shutdown(s->fd, SHUT_WR) != 0) {
		sys = take_error(s);
		return broken_out(s, sys != 0 ? sys : ECONNRESET, e);
	}
	s->shut = true;
	return SK_OK;
}

/*
 * The system does not tell when the last byte is acknowledged, so it is asked
 * again after a while. The half-close counts as one byte, which may stay out:
 * the kernel goes on sending it after close(2). Nor does a reset matter where
 * the half-close alone was under way: a peer that closed long ago sends it.
 */
static enum sk_result
stream_try_drain(struct sock *s, struct err *e)
{
	long left;
	int sys;

	if (s->kind != KIND_TCP || (s->shut && s->clean))
		return SK_OK;
	left = sys_unacknowledged(s->fd);
	sys = take_error(s);
	if (sys != 0)
		return broken_out(s, sys, e);
	if (left == 0 || (left == 1 && s->shut))
		return SK_OK;
	if (left == -1 && atomic_load(&s->ended))
		return SK_OK;
	s->drain_step_ms = s->drain_step_ms == 0 ? DRAIN_STEP_FIRST_MS :
	    s->drain_step_ms * 2;
	if (s->drain_step_ms > DRAIN_STEP_LAST_MS)
		s->drain_step_ms = DRAIN_STEP_LAST_MS;
	sock_pause(s, SK_OUT, clock_now_ns() +
	    s->drain_step_ms * CLOCK_MS, true);
	return SK_WANT_WRITE;
}

static enum sk_result
stream_try_probe(struct sock *s, struct err *e)
{
	int sys = take_error(s);

	return sys == 0 ? SK_OK : broken_out(s, sys, e);
}

static void
stream_set_kicked(struct sock *s)
{
	(void)sock_set_blocks(s, s->kicked &&
	    s->deadline_ns[SK_IN] == CLOCK_NEVER);
}

const struct transport transport_stream = {
	.try_recv = stream_try_recv,
	.try_send = stream_try_send,
	.try_shutdown = stream_try_shutdown,
	.try_drain = stream_try_drain,
	.try_probe = stream_try_probe,
	.try_next = stream_try_next,
	.set_kicked = stream_set_kicked,
};
