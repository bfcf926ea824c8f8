/* Probing: real listeners and what is no listener, in both modes. */
#include "flow/probe.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/un.h>

#include "cli/probe.h"
#include "net.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum {
	MANY = 150,
	TEXT_MAX = 64 * 1024,
	SOON_MS = 200,
	SLACK_MS = 2000,	/* on a busy machine */
};

/* A bound socket of its own port; backlog -1: nobody listens. */
static int
bound(int type, int backlog, unsigned *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(in);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) != 0 ||
	    (backlog >= 0 && listen(fd, backlog) != 0) ||
	    getsockname(fd, (struct sockaddr *)&in, &len) != 0)
		tap_note("cannot bind: %s", strerror(errno));
	*port = ntohs(in.sin_port);
	return fd;
}

static void
add_port(struct probe_target *t, unsigned port)
{
	t->ports.bits[port / 32] |= UINT32_C(1) << (port % 32);
	t->ports.count++;
}

static void
aim(struct probe_target *t, const char *host)
{
	memset(t, 0, sizeof(*t));
	t->addr.kind = ADDR_INET;
	(void)snprintf(t->addr.host, sizeof(t->addr.host), "%s", host);
}

static struct probe_target
one(const char *host, unsigned port)
{
	struct probe_target t;

	aim(&t, host);
	add_port(&t, port);
	(void)snprintf(t.addr.port, sizeof(t.addr.port), "%u", port);
	return t;
}

/* What was told, a word for each. */
struct told {
	char text[TEXT_MAX];
	size_t len;
};

static size_t
tell(void *context, const struct probe_result *r, char *buf, size_t size)
{
	static const char *const states[] = { "untried", "open", "closed",
	    "silent", "nameless" };
	struct told *told = context;
	int n;

	n = snprintf(buf, size, "%s/%u/%s\n", r->host, r->port,
	    states[r->state]);
	if (told != NULL)
		told->len += (size_t)snprintf(told->text + told->len,
		    sizeof(told->text) - told->len, "%s", buf);
	return (size_t)n;
}

static const struct sock_config plain = { .socket_mode = -1 };
static const struct sock_config datagrams = { .datagram = true,
    .socket_mode = -1 };

static struct probe_config
configure(enum sk_mode mode, struct told *told)
{
	struct probe_config c = {
		.mode = mode,
		.sock = &plain,
		.try_ns = NET_LIMIT_MS * CLOCK_MS,
		.try_option = "--option",
		.retry_ns = -1,
		.deadline_ns = net_limit_ns(),
		.line = tell,
		.context = told,
	};

	told->len = 0;
	told->text[0] = '\0';
	return c;
}

/* Probe: the code is that of the reason. */
static void
check(const struct probe_config *c, const struct probe_target *targets,
    size_t count, enum err_code code, const char *text, const char *name)
{
	const struct told *told = c->context;
	struct err e = { .code = ERR_NONE };
	char why[2048];
	enum sk_result r;

	r = probe_run(c, targets, count, &e);
	if (!tap_ok(r == (code == ERR_NONE ? SK_OK : SK_ERROR) &&
	    e.code == code, "%s: %s", net_mode_names[c->mode], name))
		tap_note("result %d, code %d: %s", (int)r, (int)e.code,
		    err_format(&e, why, sizeof(why)));
	if (text != NULL)
		tap_text(told->text, text, "%s: %s: what is told",
		    net_mode_names[c->mode], name);
	err_clear(&e);
}

static struct told told;

