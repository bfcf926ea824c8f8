/* The socket module: every kind of socket in both modes, from one list. */
#include "sock/sock.h"

#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>

#include "base/intr.h"
#include "net.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum {
	SHORT_MS = 20,
	LONG_MS = 500,
	BIG_BYTES = 1024 * 1024,
	SMALL_BUFFER = 4096,
	DATAGRAM_MAX = 65507,
	RESETS = 200,
	RESETS_SLOW = 20,
	RECEIVES = 10,
	FILE_BYTES = 1 << 30,
};

/* What a case runs with. */
struct setting {
	enum net_kind kind;
	enum sk_mode mode;
	char name[64];
};

static struct sock_config
config_of(const struct setting *set)
{
	return (struct sock_config){ .mode = set->mode, .socket_mode = -1,
	    .datagram = net_is_datagram(set->kind) };
}

static bool
open_pair(const struct setting *set, struct sock *pair[2])
{
	struct sock_config config = config_of(set);
	struct err e = { 0 };
	char line[512];
	bool ok;

	ok = tap_ok(net_pair(set->kind, &config, pair, &e),
	    "%s: connecting", set->name);
	if (!ok)
		tap_note("%s", err_format(&e, line, sizeof(line)));
	err_clear(&e);
	return ok;
}

static void
drop(struct sock *pair[2])
{
	sock_abort(&pair[0]);
	sock_abort(&pair[1]);
}

/*
 * A call that cannot progress: a non-blocking one says so at once, a blocking
 * one waits until its deadline.
 */
static bool
waits_as_told(const struct setting *set, struct sock *s, enum sk_result want,
    enum sk_result (*call)(struct sock *))
{
	int64_t start = clock_now_ns(), took_ns;
	enum sk_result r;

	if (set->mode == SK_BLOCKING)
		sock_set_deadline(s, start + SHORT_MS * CLOCK_MS);
	r = call(s);
	took_ns = clock_now_ns() - start;
	sock_set_deadline(s, net_limit_ns());
	if (set->mode == SK_NONBLOCKING)
		return r == want;
	return r == SK_TIMEOUT && took_ns >= SHORT_MS * CLOCK_MS;
}

static enum sk_result
try_recv(struct sock *s)
{
	struct err e = { 0 };
	enum sk_result r;
	char buf[16];
	size_t got;

	r = sock_recv(s, buf, sizeof(buf), &got, &e);
	err_clear(&e);
	return r;
}

static enum sk_result
try_accept(struct sock *s)
{
	struct sock *client;
	struct err e = { 0 };
	enum sk_result r;

	r = sock_accept(s, &client, &e);
	sock_abort(&client);
	err_clear(&e);
	return r;
}

static char big[BIG_BYTES], room[BIG_BYTES];

/* Until no more fits; the bytes are added to sent_by_try. */
static size_t sent_by_try;

static enum sk_result
try_send(struct sock *s)
{
	struct err e = { 0 };
	enum sk_result r;
	size_t put;

	while ((r = sock_send(s, big, sizeof(big), &put, &e)) == SK_OK)
		sent_by_try += put;
	err_clear(&e);
	return r;
}

static enum sk_result
try_close(struct sock *s)
{
	struct err e = { 0 };
	enum sk_result r;

	r = sock_close(&s, &e);
	err_clear(&e);
	return r;
}

/* Receive until the end or a failure; the bytes that came. */
static size_t
recv_all(struct sock *s, enum sk_result *r, struct err *e)
{
	size_t got, sum = 0;

	while ((*r = net_recv(s, room, sizeof(room), &got, e)) == SK_OK)
		sum += got;
	return sum;
}

