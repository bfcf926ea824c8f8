/* Listening: one port number on all the addresses of a name. */
#include "sock/listen_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sock/resolve.h"
#include "sock/sys.h"

enum { PORT_TRIES = 20 };

static enum sk_result listen_try(struct sock *, struct err *);
static enum sk_result listen_try_accept(struct sock *, struct sock **,
    struct err *);
static enum sk_result listen_try_peer(struct sock *, struct sock **,
    struct err *);
static enum sk_result listen_try_recv(struct sock *, void *, size_t,
    size_t *, struct err *);
static size_t listen_pollfds(const struct sock *, enum sk_result,
    struct pollfd *);

const struct transport transport_listen = {
	.try_listen = listen_try,
	.try_accept = listen_try_accept,
	.pollfds = listen_pollfds,
	.release = listen_release,
};

const struct transport transport_listen_datagram = {
	.datagram = true,
	.try_listen = listen_try,
	.try_accept = listen_try_peer,
	.try_recv = listen_try_recv,
	.pollfds = listen_pollfds,
	.release = listen_release,
};

static void
close_all(struct listener *l)
{
	size_t i;

	for (i = 0; i < l->count; i++)
		(void)close(l->fds[i]);
	l->count = 0;
}

void
listen_release(struct sock *s)
{
	struct listener *l = s->priv;

	close_all(l);
	unix_remove(&l->path);
	resolve_free(l->resolve);
	free(l->addrs.v);
	free(l);
}

enum sk_result
listen_start(struct sock *s, struct err *e)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		err_no_memory(e);
		return SK_ERROR;
	}
	s->priv = l;
	s->tr = s->config->datagram ? &transport_listen_datagram :
	    &transport_listen;
	l->resolve = resolve_start(&s->origin->addr, s->config, true, s->name,
	    e);
	if (l->resolve == NULL)
		return SK_ERROR;
	return listen_try(s, e);
}

static bool
set_listen_options(struct sock *s, int fd, int family, struct err *e)
{
	int on = 1;

	/* A second listener is refused all the same, except for datagrams. */
	if (!s->config->datagram && family != AF_UNIX)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
		    sizeof(on));
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
		    sizeof(on));
	if (s->config->datagram)
		sys_datagram_info(fd, family);
	return sock_apply_options(s, SOCKOPT_LISTEN, fd, family, e);
}

static void
set_port(struct sk_addr *a, in_port_t port)
{
	if (a->u.sa.sa_family == AF_INET6)
		a->u.in6.sin6_port = port;
	else if (a->u.sa.sa_family == AF_INET)
		a->u.in.sin_port = port;
}

static in_port_t
get_port(const struct sk_addr *a)
{
	if (a->u.sa.sa_family == AF_INET6)
		return a->u.in6.sin6_port;
	return a->u.sa.sa_family == AF_INET ? a->u.in.sin_port : 0;
}

static enum sk_result
bind_one(struct sock *s, int fd, struct sk_addr *a, struct err *e)
{
	struct listener *l = s->priv;
	int backlog = s->config->backlog;

	if (!set_listen_options(s, fd, a->u.sa.sa_family, e))
		return SK_ERROR;
	if (a->u.sa.sa_family == AF_UNIX) {
		if (unix_bind(fd, a, s->config->socket_mode, &l->path, e) !=
		    SK_OK)
			return SK_ERROR;
	} else if (bind(fd, &a->u.sa, a->len) != 0)
		return sock_bind_error(a, errno, "", e);
	if (!s->config->datagram &&
	    listen(fd, backlog > 0 ? backlog : SOMAXCONN) != 0)
		return sock_bind_error(a, errno, "listening", e);
	a->len = sizeof(a->u);
	(void)getsockname(fd, &a->u.sa, &a->len);
	return SK_OK;
}

