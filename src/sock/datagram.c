/* Datagrams: UDP and UNIX. Each is sent and received whole. */
#include "sock/impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "sock/sys.h"

enum { NO_BUFFER_RETRY_MS = 1 };

/* Of a socket that came from a listener; others have no priv. */
struct association {
	struct sk_addr peer;
	int early_fd;		/* still holds what came first; -1: read */
	struct unix_path path;	/* where the peer sends to */
};

/*
 * Nobody at the other end. For UDP this may change; a UNIX socket that was
 * there and is closed never comes back.
 */
static enum sk_result
fail(struct sock *s, int sys, const char *phase, struct err *e)
{
	err_set(e, s->family == AF_UNIX ? ERR_BROKEN : ERR_CONNECT, sys,
	    s->name, "%s", phase);
	return SK_ERROR;
}

static enum sk_result
receive(struct sock *s, int fd, void *buf, size_t len, size_t *got,
    struct sk_addr *from, struct err *e)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	memset(from, 0, sizeof(*from));
	m.msg_name = &from->u;
	m.msg_namelen = sizeof(from->u);
	do
		n = recvmsg(fd, &m, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ?
		    SK_WANT_READ : fail(s, errno, "", e);
	from->len = m.msg_namelen;
	if (m.msg_flags & MSG_TRUNC) {
		err_set(e, ERR_BROKEN, 0, s->name,
		    "a datagram of more than %zu bytes was cut", len);
		return SK_ERROR;
	}
	*got = (size_t)n;
	return SK_OK;
}

enum sk_result
datagram_recv_from(struct sock *s, int fd, void *buf, size_t len,
    size_t *got, struct err *e)
{
	struct sk_addr from;

	return receive(s, fd, buf, len, got, &from, e);
}

enum sk_result
datagram_peek(struct sock *s, int fd, struct sk_addr *peer,
    struct sk_addr *local, struct err *e)
{
	_Alignas(max_align_t) char control[SYS_CONTROL_MAX];
	struct msghdr m = { .msg_control = control,
	    .msg_controllen = sizeof(control) };
	struct sk_addr bound = { .len = sizeof(bound.u) };

	memset(peer, 0, sizeof(*peer));
	m.msg_name = &peer->u;
	m.msg_namelen = sizeof(peer->u);
	while (recvmsg(fd, &m, MSG_PEEK | MSG_DONTWAIT) < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return SK_WANT_READ;
		if (errno != EINTR)
			return fail(s, errno, "", e);
	}
	peer->len = m.msg_namelen;
	if (peer->len == 0)
		peer->u.sa.sa_family = AF_UNIX;	/* a sender without a name */
	if (!sys_datagram_local(&m, local) ||
	    getsockname(fd, &bound.u.sa, &bound.len) != 0)
		local->len = 0;
	else if (local->u.sa.sa_family == AF_INET6)
		local->u.in6.sin6_port = bound.u.in6.sin6_port;
	else
		local->u.in.sin_port = bound.u.in.sin_port;
	return SK_OK;
}

/*
 * A socket bound to the very address that the peer has sent to: answers come
 * from there, which a listener on all addresses cannot promise. The kernel
 * prefers it for all further datagrams of this peer.
 */
static int
open_beside(struct sock *s, const struct sk_addr *peer,
    const struct sk_addr *local)
{
	struct err ignored = { 0 };
	int fd, on = 1, off = 0;
	bool ok;

	fd = sys_socket(peer->u.sa.sa_family, SOCK_DGRAM, 0);
	if (fd == -1)
		return -1;
	/* The listener has taken the same options already. */
	(void)sock_apply_options(s, SOCKOPT_CONNECT, fd, s->family, &ignored);
	err_clear(&ignored);
	ok = setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on,
	    sizeof(on)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, &local->u.sa, local->len) == 0 &&
	    connect(fd, &peer->u.sa, peer->len) == 0;
	/* Nobody else is to share the port with us. */
	(void)setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof(off));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof(off));
	if (ok)
		return fd;
	(void)close(fd);
	return -1;
}

bool
datagram_set_peer(struct sock *s, const struct sk_addr *peer,
    const struct sk_addr *local, struct unix_path *path, struct err *e)
{
	struct association *association = calloc(1, sizeof(*association));
	int fd;

	if (association == NULL) {
		err_no_memory(e);
		return false;
	}
	association->peer = *peer;
	association->early_fd = -1;
	association->path = *path;
	*path->path = '\0';
	s->priv = association;
	fd = local->len > 0 ? open_beside(s, peer, local) : -1;
	if (fd != -1) {
		association->early_fd = s->fd;
		s->fd = fd;
		return true;
	}
	/* A peer without a name can be listened to, but not answered. */
	if (peer->len > 0 && connect(s->fd, &peer->u.sa, peer->len) != 0)
		return fail(s, errno, "", e) == SK_OK;
	return true;
}

static bool
is_peer(const struct association *association, const struct sk_addr *from)
{
	return association == NULL || (from->len == association->peer.len &&
	    memcmp(&from->u, &association->peer.u, from->len) == 0);
}

/* What others had sent before this was an association is passed over. */
static enum sk_result
datagram_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	struct association *association = s->priv;
	struct sk_addr from;
	enum sk_result r;

	while (association != NULL && association->early_fd != -1) {
		r = receive(s, association->early_fd, buf, len, got, &from, e);
		if (r == SK_OK && is_peer(association, &from))
			return SK_OK;
		if (r == SK_OK)
			continue;
		(void)close(association->early_fd);
		association->early_fd = -1;
		if (r == SK_ERROR)
			return r;
	}
	do
		r = receive(s, s->fd, buf, len, got, &from, e);
	while (r == SK_OK && !is_peer(association, &from));
	return r;
}

static enum sk_result
datagram_try_send(struct sock *s, const void *buf, size_t len, size_t *put,
    struct err *e)
{
	enum sk_result r;

	r = sock_send_fd(s->fd, buf, len, put);
	if (r != SK_ERROR)
		return r;
	if (errno == ENOBUFS) {
		sock_pause(s, SK_OUT, clock_now_ns() +
		    NO_BUFFER_RETRY_MS * CLOCK_MS, true);
		return SK_WANT_WRITE;
	}
	if (errno == EMSGSIZE) {
		err_set(e, ERR_LOCAL, errno, s->name,
		    "a datagram of %zu bytes", len);
		return SK_ERROR;
	}
	if (errno == EDESTADDRREQ || errno == ENOTCONN)
		return fail(s, 0, "the peer has no address to answer to", e);
	return fail(s, errno, "", e);
}

/* A refusal of the last datagram is known at once on this machine. */
static enum sk_result
datagram_try_drain(struct sock *s, struct err *e)
{
	int sys = sock_take_error(s->fd);

	return sys == 0 ? SK_OK : fail(s, sys, "", e);
}

static void
datagram_release(struct sock *s)
{
	struct association *association = s->priv;

	if (association == NULL)
		return;
	if (association->early_fd != -1)
		(void)close(association->early_fd);
	unix_remove(&association->path);
	free(association);
}

const struct transport transport_datagram = {
	.datagram = true,
	.try_recv = datagram_try_recv,
	.try_send = datagram_try_send,
	.try_drain = datagram_try_drain,
	.release = datagram_release,
};