static void
case_waiting(const struct setting *set)
{
	struct sock_config config = config_of(set);
	struct err e = { 0 };
	struct sock *pair[2], *listener;
	int flags;

	listener = net_listen(set->kind, &config, &e);
	if (tap_ok(listener != NULL, "%s: listening", set->name))
		tap_ok(waits_as_told(set, listener, SK_WANT_READ, try_accept),
		    "%s: accepting nobody", set->name);
	sock_abort(&listener);
	if (!open_pair(set, pair))
		return;
	if (net_is_datagram(set->kind))
		(void)try_recv(pair[1]);
	tap_ok(waits_as_told(set, pair[1], SK_WANT_READ, try_recv),
	    "%s: receiving nothing", set->name);
	flags = fcntl(pair[0]->fd, F_GETFL) & fcntl(pair[1]->fd, F_GETFL);
	tap_ok((flags & O_NONBLOCK) != 0, "%s: descriptors never block",
	    set->name);
	flags = fcntl(pair[0]->fd, F_GETFD) & fcntl(pair[1]->fd, F_GETFD);
	tap_ok((flags & FD_CLOEXEC) != 0, "%s: no child inherits them",
	    set->name);
	drop(pair);
	err_clear(&e);
}

/* The mode of a live socket is changed and changed back. */
static void
case_switching(const struct setting *set)
{
	struct setting other = *set;
	struct sock *pair[2];
	struct err e = { 0 };
	char buf[4];
	size_t n;

	if (!open_pair(set, pair))
		return;
	if (net_is_datagram(set->kind))
		(void)try_recv(pair[1]);
	other.mode = set->mode == SK_BLOCKING ? SK_NONBLOCKING : SK_BLOCKING;
	sock_set_mode(pair[1], other.mode);
	tap_ok(waits_as_told(&other, pair[1], SK_WANT_READ, try_recv),
	    "%s: receiving nothing in the other mode", set->name);
	tap_ok(net_send(pair[0], "abc", 3, &n, &e) == SK_OK &&
	    net_recv(pair[1], buf, sizeof(buf), &n, &e) == SK_OK && n == 3,
	    "%s: bytes come in the other mode", set->name);
	sock_set_mode(pair[1], set->mode);
	tap_ok(waits_as_told(set, pair[1], SK_WANT_READ, try_recv),
	    "%s: receiving nothing in the first mode again", set->name);
	drop(pair);
	err_clear(&e);
}

/* A deadline that has passed: what is there is still to be had. */
static void
case_deadline(const struct setting *set)
{
	struct sock *pair[2];

	if (!open_pair(set, pair))
		return;
	if (!net_is_datagram(set->kind)) {
		struct err e = { 0 };
		size_t n;

		(void)net_send(pair[0], "x", 1, &n, &e);
		(void)sock_wait(pair[1], SK_IN, SK_WANT_READ);
		err_clear(&e);
	}
	sock_set_deadline(pair[1], clock_now_ns() - CLOCK_SEC);
	tap_int(try_recv(pair[1]), SK_OK, "%s: data after the deadline",
	    set->name);
	tap_int(try_recv(pair[1]), SK_TIMEOUT, "%s: then a timeout",
	    set->name);
	sock_set_deadline(pair[1], CLOCK_NEVER);
	drop(pair);
}

struct helper {
	struct sock *s;
	struct latch *latch;
	struct sock *from;
	int feed;		/* what writes to from; -1: it is a file */
};

static void *
set_latch(void *arg)
{
	struct helper *h = arg;

	(void)latch_set(h->latch);
	return NULL;
}

static void *
stop_input(void *arg)
{
	struct helper *h = arg;

	sock_stop_input(h->s);
	return NULL;
}

static void *
send_byte(void *arg)
{
	struct helper *h = arg;
	struct err e = { 0 };
	size_t put;

	(void)net_send(h->s, "x", 1, &put, &e);
	err_clear(&e);
	return NULL;
}

/* net_recv, while another thread does something. */
static enum sk_result
recv_while(struct sock *s, void *(*job)(void *), struct helper *h)
{
	struct err e = { 0 };
	enum sk_result r;
	pthread_t thread;
	char buf[4];
	size_t got;

	if (pthread_create(&thread, NULL, job, h) != 0)
		return SK_ERROR;
	r = net_recv(s, buf, sizeof(buf), &got, &e);
	(void)pthread_join(thread, NULL);
	err_clear(&e);
	return r;
}

