#ifndef HAUL_TESTS_NET_H
#define HAUL_TESTS_NET_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "sock/impl.h"
#include "tap.h"

/*
 * What the tests of sockets share: pairs of connected ones, of every kind and
 * in either mode, and calls that go on until they have an outcome. No port is
 * fixed and nothing waits longer than NET_LIMIT_MS.
 */
enum net_kind {
	NET_TCP4,
	NET_TCP6,
	NET_UNIX,
	NET_ABSTRACT,
	NET_UDP4,
	NET_UDP6,
	NET_UNIX_DATAGRAM,
	NET_KINDS,
};

enum {
	NET_LIMIT_MS = 10 * 1000,
	NET_PATH_MAX = 64,
	NET_FDS = 256,		/* more than any test has open */
};

static const char *const net_kind_names[NET_KINDS] = {
	"TCP/IPv4", "TCP/IPv6", "UNIX", "abstract UNIX", "UDP/IPv4",
	"UDP/IPv6", "UNIX datagram",
};

static const char *const net_mode_names[] = { "non-blocking", "blocking" };

static inline int64_t
net_limit_ns(void)
{
	return clock_now_ns() + NET_LIMIT_MS * CLOCK_MS;
}

static inline int
net_count_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < NET_FDS; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/*
 * The same once it is what is expected: the thread that has looked a name up
 * closes its own descriptors while the test goes on.
 */
static inline int
net_await_fds(int expected)
{
	int64_t limit = net_limit_ns();
	int n;

	do
		n = net_count_fds();
	while (n != expected && clock_now_ns() < limit);
	return n;
}

static inline bool
net_is_datagram(enum net_kind kind)
{
	return kind >= NET_UDP4;
}

static inline bool
net_is_tcp(enum net_kind kind)
{
	return kind == NET_TCP4 || kind == NET_TCP6;
}

/* A machine without IPv6 cannot test it. */
static inline bool
net_has(enum net_kind kind)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd;
	bool ok;

	if (kind != NET_TCP6 && kind != NET_UDP6)
		return true;
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	ok = bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;
	(void)close(fd);
	return ok;
}

/* A folder for UNIX sockets; net_clean removes it. */
static char net_folder[NET_PATH_MAX];

static inline const char *
net_path(const char *name)
{
	static char path[2 * NET_PATH_MAX];

	if (*net_folder == '\0') {
		(void)snprintf(net_folder, sizeof(net_folder),
		    "/tmp/haul-unit-XXXXXX");
		if (mkdtemp(net_folder) == NULL)
			perror("mkdtemp");
	}
	(void)snprintf(path, sizeof(path), "%s/%s", net_folder, name);
	return path;
}

static inline void
net_clean(void)
{
	if (*net_folder != '\0' && rmdir(net_folder) != 0)
		tap_note("%s is left: %s", net_folder, strerror(errno));
	*net_folder = '\0';
}

/* Where to listen for a kind: an operand of haul. */
static inline const char *
net_operand(enum net_kind kind)
{
	static char text[4 * NET_PATH_MAX];
	static int count;

	switch (kind) {
	case NET_TCP4:
	case NET_UDP4:
		return "127.0.0.1:0";
	case NET_TCP6:
	case NET_UDP6:
		return "[::1]:0";
	case NET_UNIX:
	case NET_UNIX_DATAGRAM:
		(void)snprintf(text, sizeof(text), "unix:%s", net_path("s"));
		break;
	case NET_ABSTRACT:
		(void)snprintf(text, sizeof(text), "unix:@haul-unit-%ld-%d",
		    (long)getpid(), count++);
		break;
	case NET_KINDS:
		break;
	}
	return text;
}

/* Repeat a call until it has an outcome other than a want. */
static inline enum sk_result
net_finish(struct sock *s, enum sk_result (*call)(struct sock *,
    struct err *), struct err *e)
{
	enum sk_result r;

	do {
		r = call(s, e);
		if (r != SK_WANT_READ && r != SK_WANT_WRITE)
			break;
	} while ((r = sock_wait(s, SK_OUT, r)) == SK_OK);
	return r;
}

static inline enum sk_result
net_accept(struct sock *listener, struct sock **client, struct err *e)
{
	enum sk_result r;

	do {
		r = sock_accept(listener, client, e);
		if (r != SK_WANT_READ && r != SK_WANT_WRITE)
			break;
	} while ((r = sock_wait(listener, SK_IN, r)) == SK_OK);
	return r;
}

static inline enum sk_result
net_recv(struct sock *s, void *buf, size_t len, size_t *got, struct err *e)
{
	enum sk_result r;

	do {
		r = sock_recv(s, buf, len, got, e);
		if (r != SK_WANT_READ && r != SK_WANT_WRITE)
			break;
	} while ((r = sock_wait(s, SK_IN, r)) == SK_OK);
	return r;
}

static inline enum sk_result
net_send(struct sock *s, const void *buf, size_t len, size_t *put,
    struct err *e)
{
	enum sk_result r;

