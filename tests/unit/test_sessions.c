/* Datagrams of many peers, each a client of its own. */
#include "sock/sock.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/resource.h>

#include "net.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum {
	DATAGRAM_MAX = 65507,
	MANY = 10 * 1000,
	SPARE_FDS = 200,
	THREADS = 24,
	ROUNDS = 60,
	QUEUE_MAX = 256,
	BIG_DATAGRAM = 60000,
	BIG_WAITING = 17,		/* of these fit into 1 MiB */
	LIMIT_MS = 5000,
};

static enum sk_mode mode;
static const enum net_kind kinds[] = { NET_UDP4, NET_UDP6,
    NET_UNIX_DATAGRAM };

static struct sock *
open_listener(const char *operand)
{
	struct sock_config config = { .mode = mode, .datagram = true,
	    .sessions = true, .socket_mode = -1 };
	struct err e = { 0 };
	char line[512];
	struct sock *s = net_open(operand, &config, true, &e);

	if (s == NULL)
		tap_note("%s", err_format(&e, line, sizeof(line)));
	err_clear(&e);
	return s;
}

/* Where a listener is, for a plain socket. */
static struct sk_addr
address_of(const struct sock *listener)
{
	struct sk_addr a = { 0 };
	const char *line = sock_ready_line(listener), *space;
	in_port_t port;
	char host[64];

	space = strchr(line, ' ');
	if (space == NULL) {
		a.u.un.sun_family = AF_UNIX;
		(void)snprintf(a.u.un.sun_path, sizeof(a.u.un.sun_path),
		    "%.100s", line + strlen("unix:"));
		a.len = sizeof(a.u.un);
		return a;
	}
	port = htons((in_port_t)atoi(space + 1));
	(void)snprintf(host, sizeof(host), "%.*s", (int)(space - line), line);
	if (inet_pton(AF_INET, host, &a.u.in.sin_addr) == 1) {
		a.u.in.sin_family = AF_INET;
		a.u.in.sin_port = port;
		a.len = sizeof(a.u.in);
	} else {
		(void)inet_pton(AF_INET6, host, &a.u.in6.sin6_addr);
		a.u.in6.sin6_family = AF_INET6;
		a.u.in6.sin6_port = port;
		a.len = sizeof(a.u.in6);
	}
	return a;
}

/* A peer: a plain, blocking socket; name: of a UNIX one, NULL: none. */
static int
open_peer(const struct sk_addr *to, const char *name)
{
	struct timeval limit = { .tv_sec = LIMIT_MS / 1000 };
	struct sk_addr own = { .u.un.sun_family = AF_UNIX };
	int fd = socket(to->u.sa.sa_family, SOCK_DGRAM, 0);

	if (to->u.sa.sa_family == AF_UNIX && name != NULL) {
		(void)snprintf(own.u.un.sun_path, sizeof(own.u.un.sun_path),
		    "%.100s", net_path(name));
		(void)unlink(own.u.un.sun_path);
		if (bind(fd, &own.u.sa, sizeof(own.u.un)) != 0)
			perror(own.u.un.sun_path);
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, &to->u.sa, to->len) != 0)
		perror("connect");
	return fd;
}

static void
close_peer(int fd, const char *name)
{
	(void)close(fd);
	(void)unlink(net_path(name));
}

static enum sk_result
accept_one(struct sock *listener, struct sock **client)
{
	struct err e = { 0 };
	char line[512];
	enum sk_result r = net_accept(listener, client, &e);

	if (r == SK_OK)
		sock_set_deadline(*client, net_limit_ns());
	if (r == SK_ERROR)
		tap_note("%s", err_format(&e, line, sizeof(line)));
	err_clear(&e);
	return r;
}

/* Let the listener deliver what has come; nobody new is expected. */
static bool
deliver(struct sock *listener)
{
	struct sock *client;
	struct err e = { 0 };
	enum sk_result r;
	int i;

	sock_set_mode(listener, SK_NONBLOCKING);
	for (i = 0; i < 8; i++) {
		r = sock_accept(listener, &client, &e);
		if (r != SK_WANT_READ)
			break;
	}
	sock_set_mode(listener, mode);
	sock_abort(&client);
	err_clear(&e);
	return r == SK_WANT_READ;
}