/* What was set before the wait needs no kick. */
static void
case_closed_latches(const struct setting *set, struct sock *s)
{
	struct latch unset = LATCH_CLOSED, told = LATCH_CLOSED;
	int64_t begin = clock_now_ns();

	(void)latch_set(&told);
	sock_set_deadline(s, net_limit_ns());
	sock_set_abort(s, &told);
	tap_int(try_recv(s), SK_INTERRUPTED, "%s: a closed latch that is set",
	    set->name);
	sock_set_abort(s, &unset);
	sock_set_nudge(s, &told);
	tap_int(try_recv(s), SK_TIMEOUT, "%s: the same as a nudge", set->name);
	tap_ok(clock_now_ns() < begin + CLOCK_SEC, "%s: both at once",
	    set->name);
	sock_set_abort(s, NULL);
	sock_set_nudge(s, NULL);
}

static void
case_waking(const struct setting *set)
{
	struct latch abort = LATCH_CLOSED, stop = LATCH_CLOSED;
	struct sock *pair[2];
	struct err e = { 0 };
	struct helper h;

	if (!open_pair(set, pair))
		return;
	if (net_is_datagram(set->kind))
		(void)try_recv(pair[1]);
	if (!latch_open(&abort, &e) || !latch_open(&stop, &e))
		return;
	sock_set_abort(pair[1], &abort);
	sock_set_stop(pair[1], &stop);
	h = (struct helper){ .s = pair[0], .latch = &abort };
	tap_int(recv_while(pair[1], send_byte, &h), SK_OK,
	    "%s: data wakes who waits", set->name);
	tap_int(recv_while(pair[1], set_latch, &h), SK_INTERRUPTED,
	    "%s: so does the latch", set->name);
	tap_int(try_recv(pair[1]), set->mode == SK_BLOCKING ?
	    SK_INTERRUPTED : SK_WANT_READ, "%s: the latch stays", set->name);
	sock_set_abort(pair[1], NULL);
	if (set->mode == SK_BLOCKING)
		case_closed_latches(set, pair[1]);
	if (set->mode == SK_BLOCKING) {
		h.s = pair[1];
		tap_int(recv_while(pair[1], stop_input, &h), SK_EOF,
		    "%s: so does stopping the input", set->name);
	} else
		sock_stop_input(pair[1]);
	(void)send_byte(&(struct helper){ .s = pair[0] });
	tap_int(try_recv(pair[1]), SK_EOF, "%s: stopped input has ended",
	    set->name);
	drop(pair);
	latch_close(&abort);
	latch_close(&stop);
	err_clear(&e);
}

/* Bytes, a full buffer, the half-close, the other direction, the end. */
static void
case_stream(const struct setting *set)
{
	struct sock *pair[2];
	struct err e = { 0 };
	enum sk_result r;
	size_t n, left;
	char buf[8];

	if (!open_pair(set, pair))
		return;
	tap_ok(net_send(pair[0], "abcdef", 6, &n, &e) == SK_OK && n == 6 &&
	    net_recv(pair[1], buf, 4, &n, &e) == SK_OK && n == 4 &&
	    net_recv(pair[1], buf + 4, 4, &n, &e) == SK_OK && n == 2 &&
	    memcmp(buf, "abcdef", 6) == 0, "%s: bytes in order", set->name);
	sent_by_try = 0;
	tap_ok(waits_as_told(set, pair[0], SK_WANT_WRITE, try_send) &&
	    sent_by_try > 0, "%s: a full buffer", set->name);
	for (left = sent_by_try; left > 0; left -= n < left ? n : left)
		if (net_recv(pair[1], room, sizeof(room), &n, &e) != SK_OK)
			break;
	tap_ok(left == 0 && n > 0, "%s: all of it arrives", set->name);

	tap_ok(net_send(pair[0], "end", 3, &n, &e) == SK_OK &&
	    net_finish(pair[0], sock_shutdown_write, &e) == SK_OK,
	    "%s: half-close", set->name);
	n = recv_all(pair[1], &r, &e);
	tap_ok(r == SK_EOF && n == 3, "%s: the end comes behind the data",
	    set->name);
	tap_int(try_recv(pair[1]), SK_EOF, "%s: and stays", set->name);
	tap_ok(net_send(pair[1], "answer", 6, &n, &e) == SK_OK &&
	    net_close(&pair[1], &e) == SK_OK && pair[1] == NULL,
	    "%s: the other direction goes on", set->name);
	n = recv_all(pair[0], &r, &e);
	tap_ok(r == SK_EOF && n == 6 && net_close(&pair[0], &e) == SK_OK,
	    "%s: and ends in order", set->name);
	drop(pair);
	err_clear(&e);
}