	do {
		r = sock_send(s, buf, len, put, e);
		if (r != SK_WANT_READ && r != SK_WANT_WRITE)
			break;
	} while ((r = sock_wait(s, SK_OUT, r)) == SK_OK);
	return r;
}

static inline enum sk_result
net_close(struct sock **s, struct err *e)
{
	enum sk_result r;

	do {
		r = sock_close(s, e);
		if (r != SK_WANT_READ && r != SK_WANT_WRITE)
			break;
	} while ((r = sock_wait(*s, SK_OUT, r)) == SK_OK);
	return r;
}

/* Open an operand; listening or connecting. NULL with *e filled. */
static inline struct sock *
net_open_within(int limit_ms, const char *operand,
    const struct sock_config *config, bool listens, struct err *e)
{
	char text[4 * NET_PATH_MAX], *operands[] = { text, NULL };
	struct sock *s;
	struct addr a;
	enum sk_result r;
	int used;

	(void)snprintf(text, sizeof(text), "%s", operand);
	if (!addr_parse(&a, operands, (listens ? ADDR_LISTENING : 0) |
	    ADDR_NUMERIC, &used, e))
		return NULL;
	s = sock_new(&a, config, e);
	if (s == NULL)
		return NULL;
	sock_set_deadline(s, clock_now_ns() + limit_ms * CLOCK_MS);
	r = net_finish(s, listens ? sock_listen : sock_connect, e);
	if (r == SK_TIMEOUT)
		err_set(e, ERR_TIMEOUT, 0, "", "%d ms have passed", limit_ms);
	if (r == SK_OK)
		sock_set_deadline(s, net_limit_ns());
	else
		sock_abort(&s);
	return s;
}

static inline struct sock *
net_open(const char *operand, const struct sock_config *config, bool listens,
    struct err *e)
{
	return net_open_within(NET_LIMIT_MS, operand, config, listens, e);
}

static inline struct sock *
net_listen(enum net_kind kind, const struct sock_config *config,
    struct err *e)
{
	return net_open(net_operand(kind), config, true, e);
}

/* The operand that leads to a listener. */
static inline const char *
net_address(const struct sock *listener)
{
	static char text[4 * NET_PATH_MAX];
	const char *line = sock_ready_line(listener), *space;

	space = strchr(line, ' ');
	if (space == NULL)
		(void)snprintf(text, sizeof(text), "%s", line);
	else
		(void)snprintf(text, sizeof(text), "[%.*s]:%s",
		    (int)(space - line), line, space + 1);
	if (strchr(line, ':') == NULL)		/* IPv4 */
		(void)snprintf(text, sizeof(text), "%.*s:%s",
		    (int)(space - line), line, space + 1);
	return text;
}

/*
 * A connected pair: [0] has connected, [1] was accepted. With datagrams, one
 * of a single byte lies in the queue of [1].
 */
static inline bool
net_pair(enum net_kind kind, const struct sock_config *config,
    struct sock *pair[2], struct err *e)
{
	struct sock_config c = *config;
	struct sock *listener;
	size_t put;
	bool ok;

	pair[0] = pair[1] = NULL;
	c.datagram = net_is_datagram(kind);
	c.socket_mode = -1;
	listener = net_listen(kind, &c, e);
	if (listener == NULL)
		return false;
	pair[0] = net_open(net_address(listener), &c, false, e);
	ok = pair[0] != NULL && (!c.datagram ||
	    net_send(pair[0], "1", 1, &put, e) == SK_OK) &&
	    net_accept(listener, &pair[1], e) == SK_OK;
	if (ok)
		sock_set_deadline(pair[1], net_limit_ns());
	else
		sock_abort(&pair[0]);
	/* It outlives the sockets of UNIX datagrams: its path is their name. */
	sock_abort(&listener);
	return ok;
}

/* A connected TCP pair of plain, blocking descriptors; rcvbuf 0: default. */
static inline bool
net_plain_pair(int fds[2], int rcvbuf)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	bool ok;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (rcvbuf > 0)
		(void)setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &rcvbuf,
		    sizeof(rcvbuf));
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	fds[1] = -1;
	ok = bind(listener, (struct sockaddr *)&in, len) == 0 &&
	    listen(listener, 1) == 0 &&
	    getsockname(listener, (struct sockaddr *)&in, &len) == 0 &&
	    connect(fds[0], (struct sockaddr *)&in, len) == 0 &&
	    (fds[1] = accept(listener, NULL, NULL)) != -1;
	(void)close(listener);
	return ok;
}

/* One end of net_plain_pair as a socket of haul. */
static inline struct sock *
net_adopt(int fd, enum sk_mode mode, struct err *e)
{
	struct sock *s;

	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	s = sock_make(&transport_stream, fd, mode, "peer", e);
	if (s != NULL)
		sock_become(s, &transport_stream, fd);
	return s;
}

#endif