static void
test_open_and_closed(enum sk_mode mode)
{
	struct probe_config c = configure(mode, &told);
	char expected[TEXT_MAX] = "", path[256];
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct probe_target t[3] = { 0 };
	int fds[2 * MANY], listener;
	unsigned ports[2 * MANY], port;
	size_t n = 0, i, j;

	aim(&t[0], "127.0.0.1");
	for (i = 0; i < 2 * MANY; i++) {
		fds[i] = bound(SOCK_STREAM, i % 2 == 0 ? 5 : -1, &ports[i]);
		add_port(&t[0], ports[i]);
	}
	for (port = ports_next(&t[0].ports, 0); port != 0;
	    port = ports_next(&t[0].ports, port)) {
		for (j = 0; ports[j] != port; j++)
			continue;
		n += (size_t)snprintf(expected + n, sizeof(expected) - n,
		    "127.0.0.1/%u/%s\n", port, j % 2 == 0 ? "open" :
		    "closed");
	}
	(void)snprintf(path, sizeof(path), "%s", net_path("s"));
	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%.100s", path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	(void)bind(listener, (struct sockaddr *)&un, sizeof(un));
	(void)listen(listener, 5);
	t[1].addr.kind = t[2].addr.kind = ADDR_UNIX;
	(void)snprintf(t[1].addr.host, sizeof(t[1].addr.host), "%.100s", path);
	(void)snprintf(t[2].addr.host, sizeof(t[2].addr.host), "%.100s-", path);
	(void)snprintf(expected + n, sizeof(expected) - n,
	    "/0/open\n/0/closed\n");
	check(&c, t, 3, ERR_CONNECT, expected, "half of them are closed");
	c = configure(mode, &told);
	check(&c, &t[1], 1, ERR_NONE, "/0/open\n", "a UNIX listener");
	for (i = 0; i < 2 * MANY; i++)
		(void)close(fds[i]);
	(void)close(listener);
	(void)unlink(path);
	net_clean();
}

static void
test_one(enum sk_mode mode)
{
	struct probe_config c = configure(mode, &told);
	struct probe_target t[2];
	unsigned open, closed;
	int fds[2];

	fds[0] = bound(SOCK_STREAM, 5, &open);
	fds[1] = bound(SOCK_STREAM, -1, &closed);
	t[0] = one("127.0.0.1", open);
	t[1] = one("127.0.0.1", closed);
	check(&c, t, 1, ERR_NONE, NULL, "one that is open");
	check(&c, t + 1, 1, ERR_CONNECT, NULL, "one that is closed");
	check(&c, t, 2, ERR_CONNECT, NULL, "one of each");
	c.until_closed = true;
	check(&c, t, 1, ERR_CONNECT, NULL, "open, and it should be closed");
	check(&c, t + 1, 1, ERR_NONE, NULL, "closed, as it should be");
	c.until_closed = false;
	t[0] = one("name.invalid", 1);
	check(&c, t, 1, ERR_RESOLVE, NULL, "a name that is none");
	check(&c, t, 2, ERR_RESOLVE, NULL, "such a name and a closed port");
	c = configure(mode, &told);
	c.retry_ns = 0;
	check(&c, t + 1, 1, ERR_TIMEOUT, NULL, "a limit that has passed");
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* The address that answered is not the first of the name. */
static void
test_second_address(enum sk_mode mode)
{
	struct probe_config c = configure(mode, &told);
	struct probe_target t;
	char expected[64];
	unsigned port;
	int fd;

	if (!net_has(NET_TCP6)) {
		tap_skip("no IPv6", "%s: a second address",
		    net_mode_names[mode]);
		return;
	}
	fd = bound(SOCK_STREAM, 5, &port);
	t = one("localhost", port);
	(void)snprintf(expected, sizeof(expected), "127.0.0.1/%u/open\n",
	    port);
	check(&c, &t, 1, ERR_NONE, expected, "localhost");
	(void)close(fd);
}

/* A full backlog: further connections are not answered. */
static void
test_silent(enum sk_mode mode)
{
	struct probe_config c = configure(mode, &told);
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct probe_target t[2];
	unsigned port, closed;
	int fill[4], fd, other;
	char expected[128];
	int64_t took;
	size_t i;

	fd = bound(SOCK_STREAM, 0, &port);
	other = bound(SOCK_STREAM, -1, &closed);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in.sin_port = htons((uint16_t)port);
	for (i = 0; i < COUNT(fill); i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], (struct sockaddr *)&in, sizeof(in));
	}
	t[0] = one("127.0.0.1", port);
	t[1] = one("127.0.0.1", closed);
	c.try_ns = SOON_MS * CLOCK_MS;
	(void)snprintf(expected, sizeof(expected), "127.0.0.1/%u/silent\n",
	    port);
	took = -clock_now_ns();
	check(&c, t, 1, ERR_TIMEOUT, expected, "no answer");
	took += clock_now_ns();
	tap_ok(took >= SOON_MS * CLOCK_MS &&
	    took < (SOON_MS + SLACK_MS) * CLOCK_MS,
	    "%s: no answer in time", net_mode_names[mode]);
	check(&c, t, 2, ERR_CONNECT, NULL, "no answer, and a closed port");
	c.until_closed = true;
	check(&c, t, 1, ERR_TIMEOUT, NULL, "no answer is not closed");
	c.until_closed = false;
	c.try_ns = NET_LIMIT_MS * CLOCK_MS;
	c.deadline_ns = clock_now_ns() + SOON_MS * CLOCK_MS;
	check(&c, t, 2, ERR_TIMEOUT, NULL, "the end of the run");
	for (i = 0; i < COUNT(fill); i++)
		(void)close(fill[i]);
	(void)close(fd);
	(void)close(other);
}