/* Whether the next datagram of a client is this. */
static bool
gets(struct sock *client, const void *data, size_t len)
{
	static char room[DATAGRAM_MAX + 1];
	struct err e = { 0 };
	char line[512];
	enum sk_result r;
	size_t got;

	r = net_recv(client, room, sizeof(room), &got, &e);
	if (r != SK_OK || got != len || memcmp(room, data, len) != 0) {
		tap_note("result %d, %zu bytes of %zu: %s", r, got, len,
		    err_format(&e, line, sizeof(line)));
		err_clear(&e);
		return false;
	}
	return true;
}

static bool
gives(struct sock *client, const void *data, size_t len)
{
	struct err e = { 0 };
	size_t put = 0;
	bool ok = net_send(client, data, len, &put, &e) == SK_OK && put == len;
	char line[512];

	if (!ok)
		tap_note("%s", err_format(&e, line, sizeof(line)));
	err_clear(&e);
	return ok;
}

static bool
is_idle(struct sock *client)
{
	struct err e = { 0 };
	enum sk_result r;
	char byte;
	size_t got;

	sock_set_mode(client, SK_NONBLOCKING);
	r = sock_recv(client, &byte, 1, &got, &e);
	sock_set_mode(client, mode);
	err_clear(&e);
	return r == SK_WANT_READ;
}

static char data[DATAGRAM_MAX];

static void
fill_data(void)
{
	uint64_t state = tap_seed();
	size_t i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (char)tap_random(&state);
}

static void
test_two(enum net_kind kind)
{
	static const size_t sizes[] = { 0, 1, 1472, 8193, 16385, 60000,
	    DATAGRAM_MAX };
	struct sock *listener, *a = NULL, *b = NULL;
	char room[DATAGRAM_MAX + 1];
	struct sk_addr to;
	int fd_a, fd_b;
	size_t i;
	bool ok = true;

	if (!net_has(kind)) {
		tap_skip("no IPv6", "%s", net_kind_names[kind]);
		return;
	}
	listener = open_listener(net_operand(kind));
	if (!tap_ok(listener != NULL, "%s, %s", net_kind_names[kind],
	    net_mode_names[mode]))
		return;
	tap_ok(sock_is_datagram(listener), "a listener of datagrams");
	to = address_of(listener);
	fd_a = open_peer(&to, "a");
	fd_b = open_peer(&to, "b");
	(void)send(fd_a, "A", 1, 0);
	tap_int(accept_one(listener, &a), SK_OK, "the first peer");
	(void)send(fd_a, "A2", 2, 0);
	(void)send(fd_b, "", 0, 0);
	tap_int(accept_one(listener, &b), SK_OK, "the second peer");
	(void)send(fd_b, "B2", 2, 0);
	tap_ok(gets(a, "A", 1) && gets(a, "A2", 2), "what the first sent");
	tap_ok(deliver(listener), "there is nobody else");
	tap_ok(gets(b, "", 0) && gets(b, "B2", 2), "what the second sent");
	tap_ok(is_idle(a) && is_idle(b), "and nothing more");
	for (i = 0; i < COUNT(sizes); i++) {
		ok &= gives(a, data, sizes[i]) && recv(fd_a, room,
		    sizeof(room), 0) == (ssize_t)sizes[i] &&
		    memcmp(room, data, sizes[i]) == 0;
		ok &= send(fd_b, data, sizes[i], 0) == (ssize_t)sizes[i] &&
		    deliver(listener) && gets(b, data, sizes[i]);
	}
	tap_ok(ok, "all sizes");
	tap_int((long long)sock_dropped(a), 0, "none dropped");
	sock_abort(&a);
	(void)send(fd_a, "again", 5, 0);
	tap_ok(accept_one(listener, &a) == SK_OK && gets(a, "again", 5),
	    "who has ended comes again");
	sock_abort(&a);
	sock_abort(&b);
	sock_abort(&listener);
	close_peer(fd_a, "a");
	close_peer(fd_b, "b");
}

