/*
 * The race of RFC 8305, over addresses that the tests choose: sock/dial.c is
 * a part of this program, so that they can be given to it without names.
 */
#define dial_start	dial_start_in_test
#include "sock/dial.c"	/* NOLINT(bugprone-suspicious-include) */
#undef dial_start

#include "net.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum {
	ADDRS_MAX = 8,
	FILL_MAX = 64,
	SLACK_MS = 700,		/* on a busy machine; below a SYN's repeat */
};

/* Give the race its addresses, in this order. */
static struct sock *
race(enum sk_mode mode, const struct sk_addr *addrs, size_t count,
    const struct sock_config *config, struct err *e)
{
	struct dial *d = calloc(1, sizeof(*d));
	struct sock *s;

	if (d == NULL)
		return NULL;
	d->addrs.v = calloc(ADDRS_MAX, sizeof(*d->addrs.v));
	s = sock_make(&transport_dial, -1, mode, "the name", e);
	if (d->addrs.v == NULL || s == NULL)
		return NULL;
	memcpy(d->addrs.v, addrs, count * sizeof(*addrs));
	d->addrs.count = count;
	s->priv = d;
	if (config != NULL)
		s->config = config;
	sock_set_deadline(s, net_limit_ns());
	return s;
}

static struct sk_addr
address(int fd)
{
	struct sk_addr a;

	memset(&a, 0, sizeof(a));
	a.len = sizeof(a.u);
	(void)getsockname(fd, &a.u.sa, &a.len);
	return a;
}

/* A bound IPv4 socket of its own port: refusing, or with a backlog. */
static int
bound(int backlog, struct sk_addr *a)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) != 0 ||
	    (backlog >= 0 && listen(fd, backlog) != 0)) {
		(void)close(fd);
		return -1;
	}
	*a = address(fd);
	return fd;
}

/*
 * An address that does not answer: a listener whose queue is full drops what
 * comes. The connections that fill it are in fill, -1 behind them.
 */
static int
black_hole(struct sk_addr *a, int fill[FILL_MAX + 1])
{
	struct pollfd p = { .events = POLLOUT };
	int fd = bound(0, a), n;

	for (n = 0; n < FILL_MAX; n++) {
		fill[n] = p.fd = sys_socket(AF_INET, SOCK_STREAM, 0);
		fill[n + 1] = -1;
		(void)connect(p.fd, &a->u.sa, a->len);
		if (poll(&p, 1, 50) == 0)
			return fd;
	}
	return fd;
}

static void
close_fds(const int *fds)
{
	for (; *fds != -1; fds++)
		(void)close(*fds);
}

/* The first address stays first, then the families take turns. */
static void
test_interleave(void)
{
	static const struct order_case {
		const char *before, *after;
	} orders[] = {
		{ "", "" }, { "4", "4" }, { "6", "6" },
		{ "66644", "64646" }, { "44466", "46464" },
		{ "6664", "6466" }, { "4666", "4666" },
		{ "4444", "4444" }, { "64646464", "64646464" },
		{ "66664444", "64646464" }, { "44444446", "46444444" },
	};
	struct sk_addrs list = { calloc(ADDRS_MAX, sizeof(*list.v)), 0 };
	char after[ADDRS_MAX + 1];
	size_t i, k;
	int last[2];
	bool kept;

	for (i = 0; i < COUNT(orders) && list.v != NULL; i++) {
		list.count = strlen(orders[i].before);
		for (k = 0; k < list.count; k++) {
			memset(&list.v[k], 0, sizeof(list.v[k]));
			list.v[k].u.sa.sa_family =
			    orders[i].before[k] == '4' ? AF_INET : AF_INET6;
			list.v[k].len = (socklen_t)k;
		}
		interleave(&list);
		memset(after, 0, sizeof(after));
		last[0] = last[1] = -1;
		kept = true;
		for (k = 0; k < list.count; k++) {
			bool six = list.v[k].u.sa.sa_family == AF_INET6;

			after[k] = six ? '6' : '4';
			kept = kept && (int)list.v[k].len > last[six];
			last[six] = (int)list.v[k].len;
		}
		tap_text(after, orders[i].after, "order %s",
		    orders[i].before);
		tap_ok(kept, "each family keeps its own");
	}
	free(list.v);
}