/* Closing waits until the peer has everything, and does not reset. */
static void
case_close(const struct setting *set)
{
	struct sock *pair[2] = { NULL, NULL };
	struct err e = { 0 };
	enum sk_result r;
	size_t n, sent = 0;
	int fds[2];

	if (!net_plain_pair(fds, SMALL_BUFFER) ||
	    (pair[0] = net_adopt(fds[0], SK_NONBLOCKING, &e)) == NULL ||
	    (pair[1] = net_adopt(fds[1], set->mode, &e)) == NULL) {
		tap_ok(false, "%s: a pair", set->name);
		return;
	}
	while (sock_send(pair[0], big, sizeof(big), &n, &e) == SK_OK)
		sent += n;
	sock_set_mode(pair[0], set->mode);
	sock_set_deadline(pair[1], net_limit_ns());
	tap_ok(waits_as_told(set, pair[0], SK_WANT_WRITE, try_close),
	    "%s: closing waits for the peer", set->name);
	tap_ok(net_finish(pair[0], sock_shutdown_write, &e) == SK_OK,
	    "%s: half-close behind unsent data", set->name);
	tap_ok(waits_as_told(set, pair[0], SK_WANT_WRITE, try_close),
	    "%s: closing still waits", set->name);
	tap_int((long long)recv_all(pair[1], &r, &e), (long long)sent,
	    "%s: the peer receives everything", set->name);
	tap_int(r, SK_EOF, "%s: and then the end", set->name);
	tap_ok(net_close(&pair[0], &e) == SK_OK && pair[0] == NULL,
	    "%s: then closing is done", set->name);
	tap_int(try_recv(pair[1]), SK_EOF, "%s: without a reset", set->name);
	drop(pair);
	err_clear(&e);
}

/* Whatever ends an unfinished connection, the peer sees a reset. */
static void
case_reset(const struct setting *set)
{
	struct sock *pair[2];
	struct linger linger = { 0 };
	socklen_t len = sizeof(linger);
	struct err e = { 0 };
	enum sk_result r;
	size_t n;
	int i;

	for (i = 0; i < 2; i++) {
		if (!open_pair(set, pair))
			return;
		(void)getsockopt(pair[i]->fd, SOL_SOCKET, SO_LINGER, &linger,
		    &len);
		tap_ok(linger.l_onoff && linger.l_linger == 0,
		    "%s: a reset is armed", set->name);
		(void)net_send(pair[i], "data", 4, &n, &e);
		(void)net_finish(pair[i], sock_drain, &e);
		(void)net_finish(pair[i], sock_shutdown_write, &e);
		n = recv_all(pair[!i], &r, &e);
		tap_ok(r == SK_EOF && n == 4, "%s: data and an end",
		    set->name);
		sock_abort(&pair[i]);
		do
			r = net_send(pair[!i], "x", 1, &n, &e);
		while (r == SK_OK);
		tap_ok(r == SK_ERROR && e.code == ERR_BROKEN &&
		    e.sys == ECONNRESET, "%s: then a reset (sending)",
		    set->name);
		drop(pair);
		err_clear(&e);
		if (!open_pair(set, pair))
			return;
		(void)net_send(pair[i], "data", 4, &n, &e);
		(void)net_finish(pair[i], sock_drain, &e);
		sock_abort(&pair[i]);
		n = recv_all(pair[!i], &r, &e);
		tap_ok(r == SK_ERROR && n == 4 && e.code == ERR_BROKEN &&
		    e.sys == ECONNRESET && strcmp(e.text, "receiving") == 0 &&
		    strcmp(e.who, sock_name(pair[!i])) == 0,
		    "%s: a reset behind the data (receiving)", set->name);
		drop(pair);
		err_clear(&e);
	}
}