/* A service that says something to one client, and then ends or stays. */
struct service {
	int listener;
	const char *parts[4];
	bool ends;
	pthread_t thread;
};

static void *
serve(void *arg)
{
	struct service *s = arg;
	struct timespec nap = { .tv_nsec = 20 * CLOCK_MS };
	char byte;
	size_t i;
	int fd;

	fd = accept(s->listener, NULL, NULL);
	for (i = 0; s->parts[i] != NULL; i++) {
		(void)send(fd, s->parts[i], strlen(s->parts[i]), MSG_NOSIGNAL);
		(void)nanosleep(&nap, NULL);
	}
	while (!s->ends && recv(fd, &byte, 1, 0) > 0)
		continue;
	(void)close(fd);
	return NULL;
}

static const struct says_case {
	const char *name;
	struct service service;
	const char *expect;
	int hold_ms;
	enum err_code code;
} says[] = {
	{ "a greeting", { .parts = { "220 hello\r\n" } }, "220", 0, ERR_NONE },
	{ "a greeting in parts", { .parts = { "22", "0 he", "llo" } },
	    "220 hello", 0, ERR_NONE },
	{ "an end that is a beginning", { .parts = { "aa", "aab" } }, "aaab",
	    0, ERR_NONE },
	{ "a long border", { .parts = { "abcabcabd", "abcabc", "abe" } },
	    "abcabcabe", 0, ERR_NONE },
	{ "another greeting", { .parts = { "220 hello\r\n" } }, "221", 0,
	    ERR_TIMEOUT },
	{ "the greeting is cut", { .parts = { "220 he" }, .ends = true },
	    "hello", 0, ERR_CONNECT },
	{ "it stays", { .parts = { NULL } }, "", 100, ERR_NONE },
	{ "it talks and stays", { .parts = { "a", "b", "c" } }, "", 100,
	    ERR_NONE },
	{ "it ends at once", { .ends = true }, "", 500, ERR_CONNECT },
	{ "it talks and ends", { .parts = { "a", "b" }, .ends = true }, "",
	    500, ERR_CONNECT },
	{ "it greets and stays", { .parts = { "220" } }, "220", 100,
	    ERR_NONE },
	{ "it greets and ends", { .parts = { "220" }, .ends = true }, "220",
	    500, ERR_CONNECT },
	{ "it stays and greets not", { .parts = { NULL } }, "220", 50,
	    ERR_TIMEOUT },
};

