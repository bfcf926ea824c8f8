/* Descriptors that come from a parent, and that go to another process. */
#include "sock/activate.h"

#include <arpa/inet.h>
#include <fcntl.h>

#include "net.h"

enum {
	FIRST_FD = 3,
	ASIDE_FD = 40,		/* where the tests keep their own */
	SHORT_MS = 20,
};

static enum sk_mode mode;

/* A plain socket bound to a free port or path; SOCK_STREAM also listens. */
static int
open_plain(int family, int type, bool listens)
{
	struct sk_addr a = { .len = sizeof(a.u.in) };
	int fd = socket(family, type, 0), aside;

	a.u.sa.sa_family = (sa_family_t)family;
	if (family == AF_INET)
		a.u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (family == AF_INET6) {
		a.u.in6.sin6_addr = in6addr_loopback;
		a.len = sizeof(a.u.in6);
	}
	if (family == AF_UNIX) {
		(void)snprintf(a.u.un.sun_path, sizeof(a.u.un.sun_path),
		    "%.100s", net_path("parent"));
		a.len = sizeof(a.u.un);
	}
	if (bind(fd, &a.u.sa, a.len) != 0 || (listens && listen(fd, 8) != 0))
		perror("open_plain");
	aside = fcntl(fd, F_DUPFD, ASIDE_FD);
	(void)close(fd);
	return aside;
}

static void
set_variables(long pid, const char *count)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%ld", pid);
	(void)setenv("LISTEN_PID", text, 1);
	(void)setenv("LISTEN_FDS", count, 1);
	(void)setenv("LISTEN_FDNAMES", "a", 1);
}

/* As if our parent had passed these. */
static struct sock *
activate(const int *fds, int count, const struct sock_config *wanted,
    struct err *e)
{
	struct sock_config config = *wanted;
	struct sock *s;
	char text[32];
	int i;

	for (i = 0; i < count; i++)
		(void)dup2(fds[i], FIRST_FD + i);
	(void)snprintf(text, sizeof(text), "%d", count);
	set_variables((long)getpid(), text);
	config.mode = mode;
	config.socket_mode = -1;
	s = sock_activated(&config, e);
	if (s != NULL)
		sock_set_deadline(s, net_limit_ns());
	return s;
}

static void
test_none(void)
{
	static const struct sock_config config = { .socket_mode = -1 };
	static const char *const counts[] = { "0", "", "x", "-1", "1x",
	    "99999999999999999999" };
	struct err e = { 0 };
	char line[256];
	size_t i;

	tap_ok(sock_activated(&config, &e) == NULL && e.code == ERR_USAGE,
	    "without the variables");
	tap_text(err_format(&e, line, sizeof(line)),
	    "--activate: no sockets were passed", "as it says");
	set_variables((long)getpid() + 1, "1");
	tap_ok(sock_activated(&config, &e) == NULL && e.code == ERR_USAGE,
	    "for another process");
	tap_ok(getenv("LISTEN_FDS") == NULL && getenv("LISTEN_PID") == NULL &&
	    getenv("LISTEN_FDNAMES") == NULL, "the variables are gone");
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		set_variables((long)getpid(), counts[i]);
		tap_ok(sock_activated(&config, &e) == NULL &&
		    e.code == ERR_USAGE, "LISTEN_FDS=%s", counts[i]);
	}
	set_variables((long)getpid(), "17");
	tap_ok(sock_activated(&config, &e) == NULL && e.code == ERR_BIND,
	    "too many");
	tap_text(err_format(&e, line, sizeof(line)),
	    "--activate: more than 16 sockets were passed", "as it says");
	err_clear(&e);
}

static void
test_faults(void)
{
	static const struct sock_config stream = { .socket_mode = -1 };
	static const struct sock_config datagram = { .datagram = true };
	int udp = open_plain(AF_INET, SOCK_DGRAM, false);
	int bound = open_plain(AF_INET, SOCK_STREAM, false);
	int good = open_plain(AF_INET, SOCK_STREAM, true);
	int file = fcntl(open("/dev/null", O_RDONLY), F_DUPFD, ASIDE_FD);
	const struct {
		const struct sock_config *config;
		int fds[2];
		const char *says;
	} cases[] = {
		{ &stream, { good, udp }, "descriptor 4 is no stream socket" },
		{ &stream, { bound, good }, "descriptor 3 does not listen" },
		{ &stream, { file, good }, "descriptor 3 is no socket" },
		{ &datagram, { udp, good },
		    "descriptor 4 is no datagram socket" },
	};
	struct err e = { 0 };
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tap_ok(activate(cases[i].fds, 2, cases[i].config, &e) == NULL
		    && e.code == ERR_BIND, "a fault");
		tap_text(e.text, cases[i].says, "which is named");
	}
	(void)close(FIRST_FD);
	(void)close(FIRST_FD + 1);
	tap_ok(activate(NULL, 0, &stream, &e) == NULL, "none");
	set_variables((long)getpid(), "1");
	tap_ok(sock_activated(&stream, &e) == NULL && e.code == ERR_BIND,
	    "one that is not open");
	tap_text(e.text, "descriptor 3 is not open", "which is named");
	(void)close(udp);
	(void)close(bound);
	(void)close(good);
	(void)close(file);
	err_clear(&e);
}