/* Where what floods comes from. */
enum source { FROM_MEMORY, FROM_FILE, FROM_PIPE, SOURCES };

static const char *const source_names[] = { "memory", "a file", "a pipe" };

/* Endless enough; as standard input, until close_source. */
static bool
open_source(struct helper *h, enum source source, enum sk_mode mode)
{
	char path[] = "/tmp/haul-test-XXXXXX";
	struct err e = { 0 };
	int fds[2] = { -1, -1 };

	h->from = NULL;
	h->feed = -1;
	if (source == FROM_MEMORY)
		return true;
	if (source == FROM_FILE && ((fds[0] = mkstemp(path)) == -1 ||
	    unlink(path) != 0 || ftruncate(fds[0], FILE_BYTES) != 0))
		return false;
	if (source == FROM_PIPE && (pipe(fds) != 0 ||
	    fcntl(fds[1], F_SETFL, O_NONBLOCK) != 0))
		return false;
	(void)dup2(fds[0], STDIN_FILENO);
	(void)close(fds[0]);
	h->feed = fds[1];
	h->from = sock_stdin(mode, &e);
	err_clear(&e);
	if (h->from == NULL)
		return false;
	/* So that parts of what is there are sent. */
	sock_widen(h->from);
	return true;
}

static void
close_source(struct helper *h)
{
	int fd;

	if (h->from == NULL)
		return;
	sock_abort(&h->from);
	if (h->feed != -1)
		(void)close(h->feed);
	fd = open("/dev/null", O_RDONLY);
	(void)dup2(fd, STDIN_FILENO);
	(void)close(fd);
}

static void *
flood(void *arg)
{
	struct helper *h = arg;
	enum sk_result r = SK_OK;
	struct err e = { 0 };
	struct sock *waits;
	size_t put;

	while (r == SK_OK && h->from != NULL && sock_can_move(h->from, h->s)) {
		if (h->feed != -1)
			(void)!write(h->feed, big, sizeof(big));
		r = sock_move(h->from, h->s, sizeof(big), &put, &waits, &e);
		if (r == SK_WANT_WRITE)
			r = sock_wait(h->s, SK_OUT, r);
	}
	while (r == SK_OK)
		r = net_send(h->s, big, sizeof(big), &put, &e);
	err_clear(&e);
	return NULL;
}

static void *
reset_soon(void *arg)
{
	struct helper *h = arg;
	struct err e = { 0 };
	size_t got;
	int i;

	/* So that the other is about to send, and does not wait for room. */
	for (i = 0; i < RECEIVES; i++)
		(void)net_recv(h->s, room, sizeof(room), &got, &e);
	sock_abort(&h->s);
	err_clear(&e);
	return NULL;
}

static void
reset_while_sending(const struct setting *set, enum source source)
{
	struct sock_config config = config_of(set);
	struct sock *pair[2];
	struct helper sender, peer;
	pthread_t threads[2];
	struct err e = { 0 };
	enum sk_result r;
	size_t got;
	char byte;
	int i, resets = tap_is_slow() ? RESETS_SLOW : RESETS, ends = 0;

	for (i = 0; i < resets && open_source(&sender, source, set->mode) &&
	    net_pair(set->kind, &config, pair, &e); i++) {
		sender.s = pair[0];
		peer.s = pair[1];
		sock_set_deadline(pair[0], net_limit_ns());
		if (pthread_create(&threads[0], NULL, flood, &sender) != 0 ||
		    pthread_create(&threads[1], NULL, reset_soon, &peer) != 0)
			abort();
		r = net_recv(pair[0], &byte, 1, &got, &e);
		ends += r != SK_ERROR;
		(void)pthread_join(threads[0], NULL);
		(void)pthread_join(threads[1], NULL);
		sock_abort(&pair[0]);
		close_source(&sender);
		err_clear(&e);
	}
	tap_int(i, resets, "%s, from %s", set->name, source_names[source]);
	tap_int(ends, 0, "%s, from %s: none is an end", set->name,
	    source_names[source]);
}