static void
test_names(void)
{
	struct sock *listener = open_listener("127.0.0.1:0"), *c = NULL;
	struct sk_addr to = address_of(listener), own = { 0 };
	struct sock_ends ends;
	char name[64], port[16];
	int fd = open_peer(&to, NULL);

	own.len = sizeof(own.u);
	(void)getsockname(fd, &own.u.sa, &own.len);
	(void)snprintf(port, sizeof(port), "%d", ntohs(own.u.in.sin_port));
	(void)snprintf(name, sizeof(name), "127.0.0.1 port %s", port);
	(void)send(fd, "x", 1, 0);
	if (tap_int(accept_one(listener, &c), SK_OK, "a client")) {
		tap_text(sock_name(c), name, "its name");
		sock_get_ends(c, &ends);
		tap_text(ends.transport, "udp", "its transport");
		tap_text(ends.peer_host, "127.0.0.1", "its host");
		tap_text(ends.peer_port, port, "its port");
		tap_text(ends.local_host, "127.0.0.1", "our host");
		tap_text(ends.local_port, sock_ready_port(listener),
		    "our port");
	}
	sock_abort(&c);
	sock_abort(&listener);
	(void)close(fd);
}

/* Answers come from the address that was sent to, or nobody would get them. */
static void
test_local(void)
{
	struct sock *listener = open_listener("0.0.0.0:0"), *c = NULL;
	struct sk_addr to = address_of(listener);
	struct sock_ends ends;
	char room[8];
	int fd;

	to.u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	fd = open_peer(&to, NULL);
	(void)send(fd, "x", 1, 0);
	tap_ok(accept_one(listener, &c) == SK_OK && gets(c, "x", 1),
	    "a client of another address");
	sock_get_ends(c, &ends);
	tap_text(ends.local_host, "127.0.0.2", "is known");
	tap_ok(gives(c, "y", 1) && recv(fd, room, sizeof(room), 0) == 1,
	    "the answer comes from there");
	sock_abort(&c);
	sock_abort(&listener);
	(void)close(fd);
}

static void
test_unnamed(void)
{
	struct sock *listener = open_listener(net_operand(NET_UNIX_DATAGRAM));
	struct sk_addr to = address_of(listener);
	struct sock *c = NULL;
	struct sock_ends ends;
	struct err e = { 0 };
	char path[2 * NET_PATH_MAX];
	int fds[2] = { open_peer(&to, NULL), open_peer(&to, NULL) };
	size_t put;

	(void)snprintf(path, sizeof(path), "%s", sock_ready_port(listener));
	(void)send(fds[0], "x", 1, 0);
	(void)send(fds[1], "y", 1, 0);
	tap_int(accept_one(listener, &c), SK_OK, "peers without a name");
	tap_ok(deliver(listener) && gets(c, "x", 1) && gets(c, "y", 1),
	    "are one client");
	tap_int(sock_send(c, "z", 1, &put, &e), SK_ERROR,
	    "which cannot be answered");
	tap_text(e.text, "the peer has no address to answer to", "as it says");
	sock_get_ends(c, &ends);
	tap_text(ends.transport, "unix", "its transport");
	sock_abort(&listener);
	tap_ok(access(path, F_OK) == 0, "the path stays for the client");
	sock_abort(&c);
	tap_ok(access(path, F_OK) != 0, "and goes with it");
	(void)close(fds[0]);
	(void)close(fds[1]);
	err_clear(&e);
}

/* What a client leaves lying is bounded, and counted. */
static void
test_dropped(void)
{
	struct sock *listener = open_listener("127.0.0.1:0"), *c = NULL;
	struct sk_addr to = address_of(listener);
	int fd = open_peer(&to, NULL), i, count;
	char byte;
	bool ok = true;

	(void)send(fd, "\0", 1, 0);
	(void)accept_one(listener, &c);
	for (i = 1; i < QUEUE_MAX + 10; i++) {
		byte = (char)i;
		(void)send(fd, &byte, 1, 0);
		(void)deliver(listener);
	}
	tap_int((long long)sock_dropped(c), 10, "more than fit");
	for (i = 0; i < QUEUE_MAX; i++) {
		byte = (char)i;
		ok &= gets(c, &byte, 1);
	}
	tap_ok(ok && is_idle(c), "the first ones are kept");
	for (i = 0; i < BIG_WAITING + 3; i++) {
		(void)send(fd, data, BIG_DATAGRAM, 0);
		(void)deliver(listener);
	}
	tap_int((long long)sock_dropped(c), 13, "more bytes than fit");
	for (count = 0; !is_idle(c) && count < 100; count++)
		continue;
	tap_int(count, BIG_WAITING, "were kept");
	sock_abort(&c);
	sock_abort(&listener);
	(void)close(fd);
}