/* Refused addresses do not take the time of the next ones. */
static void
test_refused_then_open(enum sk_mode mode)
{
	struct sk_addr addrs[ADDRS_MAX];
	int fds[ADDRS_MAX + 1], i, before = 0;
	struct err e = { 0 };
	struct sock *s;
	int64_t start;
	char name[ADDR_NAME_MAX];

	for (i = 0; i < 4; i++)
		fds[i] = bound(i == 3 ? 8 : -1, &addrs[i]);
	fds[4] = -1;
	before = net_count_fds();
	s = race(mode, addrs, 4, NULL, &e);
	start = clock_now_ns();
	sock_format(&addrs[3], name, sizeof(name));
	tap_ok(s != NULL && net_finish(s, sock_connect, &e) == SK_OK &&
	    strcmp(sock_name(s), name) == 0,
	    "%s: the address that answers wins", net_mode_names[mode]);
	tap_ok(clock_now_ns() - start < STAGGER_MS * CLOCK_MS,
	    "%s: without waiting for the refused", net_mode_names[mode]);
	tap_int(net_count_fds(), before + 1, "%s: the losers are closed",
	    net_mode_names[mode]);
	tap_int(e.code, ERR_NONE, "%s: and are no error",
	    net_mode_names[mode]);
	sock_abort(&s);
	close_fds(fds);
	err_clear(&e);
}

/* If nobody answers, each address is named with its reason. */
static void
test_all_refused(enum sk_mode mode)
{
	struct sk_addr addrs[ADDRS_MAX];
	int fds[ADDRS_MAX + 1], i, before;
	char name[ADDR_NAME_MAX];
	struct err e = { 0 }, *p;
	struct sock *s;
	enum sk_result r = SK_OK;
	bool named = true;

	before = net_count_fds();
	for (i = 0; i < ADDRS_MAX - 1; i++)
		fds[i] = bound(-1, &addrs[i]);
	fds[i] = -1;
	s = race(mode, addrs, (size_t)i, NULL, &e);
	if (s != NULL)
		r = net_finish(s, sock_connect, &e);
	tap_ok(r == SK_ERROR && e.code == ERR_CONNECT, "%s: all refused",
	    net_mode_names[mode]);
	for (i = 0, p = &e; p != NULL; p = p->next, i++) {
		sock_format(&addrs[i % ADDRS_MAX], name, sizeof(name));
		named = named && strcmp(p->who, name) == 0 &&
		    p->sys == ECONNREFUSED && p->code == ERR_CONNECT;
	}
	tap_ok(i == ADDRS_MAX - 1 && named,
	    "%s: each is named with its reason", net_mode_names[mode]);
	sock_abort(&s);
	close_fds(fds);
	tap_int(net_count_fds(), before, "%s: nothing stays open",
	    net_mode_names[mode]);
	err_clear(&e);
}

/* An address that does not answer costs 250 ms, and its deadline is kept. */
static void
test_black_hole(enum sk_mode mode)
{
	struct sk_addr addrs[2];
	int hole, good, fill[FILL_MAX + 1], before;
	struct err e = { 0 };
	struct sock *s;
	int64_t start, took_ns;

	hole = black_hole(&addrs[0], fill);
	good = bound(8, &addrs[1]);
	before = net_count_fds();
	start = clock_now_ns();
	s = race(mode, addrs, 2, NULL, &e);
	tap_ok(s != NULL && net_finish(s, sock_connect, &e) == SK_OK,
	    "%s: the second address wins", net_mode_names[mode]);
	took_ns = clock_now_ns() - start;
	if (!tap_ok(took_ns >= STAGGER_MS * CLOCK_MS &&
	    took_ns < SLACK_MS * CLOCK_MS, "%s: after 250 ms",
	    net_mode_names[mode]))
		tap_note("%lld ms", (long long)(took_ns / CLOCK_MS));
	tap_int(net_count_fds(), before + 1, "%s: the first one is closed",
	    net_mode_names[mode]);
	sock_abort(&s);
	(void)close(good);

	s = race(mode, addrs, 1, NULL, &e);
	start = clock_now_ns();
	sock_set_deadline(s, start + 50 * CLOCK_MS);
	tap_ok(net_finish(s, sock_connect, &e) == SK_TIMEOUT &&
	    clock_now_ns() - start >= 50 * CLOCK_MS,
	    "%s: a deadline ends the race", net_mode_names[mode]);
	sock_abort(&s);
	close_fds(fill);
	(void)close(hole);
	err_clear(&e);
}

/* The first of the steps returns at once, in the non-blocking mode. */
static void
test_want(void)
{
	struct sk_addr addr;
	int hole, fill[FILL_MAX + 1];
	struct pollfd fds[SK_POLLFDS_MAX];
	struct err e = { 0 };
	struct sock *s;

	hole = black_hole(&addr, fill);
	s = race(SK_NONBLOCKING, &addr, 1, NULL, &e);
	tap_int(sock_connect(s, &e), SK_WANT_WRITE, "connecting is a want");
	tap_ok(sock_pollfds(s, SK_OUT, SK_WANT_WRITE, fds) == 1 &&
	    fds[0].events == POLLOUT, "of one descriptor");
	sock_abort(&s);
	close_fds(fill);
	(void)close(hole);
	err_clear(&e);
}