/* The kernel tells it once: to who sends, or to who receives. */
static void
case_reset_while_sending(const struct setting *set)
{
	int source;

	(void)signal(SIGPIPE, SIG_IGN);
	for (source = 0; source < SOURCES; source++)
		reset_while_sending(set, (enum source)source);
	(void)signal(SIGPIPE, SIG_DFL);
}

static const size_t datagram_sizes[] = { 0, 1, 1472, 8193, 16385, 65507 };

/* Datagrams of any size one way; they come whole. */
static bool
carry_datagrams(struct sock *from, struct sock *to, struct err *e)
{
	enum sk_result r;
	size_t i, n;

	for (i = 0; i < COUNT(datagram_sizes); i++) {
		r = net_send(from, big, datagram_sizes[i], &n, e);
		if (r != SK_OK || n != datagram_sizes[i])
			return false;
		r = net_recv(to, room, sizeof(room), &n, e);
		if (r != SK_OK || n != datagram_sizes[i] ||
		    memcmp(room, big, n) != 0)
			return false;
	}
	return true;
}

static bool
has_name(const struct sock *s)
{
	struct sk_addr a = { .len = sizeof(a.u) };

	return getsockname(s->fd, &a.u.sa, &a.len) == 0 &&
	    a.len > sizeof(a.u.sa.sa_family);
}

static void
case_datagram(const struct setting *set)
{
	struct sock *pair[2];
	struct err e = { 0 };
	size_t n;
	char buf[4];

	if (!open_pair(set, pair))
		return;
	tap_ok(sock_is_datagram(pair[0]) && sock_is_datagram(pair[1]),
	    "%s: it is one", set->name);
	tap_ok(net_recv(pair[1], buf, sizeof(buf), &n, &e) == SK_OK &&
	    n == 1 && *buf == '1', "%s: the first one is not lost",
	    set->name);
	tap_ok(carry_datagrams(pair[0], pair[1], &e),
	    "%s: all sizes come whole", set->name);
	if (has_name(pair[0]))
		tap_ok(carry_datagrams(pair[1], pair[0], &e),
		    "%s: and are answered", set->name);
	else
		tap_ok(net_send(pair[1], "x", 1, &n, &e) == SK_ERROR &&
		    e.code == ERR_BROKEN, "%s: nobody to answer to",
		    set->name);
	err_clear(&e);
	(void)net_send(pair[0], big, 5, &n, &e);
	tap_ok(net_recv(pair[1], buf, 4, &n, &e) == SK_ERROR &&
	    e.code == ERR_BROKEN, "%s: a cut is told", set->name);
	err_clear(&e);
	tap_ok(set->kind == NET_UNIX_DATAGRAM || (net_send(pair[0], big,
	    DATAGRAM_MAX + 100, &n, &e) == SK_ERROR && e.code == ERR_LOCAL &&
	    e.sys == EMSGSIZE), "%s: too large a one is told", set->name);
	err_clear(&e);
	tap_ok(net_close(&pair[0], &e) == SK_OK &&
	    net_close(&pair[1], &e) == SK_OK, "%s: closing", set->name);
	drop(pair);
	err_clear(&e);
}