static void
test_admits(void)
{
	struct sock *listener = open_listener("127.0.0.1:0");
	struct sock *c = NULL, *other = NULL;
	struct sk_addr to = address_of(listener);
	int fds[2] = { open_peer(&to, NULL), open_peer(&to, NULL) };

	(void)send(fds[0], "1", 1, 0);
	(void)accept_one(listener, &c);
	sock_set_admits(listener, false);
	(void)send(fds[1], "x", 1, 0);
	(void)send(fds[0], "2", 1, 0);
	tap_ok(deliver(listener), "nobody is admitted");
	tap_int((long long)sock_dropped(listener), 1, "what came is counted");
	tap_ok(gets(c, "1", 1) && gets(c, "2", 1), "who is there gets its own");
	sock_set_admits(listener, true);
	(void)send(fds[1], "y", 1, 0);
	tap_ok(accept_one(listener, &other) == SK_OK && gets(other, "y", 1),
	    "until it is again");
	sock_abort(&c);
	sock_abort(&other);
	sock_abort(&listener);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* A buffer that is too small is an error, and the next one is whole. */
static void
test_cut(void)
{
	struct sock *listener = open_listener("127.0.0.1:0"), *c = NULL;
	struct sk_addr to = address_of(listener);
	struct err e = { 0 };
	int fd = open_peer(&to, NULL);
	char room[4];
	size_t got;

	(void)send(fd, "12345", 5, 0);
	(void)accept_one(listener, &c);
	tap_int(sock_recv(c, room, sizeof(room), &got, &e), SK_ERROR,
	    "a buffer that is too small");
	tap_text(e.text, "a datagram of more than 4 bytes was cut", "is said");
	(void)send(fd, "next", 4, 0);
	tap_ok(deliver(listener) && gets(c, "next", 4), "the next one");
	tap_int(sock_send(c, data, sizeof(data), &got, &e), SK_OK,
	    "the largest");
	{
		char more[DATAGRAM_MAX + 1] = "";

		tap_int(sock_send(c, more, sizeof(more), &got, &e), SK_ERROR,
		    "one byte more");
		tap_int(e.code, ERR_LOCAL, "is ours to blame");
	}
	sock_abort(&c);
	sock_abort(&listener);
	(void)close(fd);
	err_clear(&e);
}

/* A peer that has gone does not concern the others. */
static void
test_refused(void)
{
	struct sock *listener = open_listener("127.0.0.1:0");
	struct sock *gone = NULL, *c = NULL;
	struct sk_addr to = address_of(listener);
	int fds[2] = { open_peer(&to, NULL), open_peer(&to, NULL) }, i;
	struct err e = { 0 };
	char room[8];
	size_t put;
	bool ok = true;

	(void)send(fds[0], "x", 1, 0);
	(void)accept_one(listener, &gone);
	(void)close(fds[0]);
	(void)send(fds[1], "y", 1, 0);
	(void)accept_one(listener, &c);
	ok &= gets(c, "y", 1);
	for (i = 0; i < 5; i++) {
		(void)sock_send(gone, "x", 1, &put, &e);
		ok &= send(fds[1], "z", 1, 0) == 1 && deliver(listener) &&
		    gets(c, "z", 1) && gives(c, "w", 1) &&
		    recv(fds[1], room, sizeof(room), 0) == 1;
	}
	tap_ok(ok, "a refusal of one does not reach the other");
	sock_abort(&gone);
	sock_abort(&c);
	sock_abort(&listener);
	(void)close(fds[1]);
	err_clear(&e);
}

struct waiting {
	struct sock *s;
	const char *text;
	bool ok;
};

static void *
wait_for_text(void *arg)
{
	struct waiting *w = arg;
	char room[64];
	struct err e = { 0 };
	size_t got;

	w->ok = net_recv(w->s, room, sizeof(room), &got, &e) == SK_OK &&
	    got == strlen(w->text) && memcmp(room, w->text, got) == 0;
	err_clear(&e);
	return NULL;
}

/* Clients outlive the listener, and receive for themselves then. */
static void
test_orphans(enum net_kind kind)
{
	struct sock *listener, *c[2] = { NULL, NULL };
	struct waiting w[2] = { { .text = "zero" }, { .text = "one" } };
	static const char *const names[] = { "a", "b" };
	pthread_t threads[2];
	struct sk_addr to;
	int fds[2], i;
	char room[8];

	if (!net_has(kind))
		return;
	listener = open_listener(net_operand(kind));
	to = address_of(listener);
	for (i = 0; i < 2; i++) {
		fds[i] = open_peer(&to, names[i]);
		(void)send(fds[i], "x", 1, 0);
		(void)accept_one(listener, &c[i]);
		(void)gets(c[i], "x", 1);
		w[i].s = c[i];
		(void)pthread_create(&threads[i], NULL, wait_for_text, &w[i]);
	}
	sock_abort(&listener);
	(void)send(fds[1], "one", 3, 0);
	(void)pthread_join(threads[1], NULL);
	tap_ok(w[1].ok, "%s: received without a listener",
	    net_kind_names[kind]);
	(void)send(fds[0], "zero", 4, 0);
	(void)pthread_join(threads[0], NULL);
	tap_ok(w[0].ok, "by the other one, too");
	(void)send(fds[0], "last", 4, 0);
	(void)send(fds[1], "more", 4, 0);
	tap_ok(gets(c[0], "last", 4), "and again");
	sock_abort(&c[0]);
	tap_ok(gets(c[1], "more", 4), "and where the other has gone");
	tap_ok(gives(c[1], "y", 1) && recv(fds[1], room, sizeof(room), 0) == 1,
	    "sent without a listener");
	sock_abort(&c[1]);
	for (i = 0; i < 2; i++)
		close_peer(fds[i], names[i]);
}

/* Out of descriptors: who comes is kept, who is there gets its own. */
static void
test_descriptors(void)
{
	struct sock *listener = open_listener("127.0.0.1:0");
	struct sock *c = NULL, *other = NULL;
	struct sk_addr to = address_of(listener);
	int fds[2] = { open_peer(&to, NULL), open_peer(&to, NULL) };
	struct rlimit limit, low;
	struct err e = { 0 };

	(void)send(fds[0], "1", 1, 0);
	(void)accept_one(listener, &c);
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	low.rlim_cur = 3;
	(void)setrlimit(RLIMIT_NOFILE, &low);
	(void)send(fds[1], "x", 1, 0);
	(void)send(fds[0], "2", 1, 0);
	tap_int(net_accept(listener, &other, &e), SK_ERROR, "no descriptors");
	tap_ok(e.code == ERR_LOCAL && e.sys == EMFILE, "is said");
	tap_ok(gets(c, "1", 1) && gets(c, "2", 1), "who is there gets its own");
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	(void)send(fds[1], "y", 1, 0);
	tap_ok(accept_one(listener, &other) == SK_OK && deliver(listener) &&
	    gets(other, "x", 1) && gets(other, "y", 1),
	    "and the first datagram is still there");
	sock_abort(&c);
	sock_abort(&other);
	sock_abort(&listener);
	(void)close(fds[0]);
	(void)close(fds[1]);
	err_clear(&e);
}

/* How many there can be: each needs a latch, and its peer a descriptor. */
static size_t
room_for_many(void)
{
	struct latch latch;
	struct rlimit limit;
	struct err e = { 0 };
	size_t most, each;

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max == RLIM_INFINITY)
		return MANY;
	(void)latch_open(&latch, &e);
	each = latch.fd == latch.write_fd ? 2 : 3;
	latch_close(&latch);
	most = ((size_t)limit.rlim_max - SPARE_FDS) / each;
	return most < MANY ? most : MANY;
}