static enum sk_result
open_one(struct sock *s, struct sk_addr *a, struct err *e)
{
	struct listener *l = s->priv;
	int fd;

	fd = sock_open_fd(s, a->u.sa.sa_family, true, e);
	if (fd == -1)
		return e->code != ERR_CONNECT ? SK_ERROR :
		    sock_bind_error(a, e->sys, e->text, e);
	if (bind_one(s, fd, a, e) != SK_OK) {
		(void)close(fd);
		return SK_ERROR;
	}
	l->fds[l->count++] = fd;
	return SK_OK;
}

/* An address of a name may be missing on this machine, as IPv6 often is. */
static bool
is_missing(const struct err *e)
{
	return e->code == ERR_BIND && (e->sys == EAFNOSUPPORT ||
	    e->sys == EADDRNOTAVAIL || e->sys == EPROTONOSUPPORT);
}

/*
 * Bind all addresses; *first is the first one that this machine has. With port
 * 0 it gets a port from the kernel, and the others the same; *again tells that
 * one of them has it taken, and that another port may do.
 */
static enum sk_result
open_all(struct sock *s, struct sk_addr *first, bool *again, struct err *e)
{
	struct listener *l = s->priv;
	in_port_t port = get_port(&l->addrs.v[0]);
	bool chosen = port != 0;
	struct sk_addr a;
	struct err missing = { 0 };
	size_t i;

	for (i = 0; i < l->addrs.count && l->count < SK_LISTEN_MAX; i++) {
		a = l->addrs.v[i];
		set_port(&a, port);
		if (open_one(s, &a, e) == SK_OK) {
			if (l->count == 1)
				*first = a;
			port = get_port(&a);
		} else if (is_missing(e))
			err_append(&missing, e);
		else {
			err_clear(&missing);
			*again = l->count > 0 && !chosen &&
			    e->sys == EADDRINUSE;
			return SK_ERROR;
		}
	}
	if (l->count == 0) {
		err_move(e, &missing);
		return SK_ERROR;
	}
	err_clear(&missing);
	err_clear(e);
	return SK_OK;
}

void
listen_describe(struct sock *s, const struct sk_addr *bound)
{
	struct listener *l = s->priv;
	struct sk_name name;

	sock_name_peer(s, bound);
	sock_split(bound, &name);
	(void)snprintf(l->ready_line, sizeof(l->ready_line), "%s%s%s",
	    name.host, bound->u.sa.sa_family == AF_UNIX ? "" : " ",
	    name.port);
	(void)snprintf(l->ready_port, sizeof(l->ready_port), "%s", name.port);
}

static enum sk_result
listen_try(struct sock *s, struct err *e)
{
	struct listener *l = s->priv;
	struct sk_addr bound = { 0 };
	enum sk_result r;
	int tries = 0;
	bool again;

	r = resolve_try(l->resolve, &l->addrs, e);
	if (r != SK_OK)
		return r;
	do {
		close_all(l);
		again = false;
		r = open_all(s, &bound, &again, e);
	} while (again && ++tries < PORT_TRIES);
	if (r != SK_OK)
		return r;
	listen_describe(s, &bound);
	if (s->config->datagram && s->config->sessions &&
	    !sessions_begin(s, e))
		return SK_ERROR;
	return SK_OK;
}

static size_t
listen_pollfds(const struct sock *s, enum sk_result want, struct pollfd *fds)
{
	const struct listener *l = s->priv;
	size_t i;

	(void)want;
	if (l->count == 0 && l->resolve != NULL) {
		fds[0] = (struct pollfd){ .fd = resolve_fd(l->resolve),
		    .events = POLLIN };
		return 1;
	}
	for (i = 0; i < l->count; i++)
		fds[i] = (struct pollfd){ .fd = l->fds[i], .events = POLLIN };
	return l->count;
}

/* A connection that was gone before it was taken does not concern anybody. */
static bool
is_transient(int sys)
{
	return sys == ECONNABORTED || sys == EINTR || sys == EPROTO ||
	    sys == ENETDOWN || sys == ENOPROTOOPT || sys == EHOSTUNREACH ||
	    sys == ENETUNREACH || sys == EOPNOTSUPP;
}