/* A listener takes from everybody; a session from its peer alone. */
static void
case_senders(const struct setting *set)
{
	struct sock_config config = config_of(set);
	struct sock *listener, *a, *b = NULL, *session = NULL;
	struct err e = { 0 };
	char buf[4] = "", where[256];
	size_t n;

	listener = net_listen(set->kind, &config, &e);
	if (!tap_ok(listener != NULL, "%s: listening", set->name))
		return;
	(void)snprintf(where, sizeof(where), "%s", net_address(listener));
	a = net_open(where, &config, false, &e);
	b = net_open(where, &config, false, &e);
	tap_ok(a != NULL && b != NULL &&
	    net_send(a, "a", 1, &n, &e) == SK_OK &&
	    net_recv(listener, buf, 4, &n, &e) == SK_OK && *buf == 'a' &&
	    net_send(b, "b", 1, &n, &e) == SK_OK &&
	    net_recv(listener, buf, 4, &n, &e) == SK_OK && *buf == 'b',
	    "%s: datagrams from everybody", set->name);
	if (a != NULL && b != NULL && has_name(a)) {
		(void)net_send(a, "1", 1, &n, &e);
		(void)net_send(b, "2", 1, &n, &e);
		(void)net_send(a, "3", 1, &n, &e);
		tap_ok(net_accept(listener, &session, &e) == SK_OK &&
		    net_recv(session, buf, 4, &n, &e) == SK_OK &&
		    *buf == '1' &&
		    net_recv(session, buf, 4, &n, &e) == SK_OK &&
		    *buf == '3', "%s: a session has one peer", set->name);
	}
	sock_abort(&session);
	sock_abort(&listener);
	sock_abort(&a);
	sock_abort(&b);
	err_clear(&e);
}

/* A refusal (ICMP) of what was sent comes back as an error. */
static void
case_refused_datagram(const struct setting *set)
{
	struct sock_config config = config_of(set);
	struct sock *listener, *s;
	struct err e = { 0 };
	enum sk_result r;
	char where[256], buf[4];
	size_t n;

	listener = net_listen(set->kind, &config, &e);
	if (!tap_ok(listener != NULL, "%s: listening", set->name))
		return;
	(void)snprintf(where, sizeof(where), "%s", net_address(listener));
	s = net_open(where, &config, false, &e);
	sock_abort(&listener);
	if (!tap_ok(s != NULL, "%s: connecting", set->name))
		return;
	r = net_send(s, "x", 1, &n, &e);
	if (r == SK_OK)
		r = net_recv(s, buf, sizeof(buf), &n, &e);
	tap_ok(r == SK_ERROR && e.code == ERR_CONNECT &&
	    e.sys == ECONNREFUSED, "%s: refused", set->name);
	sock_abort(&s);
	err_clear(&e);
}

static int
number_option(const struct sock *s, int level, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	(void)getsockopt(s->fd, level, option, &value, &len);
	return value;
}

/* Socket options reach both ends; what does not apply is an error. */
static void
case_options(const struct setting *set)
{
	struct sock_config config = config_of(set);
	struct sockopt_list list = { .count = 0 };
	struct sock *pair[2];
	struct err e = { 0 };
	int i;

	config.options = &list;
	tap_ok(sockopt_list_add(&list, "keepalive=on") &&
	    sockopt_list_add(&list, "rcvbuf=20000"), "%s: options",
	    set->name);
	if (net_is_tcp(set->kind))
		tap_ok(sockopt_list_add(&list, "nodelay=off") &&
		    sockopt_list_add(&list, "ttl=7"), "%s: more of them",
		    set->name);
	if (!tap_ok(net_pair(set->kind, &config, pair, &e), "%s: connecting",
	    set->name))
		return;
	for (i = 0; i < 2; i++) {
		tap_ok(number_option(pair[i], SOL_SOCKET, SO_KEEPALIVE) == 1 &&
		    number_option(pair[i], SOL_SOCKET, SO_RCVBUF) >= 20000 &&
		    number_option(pair[i], SOL_SOCKET, SO_RCVBUF) <= 40000,
		    "%s: set on end %d", set->name, i);
		if (net_is_tcp(set->kind))
			tap_ok(number_option(pair[i], IPPROTO_TCP,
			    TCP_NODELAY) == 0 && (set->kind == NET_TCP4 ?
			    number_option(pair[i], IPPROTO_IP, IP_TTL) :
			    number_option(pair[i], IPPROTO_IPV6,
			    IPV6_UNICAST_HOPS)) == 7,
			    "%s: more set on end %d", set->name, i);
	}
	drop(pair);
	if (net_is_tcp(set->kind))
		(void)sockopt_list_add(&list, "mss=1");
	else
		(void)sockopt_list_add(&list, "nodelay=on");
	tap_ok(!net_pair(set->kind, &config, pair, &e) &&
	    e.code == ERR_USAGE, "%s: a refused option is an error",
	    set->name);
	drop(pair);
	err_clear(&e);
}