static void
test_says(enum sk_mode mode)
{
	const struct says_case *s;
	struct probe_config c;
	struct service service;
	struct probe_target t;
	unsigned port;
	size_t i;

	for (i = 0; i < COUNT(says); i++) {
		s = &says[i];
		service = s->service;
		service.listener = bound(SOCK_STREAM, 5, &port);
		(void)pthread_create(&service.thread, NULL, serve, &service);
		c = configure(mode, &told);
		c.expect = s->expect;
		c.expect_len = strlen(s->expect);
		c.hold_ns = s->hold_ms * CLOCK_MS;
		if (s->code == ERR_TIMEOUT)
			c.try_ns = SOON_MS * CLOCK_MS;
		t = one("127.0.0.1", port);
		check(&c, &t, 1, s->code, NULL, s->name);
		(void)pthread_join(service.thread, NULL);
		(void)close(service.listener);
	}
}

/* How many datagrams lie in the queue, all of them empty; -1: one is not. */
static int
empty_datagrams(int fd)
{
	char buf[16];
	ssize_t n;
	int count;

	for (count = 0; (n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) == 0;
	    count++)
		continue;
	return n > 0 ? -1 : count;
}

static void *
answer(void *arg)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	int *fd = arg;
	char buf[16];

	if (recvfrom(*fd, buf, sizeof(buf), 0, (struct sockaddr *)&in, &len) >=
	    0)
		(void)sendto(*fd, "pong", 4, 0, (struct sockaddr *)&in, len);
	return NULL;
}

static void
test_datagrams(enum sk_mode mode)
{
	struct probe_config c = configure(mode, &told);
	struct probe_target t;
	pthread_t thread;
	unsigned port;
	int fd;

	fd = bound(SOCK_DGRAM, -1, &port);
	t = one("127.0.0.1", port);
	c.sock = &datagrams;
	(void)pthread_create(&thread, NULL, answer, &fd);
	check(&c, &t, 1, ERR_NONE, NULL, "a datagram is answered");
	(void)pthread_join(thread, NULL);
	tap_int(empty_datagrams(fd), 0, "%s: it is not asked again",
	    net_mode_names[mode]);
	c.try_ns = SOON_MS * CLOCK_MS;
	c.expect = "ping";
	c.expect_len = 4;
	(void)pthread_create(&thread, NULL, answer, &fd);
	check(&c, &t, 1, ERR_TIMEOUT, NULL, "another answer is expected");
	(void)pthread_join(thread, NULL);
	(void)empty_datagrams(fd);
	c.expect_len = 0;
	check(&c, &t, 1, ERR_TIMEOUT, NULL, "a datagram is not answered");
	tap_int(empty_datagrams(fd), 2, "%s: it was asked twice",
	    net_mode_names[mode]);
	(void)close(fd);
	check(&c, &t, 1, ERR_CONNECT, NULL, "a datagram is refused");
}

static void *
listen_later(void *arg)
{
	struct timespec nap = { .tv_nsec = SOON_MS * CLOCK_MS };
	int *fd = arg;

	(void)nanosleep(&nap, NULL);
	(void)listen(*fd, 5);
	return NULL;
}

static void *
close_later(void *arg)
{
	struct timespec nap = { .tv_nsec = SOON_MS * CLOCK_MS };
	int *fd = arg;

	(void)nanosleep(&nap, NULL);
	(void)close(*fd);
	return NULL;
}

static void
test_again(enum sk_mode mode)
{
	struct probe_config c = configure(mode, &told);
	char expected[128];
	struct probe_target t[2];
	unsigned ports[2];
	pthread_t thread;
	int fds[2];

	fds[0] = bound(SOCK_STREAM, -1, &ports[0]);
	fds[1] = bound(SOCK_STREAM, 5, &ports[1]);
	t[0] = one("127.0.0.1", ports[0]);
	t[1] = one("127.0.0.1", ports[1]);
	c.retry_ns = NET_LIMIT_MS * CLOCK_MS;
	(void)snprintf(expected, sizeof(expected), "127.0.0.1/%u/open\n"
	    "127.0.0.1/%u/open\n", ports[0], ports[1]);
	(void)pthread_create(&thread, NULL, listen_later, &fds[0]);
	check(&c, t, 2, ERR_NONE, expected, "a port that opens later");
	(void)pthread_join(thread, NULL);
	(void)close(fds[0]);
	c = configure(mode, &told);
	c.retry_ns = NET_LIMIT_MS * CLOCK_MS;
	c.until_closed = true;
	(void)pthread_create(&thread, NULL, close_later, &fds[1]);
	check(&c, t, 2, ERR_NONE, NULL, "a port that closes later");
	(void)pthread_join(thread, NULL);
	c.until_closed = false;
	c.retry_ns = SOON_MS * CLOCK_MS;
	check(&c, t, 2, ERR_TIMEOUT, NULL, "ports that stay closed");
}