static bool
waits(struct sock *s)
{
	struct sock *client;
	struct err e = { 0 };
	enum sk_result r;

	if (mode == SK_BLOCKING)
		sock_set_deadline(s, clock_now_ns() + SHORT_MS * CLOCK_MS);
	r = sock_accept(s, &client, &e);
	sock_set_deadline(s, net_limit_ns());
	sock_abort(&client);
	err_clear(&e);
	return r == (mode == SK_BLOCKING ? SK_TIMEOUT : SK_WANT_READ);
}

/* A connection to it, taken by it; what the client sends arrives. */
static bool
serves(struct sock *listener, const char *operand, const char *sends,
    const char *arrives)
{
	const struct sock_config config = { .mode = mode, .socket_mode = -1 };
	struct sock *client = NULL, *peer;
	struct err e = { 0 };
	char room[64];
	size_t put, got = 0;
	bool ok;

	peer = net_open(operand, &config, false, &e);
	ok = peer != NULL && net_accept(listener, &client, &e) == SK_OK &&
	    net_send(peer, sends, strlen(sends), &put, &e) == SK_OK;
	if (client != NULL)
		sock_set_deadline(client, net_limit_ns());
	ok = ok && net_recv(client, room, sizeof(room), &got, &e) == SK_OK &&
	    got == strlen(arrives) && memcmp(room, arrives, got) == 0;
	sock_abort(&client);
	sock_abort(&peer);
	err_clear(&e);
	return ok;
}

static void
test_stream(void)
{
	const struct sock_config config = { .telnet = true };
	int fds[2] = { open_plain(AF_INET, SOCK_STREAM, true), -1 };
	struct err e = { 0 };
	struct sock *s;
	int count = 1, flags = fcntl(fds[0], F_GETFL);
	char operand[64];

	if (net_has(NET_TCP6)) {
		fds[1] = open_plain(AF_INET6, SOCK_STREAM, true);
		count = 2;
	}
	s = activate(fds, count, &config, &e);
	if (!tap_ok(s != NULL, "listening sockets, %s", net_mode_names[mode]))
		return;
	tap_ok((fcntl(FIRST_FD, F_GETFD) & FD_CLOEXEC) != 0, "close-on-exec");
	(void)snprintf(operand, sizeof(operand), "127.0.0.1:%s",
	    sock_ready_port(s));
	tap_ok(strncmp(sock_ready_line(s), "127.0.0.1 ", 10) == 0 &&
	    atoi(sock_ready_port(s)) > 0, "where it is: %s",
	    sock_ready_line(s));
	tap_ok(waits(s), "nobody there: it waits as told");
	tap_ok(serves(s, operand, "hello", "hello"), "a client");
	tap_ok(serves(s, operand, "a\377\375\001b", "ab"),
	    "the layers are there");
	tap_ok(waits(s), "nobody there again");
	tap_int(fcntl(fds[0], F_GETFL), flags, "the flags are as they were");
	sock_abort(&s);
	tap_ok(fcntl(FIRST_FD, F_GETFD) == -1, "closed");
	(void)close(fds[0]);
	if (fds[1] != -1)
		(void)close(fds[1]);
	err_clear(&e);
}

static void
test_unix(void)
{
	static const struct sock_config config = { .backlog = 0 };
	int fd = open_plain(AF_UNIX, SOCK_STREAM, true);
	struct err e = { 0 };
	struct sock *s = activate(&fd, 1, &config, &e);
	char operand[4 * NET_PATH_MAX];

	if (tap_ok(s != NULL, "a UNIX socket")) {
		(void)snprintf(operand, sizeof(operand), "unix:%s",
		    net_path("parent"));
		tap_text(sock_ready_line(s), operand, "its line");
		tap_text(sock_name(s), operand, "its name");
		tap_ok(serves(s, operand, "hello", "hello"), "a client");
	}
	sock_abort(&s);
	tap_ok(unlink(net_path("parent")) == 0, "the path is not ours");
	(void)close(fd);
	err_clear(&e);
}