struct case_row {
	const char *name;
	void (*run)(const struct setting *);
	enum net_kind first, last;
};

static const struct case_row kinds[] = {
	{ "waiting", case_waiting, NET_TCP4, NET_UNIX_DATAGRAM },
	{ "switching", case_switching, NET_TCP4, NET_UNIX_DATAGRAM },
	{ "deadline", case_deadline, NET_TCP4, NET_UNIX_DATAGRAM },
	{ "waking", case_waking, NET_TCP4, NET_UNIX_DATAGRAM },
	{ "stream", case_stream, NET_TCP4, NET_ABSTRACT },
	{ "close", case_close, NET_TCP4, NET_TCP4 },
	{ "reset", case_reset, NET_TCP4, NET_TCP6 },
	{ "reset while sending", case_reset_while_sending, NET_TCP4,
	    NET_TCP4 },
	{ "datagram", case_datagram, NET_UDP4, NET_UNIX_DATAGRAM },
	{ "senders", case_senders, NET_UDP4, NET_UNIX_DATAGRAM },
	{ "refused", case_refused_datagram, NET_UDP4, NET_UDP6 },
	{ "options", case_options, NET_TCP4, NET_ABSTRACT },
};

/* The last test: haul is asked to end from now on. */
static void
test_interruption(void)
{
	struct setting set = { .mode = SK_BLOCKING, .name = "signal" };
	struct sock *pair[2];
	int64_t start;

	if (!open_pair(&set, pair))
		return;
	intr_install();
	(void)raise(SIGINT);
	start = clock_now_ns();
	tap_int(try_recv(pair[1]), SK_INTERRUPTED,
	    "a signal interrupts a blocking call");
	sock_set_mode(pair[1], SK_NONBLOCKING);
	tap_int(try_recv(pair[1]), SK_WANT_READ,
	    "a non-blocking one does not care");
	sock_set_deadline(pair[1], start + LONG_MS * CLOCK_MS);
	tap_ok(sock_wait(pair[1], SK_IN, SK_WANT_READ) == SK_INTERRUPTED &&
	    clock_now_ns() < start + LONG_MS * CLOCK_MS,
	    "but its wait does, at once");
	drop(pair);
}

static void
run_case(const struct case_row *row, enum net_kind kind, enum sk_mode mode)
{
	struct setting set = { .kind = kind, .mode = mode };

	(void)snprintf(set.name, sizeof(set.name), "%s, %s, %s", row->name,
	    net_kind_names[kind], net_mode_names[mode]);
	if (net_has(kind))
		row->run(&set);
	else
		tap_skip("no IPv6", "%s", set.name);
}

int
main(void)
{
	enum sk_mode mode;
	size_t i;
	int kind;

	tap_start();
	memset(big, 'b', sizeof(big));
	for (mode = SK_NONBLOCKING; mode <= SK_BLOCKING; mode++)
		for (i = 0; i < COUNT(kinds); i++)
			for (kind = (int)kinds[i].first;
			    kind <= (int)kinds[i].last; kind++)
				run_case(&kinds[i], (enum net_kind)kind,
				    mode);
	test_interruption();
	net_clean();
	return tap_done();
}