/* Source addresses: used, of another family, and not to be had. */
static void
test_source(enum sk_mode mode)
{
	static const struct source_case {
		const char *host;
		bool ok;
		int sys;
		const char *text;
	} sources[] = {
		{ "127.0.0.2", true, 0, NULL },
		{ "::1", false, 0, "the source is of another family" },
		{ "192.0.2.7", false, EADDRNOTAVAIL,
		    "cannot use source 192.0.2.7" },
	};
	struct sock_config config = { .mode = mode, .socket_mode = -1 };
	struct sock *listener, *s, *client = NULL;
	struct err e = { 0 };
	size_t i;

	listener = net_listen(NET_TCP4, &config, &e);
	if (!tap_ok(listener != NULL, "listening"))
		return;
	for (i = 0; i < COUNT(sources); i++) {
		config.source_host = sources[i].host;
		s = net_open(net_address(listener), &config, false, &e);
		if (sources[i].ok)
			tap_ok(s != NULL && net_accept(listener, &client,
			    &e) == SK_OK && strncmp(sock_name(client),
			    "127.0.0.2 port ", 15) == 0, "%s: source %s",
			    net_mode_names[mode], sources[i].host);
		else
			tap_ok(s == NULL && e.code == ERR_CONNECT &&
			    e.sys == sources[i].sys && strcmp(e.text,
			    sources[i].text) == 0, "%s: source %s",
			    net_mode_names[mode], sources[i].host);
		sock_abort(&client);
		sock_abort(&s);
		err_clear(&e);
	}
	sock_abort(&listener);
}

/* A connection that meets itself is nobody's. */
static void
test_self(enum sk_mode mode)
{
	struct sock_config config = { .mode = mode, .socket_mode = -1 };
	struct sk_addr a;
	struct err e = { 0 };
	struct sock *s;
	char port[ADDR_PORT_MAX], operand[2 * ADDR_PORT_MAX];
	int fd = bound(-1, &a);

	(void)snprintf(port, sizeof(port), "%u", ntohs(a.u.in.sin_port));
	(void)snprintf(operand, sizeof(operand), "127.0.0.1:%s", port);
	(void)close(fd);
	config.source_host = "127.0.0.1";
	config.source_port = port;
	s = net_open(operand, &config, false, &e);
	tap_ok(s == NULL && e.code == ERR_CONNECT && e.sys == ECONNREFUSED,
	    "%s: nobody meets himself", net_mode_names[mode]);
	sock_abort(&s);
	err_clear(&e);
}

/* A UNIX listener with a full queue is busy, not gone. */
static void
test_busy(enum sk_mode mode)
{
	struct sk_addr a = { .u.un.sun_family = AF_UNIX };
	struct err e = { 0 };
	struct sock *s;
	const char *path = net_path("busy");
	int listener, first, second;

	memcpy(a.u.un.sun_path, path, strlen(path));
	a.len = sizeof(a.u.un);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	first = sys_socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(listener, &a.u.sa, a.len) != 0 || listen(listener, 0) != 0 ||
	    connect(first, &a.u.sa, a.len) != 0)
		tap_note("cannot fill the queue: %s", strerror(errno));
	s = race(mode, &a, 1, NULL, &e);
	sock_set_deadline(s, clock_now_ns() + 50 * CLOCK_MS);
	tap_int(net_finish(s, sock_connect, &e), SK_TIMEOUT,
	    "%s: a full queue is waited for", net_mode_names[mode]);
	second = accept(listener, NULL, NULL);
	sock_set_deadline(s, net_limit_ns());
	tap_int(net_finish(s, sock_connect, &e), SK_OK,
	    "%s: until there is room", net_mode_names[mode]);
	sock_abort(&s);
	(void)close(first);
	(void)close(second);
	(void)close(listener);
	(void)unlink(path);
	err_clear(&e);
}

int
main(void)
{
	enum sk_mode mode;

	tap_start();
	test_interleave();
	test_want();
	for (mode = SK_NONBLOCKING; mode <= SK_BLOCKING; mode++) {
		test_refused_then_open(mode);
		test_all_refused(mode);
		test_black_hole(mode);
		test_source(mode);
		test_self(mode);
		test_busy(mode);
	}
	net_clean();
	return tap_done();
}
