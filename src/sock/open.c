/* Making sockets, and what all of them share. */
#include "sock/impl.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "sock/sys.h"

struct sock *
sock_make(const struct transport *tr, int fd, enum sk_mode mode,
    const char *name, struct err *e)
{
	static const struct sock_config defaults = { .socket_mode = -1 };
	struct sock *s = calloc(1, sizeof(*s));

	if (s == NULL || (s->name = strdup(name)) == NULL) {
		err_no_memory(e);
		if (fd != -1)
			(void)close(fd);
		free(s);
		return NULL;
	}
	s->tr = tr;
	s->fd = fd;
	s->generation = sock_next_generation();
	s->mode = (unsigned char)mode;
	s->config = &defaults;
	sock_set_deadline(s, CLOCK_NEVER);
	sock_pause(s, SK_IN, CLOCK_NEVER, false);
	sock_pause(s, SK_OUT, CLOCK_NEVER, false);
	atomic_init(&s->input_stopped, false);
	return s;
}

void
sock_set_name(struct sock *s, const char *name)
{
	char *copy = strdup(name);

	if (copy == NULL)
		return;
	free(s->name);
	s->name = copy;
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
	struct sk_origin *origin = malloc(sizeof(*origin));
	struct sock *s;

	if (origin == NULL) {
		err_no_memory(e);
		return NULL;
	}
	atomic_init(&origin->users, 0);
	origin->addr = *a;
	origin->config = *config;
	s = sock_make(&transport_new, -1, config->mode, addr_name(a, name),
	    e);
	if (s == NULL) {
		free(origin);
		return NULL;
	}
	if (!sock_set_origin(s, origin, e))
		sock_abort(&s);
	return s;
}

bool
sock_set_origin(struct sock *s, struct sk_origin *origin, struct err *e)
{
	s->origin = origin;
	s->config = &origin->config;
	atomic_fetch_add(&origin->users, 1);
	return !origin->config.paced ||
	    sock_set_pace(s, origin->config.rate, e);
}

bool
sock_apply_options(const struct sock *s, enum sockopt_stage stage, int fd,
    int family, struct err *e)
{
	if (s->config->options == NULL)
		return true;
	return sockopt_apply(s->config->options, stage, fd, family, s->name, e);
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
	s->generation = sock_next_generation();
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
sock_first_layer(struct sock *s, bool accepted)
{
	const struct sock_config *config = s->config;
	bool announces = config->announce != ANNOUNCE_NOT;

	s->layers = config->telnet ? LAYER_TELNET : 0;
	if (accepted && config->announced)
		s->layers |= LAYER_ANNOUNCED;
	if (!accepted && announces)
		s->layers |= LAYER_ANNOUNCE;
	sock_next_layer(s);
}

void
sock_next_layer(struct sock *s)
{
	static const struct {
		enum sk_layer layer;
		const struct transport *tr;
	} layers[] = {
		{ LAYER_ANNOUNCED, &transport_announced },
		{ LAYER_ANNOUNCE, &transport_announce },
		{ LAYER_TELNET, &transport_telnet },
	};
	size_t i;

	s->tr = &transport_stream;
	for (i = 0; i < sizeof(layers) / sizeof(layers[0]); i++)
		if (s->layers & layers[i].layer) {
			s->layers &= (unsigned char)~layers[i].layer;
			s->tr = layers[i].tr;
			s->opaque = layers[i].layer == LAYER_TELNET;
			if (s->opaque)
				telnet_begin(s);
			return;
		}
}

void
sock_set_patience(struct sock *s, int64_t patience_ns, int64_t age_ns)
{
	if (s->kind == KIND_TCP && !(s->config->options != NULL &&
	    sockopt_list_has(s->config->options, "keep")))
		sys_set_patience(s->fd, patience_ns, age_ns);
}

int
sock_open_fd(const struct sock *s, int family, bool listens, struct err *e)
{
	const struct sockopt_kind kind = {
		.listens = listens,
		.datagram = s->config->datagram,
		.both_families = s->config->family == AF_UNSPEC &&
		    s->origin != NULL && *s->origin->addr.host == '\0',
		.family = family,
	};
	int fd, protocol = 0;

	if (s->config->options != NULL) {
		if (!sockopt_check(s->config->options, &kind, s->name, e))
			return -1;
		protocol = sockopt_protocol(s->config->options);
	}
	fd = sys_socket(family, s->config->datagram ? SOCK_DGRAM : SOCK_STREAM,
	    protocol);
	if (fd == -1)
		err_set(e, err_is_exhausted(errno) ? ERR_LOCAL : ERR_CONNECT,
		    errno, s->name, "cannot make a socket");
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