/* A client as a socket of its own, with what was asked for the connection. */
static enum sk_result
make_client(struct sock *s, int fd, const struct sk_addr *peer,
    const struct transport *tr, struct sock **client, struct err *e)
{
	struct sock *c = sock_make(tr, fd, s->mode, s->name, e);

	if (c == NULL)
		return SK_ERROR;
	if (!sock_set_origin(c, s->origin, e)) {
		sock_abort(&c);
		return SK_ERROR;
	}
	sock_become(c, tr, fd);
	if (c->kind == KIND_TCP)
		sock_set_nodelay(fd);
	if (!tr->datagram)
		sock_first_layer(c, true);
	/* A UNIX client mostly has no name: it is called by ours. */
	if (peer->u.sa.sa_family != AF_UNIX)
		sock_name_peer(c, peer);
	if (!sock_apply_options(c, SOCKOPT_ACCEPTED, fd, c->family, e)) {
		sock_abort(&c);
		return SK_ERROR;
	}
	*client = c;
	return SK_OK;
}

/*
 * accept(2), which may sleep on an inherited descriptor: there it is asked only
 * if there is a connection.
 */
static int
take(const struct listener *l, size_t i, struct sk_addr *peer)
{
	struct pollfd p = { .fd = l->fds[i], .events = POLLIN };
	int fd;

	do {
		if (l->inherited && poll(&p, 1, 0) <= 0) {
			errno = EAGAIN;
			return -1;
		}
		fd = sys_accept(l->fds[i], peer);
	} while (fd == -1 && is_transient(errno));
	return fd;
}

static enum sk_result
listen_try_accept(struct sock *s, struct sock **client, struct err *e)
{
	struct listener *l = s->priv;
	struct sk_addr peer = { 0 };
	size_t i;
	int fd;

	for (i = 0; i < l->count; i++) {
		l->turn = (l->turn + 1) % l->count;
		fd = take(l, l->turn, &peer);
		if (fd != -1)
			return make_client(s, fd, &peer, &transport_stream,
			    client, e);
		if (errno != EAGAIN && errno != EWOULDBLOCK) {
			err_set(e, ERR_LOCAL, errno, s->name, "accepting");
			return SK_ERROR;
		}
	}
	return SK_WANT_READ;
}

/*
 * The sender of the first datagram becomes the peer: its socket is taken from
 * the listener and connected, the datagram stays in its queue.
 */
static enum sk_result
listen_try_peer(struct sock *s, struct sock **client, struct err *e)
{
	struct listener *l = s->priv;
	struct sk_addr peer = { 0 }, local = { 0 };
	enum sk_result r;
	size_t i;
	int fd;

	for (i = 0; i < l->count; i++) {
		r = datagram_peek(s, l->fds[i], &peer, &local, e);
		if (r == SK_ERROR)
			return r;
		if (r != SK_OK)
			continue;
		fd = l->fds[i];
		l->fds[i] = l->fds[--l->count];
		r = make_client(s, fd, &peer, &transport_datagram, client, e);
		if (r == SK_OK && !datagram_set_peer(*client, &peer,
		    &local, &l->path, e)) {
			sock_abort(client);
			return SK_ERROR;
		}
		return r;
	}
	return SK_WANT_READ;
}

/* Datagrams from everybody; the sockets take turns. */
static enum sk_result
listen_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	struct listener *l = s->priv;
	enum sk_result r;
	size_t i;

	for (i = 0; i < l->count; i++) {
		l->turn = (l->turn + 1) % l->count;
		r = datagram_recv_from(s, l->fds[l->turn], buf, len, got, e);
		if (r != SK_WANT_READ)
			return r;
	}
	return SK_WANT_READ;
}

const char *
sock_ready_line(const struct sock *s)
{
	const struct listener *l = s->priv;

	return l->ready_line;
}

const char *
sock_ready_port(const struct sock *s)
{
	const struct listener *l = s->priv;

	return l->ready_port;
}
