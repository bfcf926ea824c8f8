/* What haul is between: a pair of UNIX streams instead of the connection. */
#include "sock/child.h"
#include "sock/child_impl.h"
#include "sock/impl.h"

#include <errno.h>

/*
 * Our end of a pair. A command that has not read all of its input is seen as a
 * reset (unix(7)), after all that it has written: it has ended, no more.
 */
static enum sk_result
near_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	enum sk_result r = transport_stream.try_recv(s, buf, len, got, e);

	if (r != SK_ERROR || e->sys != ECONNRESET)
		return r;
	err_clear(e);
	atomic_store(&s->ended, true);
	return SK_EOF;
}

static enum sk_result
near_try_send(struct sock *s, const void *buf, size_t len, size_t *put,
    struct err *e)
{
	return transport_stream.try_send(s, buf, len, put, e);
}

static enum sk_result
near_try_shutdown(struct sock *s, struct err *e)
{
	return transport_stream.try_shutdown(s, e);
}

static const struct transport transport_near = {
	.try_recv = near_try_recv,
	.try_send = near_try_send,
	.try_shutdown = near_try_shutdown,
};

bool
child_pair(enum sk_mode mode, const char *name, struct sock **near,
    struct sock **far, struct err *e)
{
	int fds[2];

	*near = *far = NULL;
	if (!child_socketpair(fds)) {
		err_set(e, ERR_LOCAL, errno, name, "cannot make a socket");
		return false;
	}
	*near = sock_make(&transport_near, fds[0], mode, name, e);
	*far = sock_make(&transport_stream, fds[1], mode, name, e);
	if (*near == NULL || *far == NULL) {
		sock_abort(near);
		sock_abort(far);
		return false;
	}
	sock_become(*near, &transport_near, fds[0]);
	(*near)->opaque = true;
	sock_become(*far, &transport_stream, fds[1]);
	return true;
}