/* Datagrams, with and without sessions. */
static void
test_datagram(bool sessions)
{
	const struct sock_config config = { .datagram = true,
	    .sessions = sessions };
	const struct sock_config peers = { .datagram = true, .mode = mode };
	int fd = open_plain(AF_INET, SOCK_DGRAM, false);
	struct err e = { 0 };
	struct sock *s = activate(&fd, 1, &config, &e), *c = NULL, *peer;
	char operand[64], room[8];
	size_t n;

	if (!tap_ok(s != NULL && waits(s), "datagrams%s",
	    sessions ? ", sessions" : ""))
		return;
	(void)snprintf(operand, sizeof(operand), "127.0.0.1:%s",
	    sock_ready_port(s));
	peer = net_open(operand, &peers, false, &e);
	tap_ok(net_send(peer, "x", 1, &n, &e) == SK_OK &&
	    net_accept(s, &c, &e) == SK_OK &&
	    net_recv(c, room, sizeof(room), &n, &e) == SK_OK && n == 1 &&
	    net_send(c, "y", 1, &n, &e) == SK_OK &&
	    net_recv(peer, room, sizeof(room), &n, &e) == SK_OK && n == 1,
	    "a peer and its answer");
	sock_abort(&peer);
	sock_abort(&c);
	sock_abort(&s);
	(void)close(fd);
	err_clear(&e);
}

static int
receive_fd(int by, bool *one_byte)
{
	_Alignas(max_align_t) char control[64];
	char room[8];
	struct iovec iov = { .iov_base = room, .iov_len = sizeof(room) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int fd = -1;

	*one_byte = recvmsg(by, &m, 0) == 1;
	c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static void
test_pass(void)
{
	static const struct sock_config config = { .socket_mode = -1 };
	struct sock *pair[2];
	struct err e = { 0 };
	struct linger linger = { 0 };
	socklen_t len = sizeof(linger);
	int by[2], fd;
	bool one_byte;
	char room[8];
	size_t n;

	(void)socketpair(AF_UNIX, SOCK_STREAM, 0, by);
	if (!tap_ok(net_pair(NET_TCP4, &config, pair, &e), "passing on"))
		return;
	sock_set_mode(pair[0], mode);
	tap_int(sock_pass(&pair[0], by[0], &e), SK_OK, "a connection");
	tap_ok(pair[0] == NULL, "it is freed");
	fd = receive_fd(by[1], &one_byte);
	tap_ok(fd != -1 && one_byte, "it comes with one byte");
	tap_int(fcntl(fd, F_GETFL) & O_NONBLOCK, 0, "it blocks");
	(void)getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len);
	tap_int(linger.l_onoff, 0, "it lingers as usual");
	tap_ok(write(fd, "hi", 2) == 2 && close(fd) == 0 &&
	    net_recv(pair[1], room, sizeof(room), &n, &e) == SK_OK && n == 2 &&
	    net_recv(pair[1], room, sizeof(room), &n, &e) == SK_EOF,
	    "bytes, and an end in order");
	sock_abort(&pair[1]);
	(void)close(by[0]);
	(void)close(by[1]);
	err_clear(&e);
}

static void
test_pass_not(void)
{
	static const struct sock_config config = { .telnet = true,
	    .socket_mode = -1 };
	struct sock *pair[2];
	struct err e = { 0 };
	char room[8];
	int by[2];
	size_t n;

	if (!tap_ok(net_pair(NET_TCP4, &config, pair, &e), "not passing on"))
		return;
	tap_int(pipe(by), 0, "a pipe");
	tap_ok(sock_pass(&pair[0], by[1], &e) == SK_ERROR &&
	    e.code == ERR_LOCAL, "a layer that is still needed");
	sock_abort(&pair[0]);
	sock_abort(&pair[1]);
	(void)net_pair(NET_TCP4, &(struct sock_config){ .mode = mode }, pair,
	    &e);
	tap_ok(sock_pass(&pair[0], by[1], &e) == SK_ERROR &&
	    e.code == ERR_LOCAL, "to a pipe");
	(void)close(by[0]);
	(void)close(by[1]);
	(void)socketpair(AF_UNIX, SOCK_STREAM, 0, by);
	(void)close(by[1]);
	tap_ok(sock_pass(&pair[0], by[0], &e) == SK_ERROR &&
	    e.code == ERR_LOCAL && e.sys == EPIPE, "to nobody");
	tap_ok(pair[0] != NULL, "it is still ours");
	sock_abort(&pair[0]);
	tap_int(net_recv(pair[1], room, sizeof(room), &n, &e), SK_ERROR,
	    "and unfinished");
	sock_abort(&pair[1]);
	(void)close(by[0]);
	err_clear(&e);
}

int
main(void)
{
	tap_start();
	for (mode = SK_NONBLOCKING; mode <= SK_BLOCKING; mode++) {
		test_none();
		test_faults();
		test_stream();
		test_unix();
		test_datagram(false);
		test_datagram(true);
		test_pass();
		test_pass_not();
	}
	net_clean();
	return tap_done();
}