static void
test_many(void)
{
	static struct sock *clients[MANY];
	static int fds[MANY];
	struct sock *listener = open_listener("127.0.0.1:0");
	struct sk_addr to = address_of(listener);
	size_t i, count = room_for_many();
	int64_t start = clock_now_ns();
	unsigned n;
	bool ok = true;

	for (i = 0; i < count && ok; i++) {
		fds[i] = open_peer(&to, NULL);
		ok = send(fds[i], &i, sizeof(i), 0) == sizeof(i) &&
		    accept_one(listener, &clients[i]) == SK_OK;
	}
	tap_ok(ok, "%zu peers, %s", count, net_mode_names[mode]);
	sock_set_deadline(listener, net_limit_ns());
	for (i = count; i-- > 0 && ok;) {
		ok = send(fds[i], &i, sizeof(i) / 2, 0) == sizeof(i) / 2 &&
		    deliver(listener);
	}
	tap_ok(ok, "each sends twice");
	for (i = 0; i < count && ok; i++)
		ok = gets(clients[i], &i, sizeof(i)) &&
		    gets(clients[i], &i, sizeof(i) / 2) &&
		    gives(clients[i], &i, sizeof(n)) &&
		    recv(fds[i], &n, sizeof(n), 0) == sizeof(n) && n == i;
	tap_ok(ok, "each gets its own");
	for (i = 0; i < count; i++) {
		sock_abort(&clients[i]);
		(void)close(fds[i]);
	}
	tap_ok(clock_now_ns() - start < 15 * CLOCK_SEC, "in no time");
	sock_abort(&listener);
}