/* The lines go to a stream, and to one whose reader has gone. */
static void
test_lines(enum sk_mode mode)
{
	struct probe_config c = configure(mode, &told);
	struct err e = { .code = ERR_NONE };
	static char got[TEXT_MAX];
	struct probe_target t;
	unsigned port;
	int fds[2], closed[MANY], i;
	size_t len = 0;
	ssize_t n;

	aim(&t, "127.0.0.1");
	for (i = 0; i < MANY; i++) {
		closed[i] = bound(SOCK_STREAM, -1, &port);
		add_port(&t, port);
	}
	(void)net_plain_pair(fds, 0);
	c.out = net_adopt(fds[0], mode, &e);
	check(&c, &t, 1, ERR_CONNECT, NULL, "lines for a stream");
	(void)net_close(&c.out, &e);
	while ((n = recv(fds[1], got + len, sizeof(got) - len - 1, 0)) > 0)
		len += (size_t)n;
	got[len] = '\0';
	tap_text(got, told.text, "%s: the lines", net_mode_names[mode]);
	(void)close(fds[1]);
	/* A stream that has been closed by its reader. */
	(void)net_plain_pair(fds, 0);
	c = configure(mode, &told);
	c.out = net_adopt(fds[0], mode, &e);
	(void)setsockopt(fds[1], SOL_SOCKET, SO_LINGER,
	    &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
	(void)close(fds[1]);
	check(&c, &t, 1, ERR_BROKEN, NULL, "a stream that takes no lines");
	sock_abort(&c.out);
	for (i = 0; i < MANY; i++)
		(void)close(closed[i]);
}

static const struct escape_case {
	const char *text, *value;	/* NULL: refused */
	size_t len;
} escapes[] = {
	{ "220 ", "220 ", 4 },
	{ "a\\r\\n\\t\\\\b", "a\r\n\t\\b", 6 },
	{ "\\x00\\xfF\\x7e", "\0\xff~", 3 },
	{ "\\x41", "A", 1 },
	{ "", NULL, 0 },
	{ "\\", NULL, 0 },
	{ "a\\", NULL, 0 },
	{ "\\x", NULL, 0 },
	{ "\\x4", NULL, 0 },
	{ "\\x4g", NULL, 0 },
	{ "\\0", NULL, 0 },
	{ "\\q", NULL, 0 },
};

static void
test_escapes(void)
{
	const struct escape_case *c;
	char out[64];
	size_t i, len;
	bool ok;

	for (i = 0; i < COUNT(escapes); i++) {
		c = &escapes[i];
		ok = probe_unescape(c->text, out, &len);
		tap_ok(ok == (c->value != NULL) && (!ok ||
		    (len == c->len && memcmp(out, c->value, len) == 0)),
		    "escapes in \"%s\"", c->text);
	}
}

int
main(void)
{
	enum sk_mode mode;

	tap_start();
	test_escapes();
	for (mode = SK_NONBLOCKING; mode <= SK_BLOCKING; mode++) {
		test_open_and_closed(mode);
		test_one(mode);
		test_second_address(mode);
		test_silent(mode);
		test_says(mode);
		test_datagrams(mode);
		test_again(mode);
		test_lines(mode);
	}
	return tap_done();
}
