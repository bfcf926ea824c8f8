/* Making sockets, and what all of them share. */
#include "sock/impl.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "sock/sys.h"
#include "sock/vsock.h"

struct sock *
sock_make(const struct transport *tr, int fd, enum sk_mode mode,
    const char *name, struct err *e)
{
	struct sock *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		err_no_memory(e);
		if (fd != -1)
			(void)close(fd);
		return NULL;
	}
	s->tr = tr;
	s->fd = fd;
	s->generation = sock_next_generation();
	s->mode = mode;
	sock_set_deadline(s, CLOCK_NEVER);
	s->config.socket_mode = -1;
	sock_pause(s, SK_IN, CLOCK_NEVER, false);
	sock_pause(s, SK_OUT, CLOCK_NEVER, false);
	atomic_init(&s->input_stopped, false);
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
	return s;
}

const struct transport transport_new = {
	.try_connect = dial_start,
	.try_listen = listen_start,
};

struct sock *
sock_new(const struct addr *a, const struct sock_config *config,
    struct err *e)
{
	char name[ADDR_NAME_MAX];
	struct sock *s;

	s = sock_make(&transport_new, -1, config->mode, addr_name(a, name),
	    e);
	if (s != NULL) {
		s->addr = *a;
		s->config = *config;
	}
	return s;
}

bool
sock_apply_options(const struct sock *s, enum sockopt_stage stage, int fd,
    int family, struct err *e)
{
	if (s->config.options == NULL)
		return true;
	return sockopt_apply(s->config.options, stage, fd, family, s->name, e);
}

/* SO_LINGER: arm the reset that any end of the process then causes. */
static void
arm(struct sock *s)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	s->armed = setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now,
	    sizeof(now)) == 0;
}

bool
sock_disarm(struct sock *s, struct err *e)
{
	struct linger off = { .l_onoff = 0 };

	if (!s->armed)
		return true;
	(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	s->armed = false;
	return sock_apply_options(s, SOCKOPT_CLOSE, s->fd, s->family, e);
}

static bool
is_inet(int family)
{
	return family == AF_INET || family == AF_INET6;
}

void
sock_set_nodelay(int fd)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void
sock_become(struct sock *s, const struct transport *tr, int fd)
{
	struct sk_addr local = { .len = sizeof(local.u) };

	s->tr = tr;
	s->fd = fd;
	s->priv = NULL;
	if (getsockname(fd, &local.u.sa, &local.len) == 0)
		s->family = local.u.sa.sa_family;
	if (tr->datagram)
		return;
	s->kind = KIND_STREAM;
	if (is_inet(s->family)) {
		s->kind = KIND_TCP;
		arm(s);
	}
}

void
sock_set_patience(struct sock *s, int64_t patience_ns, int64_t age_ns)
{
	if (s->kind == KIND_TCP && !(s->config.options != NULL &&
	    sockopt_list_has(s->config.options, "keep")))
		sys_set_patience(s->fd, patience_ns, age_ns);
}

static void
split_unix(const struct sk_addr *a, struct sk_name *name)
{
	size_t offset = offsetof(struct sockaddr_un, sun_path);
	const char *path = a->u.un.sun_path;
	bool abstract;

	(void)snprintf(name->host, sizeof(name->host), "unix:");
	if (a->len <= offset)
		return;
	abstract = *path == '\0';
	(void)snprintf(name->port, sizeof(name->port), "%s%.*s",
	    abstract ? "@" : "", (int)(a->len - offset - abstract),
	    path + abstract);
}

void
sock_split(const struct sk_addr *a, struct sk_name *name)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	memset(name, 0, sizeof(*name));
	if (a->u.sa.sa_family == AF_UNIX)
		split_unix(a, name);
	else if (!vsock_split(a, name) && getnameinfo(&a->u.sa, a->len, host,
	    sizeof(host), port, sizeof(port),
	    NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
		(void)snprintf(name->host, sizeof(name->host), "%.*s",
		    ADDR_HOST_MAX - 1, host);
		(void)snprintf(name->port, sizeof(name->port), "%.*s",
		    ADDR_PORT_MAX - 1, port);
	}
}

void
sock_format(const struct sk_addr *a, char *name, size_t size)
{
	struct sk_name parts;

	sock_split(a, &parts);
	(void)snprintf(name, size, "%s%s%s", parts.host,
	    a->u.sa.sa_family == AF_UNIX ? "" : " port ", parts.port);
}

/* Out of descriptors or memory: another address would fare no better. */
static bool
is_exhausted(int sys)
{
	return sys == EMFILE || sys == ENFILE || sys == ENOMEM ||
	    sys == ENOBUFS;
}

int
sock_open_fd(const struct sock *s, int family, bool listens, struct err *e)
{
	const struct sockopt_kind kind = {
		.listens = listens,
		.datagram = s->config.datagram,
		.both_families = s->config.family == AF_UNSPEC &&
		    *s->addr.host == '\0',
		.family = family,
	};
	int fd, protocol = 0;

	if (s->config.options != NULL) {
		if (!sockopt_check(s->config.options, &kind, s->name, e))
			return -1;
		protocol = sockopt_protocol(s->config.options);
	}
	fd = sys_socket(family, s->config.datagram ? SOCK_DGRAM : SOCK_STREAM,
	    protocol);
	if (fd == -1)
		err_set(e, is_exhausted(errno) ? ERR_LOCAL : ERR_CONNECT,
		    errno, s->name, "cannot make a socket");
	else if (!s->config.datagram && is_inet(family))
		sock_set_nodelay(fd);
	return fd;
}

enum sk_result
sock_bind_error(const struct sk_addr *a, int sys, const char *phase,
    struct err *e)
{
	char name[ADDR_NAME_MAX] = "";

	sock_format(a, name, sizeof(name));
	err_set(e, ERR_BIND, sys, name, "%s", phase);
	return SK_ERROR;
}

enum sk_result
sock_send_fd(int fd, const void *buf, size_t len, size_t *put)
{
	ssize_t n;

	do
		n = send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0) {
		*put = (size_t)n;
		return SK_OK;
	}
	return errno == EAGAIN || errno == EWOULDBLOCK ? SK_WANT_WRITE :
	    SK_ERROR;
}

int
sock_take_error(int fd)
{
	socklen_t len = sizeof(int);
	int sys = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &len) != 0)
		return errno;
	return sys;
}