/* A peer that plays ping-pong with a client that sends back what it gets. */
struct player {
	pthread_t peer, echo;
	struct sk_addr to;
	unsigned id;
	struct sock *client;
	bool ok;
};

static void *
play(void *arg)
{
	struct player *p = arg;
	char out[4096], in[sizeof(out)], name[16];
	uint64_t state = p->id;
	size_t len;
	int i, fd;

	(void)snprintf(name, sizeof(name), "p%u", p->id);
	fd = open_peer(&p->to, NULL);
	p->ok = true;
	for (i = 0; i < ROUNDS && p->ok; i++) {
		len = tap_random(&state) % sizeof(out);
		memset(out, (int)(p->id + (unsigned)i), len);
		p->ok = send(fd, out, len, 0) == (ssize_t)len &&
		    recv(fd, in, sizeof(in), 0) == (ssize_t)len &&
		    memcmp(in, out, len) == 0;
	}
	(void)close(fd);
	return NULL;
}

static void *
echo(void *arg)
{
	struct player *p = arg;
	char room[4096];
	struct err e = { 0 };
	size_t got, put;
	int i;

	for (i = 0; i < ROUNDS; i++)
		if (net_recv(p->client, room, sizeof(room), &got, &e) !=
		    SK_OK || net_send(p->client, room, got, &put, &e) != SK_OK)
			break;
	sock_abort(&p->client);
	err_clear(&e);
	return NULL;
}

static void *
keep_accepting(void *arg)
{
	struct sock *listener = arg, *client;
	struct err e = { 0 };

	(void)net_accept(listener, &client, &e);
	sock_abort(&client);
	err_clear(&e);
	return NULL;
}

/* Clients in threads of their own, while the listener delivers. */
static void
test_threads(void)
{
	static struct player players[THREADS];
	struct sock *listener = open_listener("127.0.0.1:0");
	struct sk_addr to = address_of(listener);
	struct latch done = LATCH_CLOSED;
	struct err e = { 0 };
	pthread_t acceptor;
	unsigned i;
	bool ok = true;

	(void)latch_open(&done, &e);
	sock_set_abort(listener, &done);
	for (i = 0; i < THREADS; i++) {
		players[i] = (struct player){ .id = i, .to = to };
		(void)pthread_create(&players[i].peer, NULL, play,
		    &players[i]);
	}
	for (i = 0; i < THREADS && ok; i++) {
		ok = accept_one(listener, &players[i].client) == SK_OK;
		if (ok)
			(void)pthread_create(&players[i].echo, NULL, echo,
			    &players[i]);
	}
	(void)pthread_create(&acceptor, NULL, keep_accepting, listener);
	for (i = 0; i < THREADS; i++) {
		(void)pthread_join(players[i].peer, NULL);
		ok &= players[i].ok;
	}
	tap_ok(ok, "%d players in %d rounds, %s", THREADS, ROUNDS,
	    net_mode_names[mode]);
	(void)latch_set(&done);
	(void)pthread_join(acceptor, NULL);
	sock_abort(&listener);
	for (i = 0; i < THREADS; i++)
		(void)pthread_join(players[i].echo, NULL);
	latch_close(&done);
	err_clear(&e);
}

int
main(void)
{
	size_t i;

	tap_start();
	fill_data();
	for (mode = SK_NONBLOCKING; mode <= SK_BLOCKING; mode++) {
		for (i = 0; i < COUNT(kinds); i++) {
			test_two(kinds[i]);
			test_orphans(kinds[i]);
		}
		test_names();
		test_local();
		test_unnamed();
		test_dropped();
		test_admits();
		test_cut();
		test_refused();
		test_descriptors();
		test_many();
		test_threads();
	}
	net_clean();
	return tap_done();
}
