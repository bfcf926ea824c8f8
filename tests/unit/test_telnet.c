/* Telnet: what is taken out, what is answered, what is doubled. */
#include "sock/sock.h"

#include <pthread.h>
#include <sys/socket.h>

#include "net.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define IAC		"\377"
#define DONT		"\376"
#define DO		"\375"
#define WONT		"\374"
#define WILL		"\373"
#define SB		"\372"
#define GA		"\371"
#define NOP		"\361"
#define DM		"\362"
#define SE		"\360"

enum {
	SMALL_BUFFER = 4096,
	BIG_BYTES = 3 * 1024 * 1024,
	FLOOD = 200 * 1000,
	ROUNDS = 300,
};

static enum sk_mode mode;

/* A telnet socket with a plain descriptor at its other end. */
struct pair {
	struct sock *s;
	int fd;
};

static bool
open_pair(struct pair *p, bool small)
{
	struct err e = { 0 };
	int fds[2], size = SMALL_BUFFER;

	if (!net_plain_pair(fds, small ? SMALL_BUFFER : 0))
		return false;
	/* [1] is what the listener with the small buffer has accepted. */
	if (small)
		(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size,
		    sizeof(size));
	p->s = net_adopt(fds[0], mode, &e);
	p->fd = fds[1];
	p->s->layers = LAYER_TELNET;
	sock_next_layer(p->s);
	sock_set_deadline(p->s, net_limit_ns());
	return true;
}

static void
close_pair(struct pair *p)
{
	sock_abort(&p->s);
	(void)close(p->fd);
}

static bool
put_all(int fd, const void *buf, size_t len)
{
	return send(fd, buf, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Receive to the end; the number of bytes in buf. */
static size_t
recv_all(struct sock *s, char *buf, size_t size, enum sk_result *r,
    bool *empty)
{
	struct err e = { 0 };
	size_t got, sum = 0;

	*empty = false;
	while ((*r = net_recv(s, buf + sum, size - sum, &got, &e)) == SK_OK) {
		sum += got;
		*empty |= got == 0;
	}
	err_clear(&e);
	return sum;
}

static size_t
read_all(int fd, char *buf, size_t size)
{
	size_t sum = 0;
	ssize_t n;

	while (sum < size && (n = read(fd, buf + sum, size - sum)) > 0)
		sum += (size_t)n;
	return sum;
}

static const struct {
	const char *name, *wire, *data, *answers;
} sequences[] = {
	{ "plain data", "hello\n", "hello\n", "" },
	{ "a doubled IAC", "a" IAC IAC "b" IAC IAC, "a\377b\377", "" },
	{ "DO", IAC DO "\001x", "x", IAC WONT "\001" },
	{ "WILL", "x" IAC WILL "\003", "x", IAC DONT "\003" },
	{ "WONT and DONT", "a" IAC WONT "\001" IAC DONT "\003" "b", "ab", "" },
	{ "the same again", IAC DO "\001" IAC DO "\001" IAC DO "\001x", "x",
	    IAC WONT "\001" },
	{ "several options", IAC DO "\003" IAC DO "\001" IAC WILL "\001"
	    IAC WILL "\003x", "x", IAC WONT "\001" IAC WONT "\003"
	    IAC DONT "\001" IAC DONT "\003" },
	{ "option 255", IAC DO IAC "x", "x", IAC WONT IAC },
	{ "a subnegotiation", "a" IAC SB "\030\001xyz" IAC SE "b", "ab", "" },
	{ "IAC IAC within it", "a" IAC SB "\030" IAC IAC "x" IAC SE "b", "ab",
	    "" },
	{ "DO within it", "a" IAC SB "\030" IAC DO "x" IAC SE "b", "ab", "" },
	{ "other commands", "a" IAC NOP "b" IAC GA "c" IAC DM "d" IAC SE "e",
	    "abcde", "" },
	{ "what is no command", "a" IAC "\001" "b", "ab", "" },
	{ "line ends as they are", "a\r\nb\n", "a\r\nb\n", "" },
	{ "nothing but commands", IAC NOP IAC DO "\030", "",
	    IAC WONT "\030" },
};

/* A sequence, read cut bytes at a time, with a mark behind it. */
static void
test_receive(size_t i, size_t cut)
{
	const char *wire = sequences[i].wire;
	size_t got, sum = 0, size = strlen(sequences[i].answers);
	char data[256] = "", answers[256];
	bool ok, empty = false;
	struct err e = { 0 };
	enum sk_result r;
	struct pair p;

	if (!tap_ok(open_pair(&p, false), "%s, %s, %zu at a time",
	    sequences[i].name, net_mode_names[mode], cut))
		return;
	ok = put_all(p.fd, wire, strlen(wire)) && put_all(p.fd, "|", 1);
	do {
		r = net_recv(p.s, data + sum, cut, &got, &e);
		empty |= r == SK_OK && got == 0;
		sum += got;
	} while (r == SK_OK && data[sum - 1] != '|' && !empty);
	tap_ok(ok && !empty && r == SK_OK, "is taken");
	if (sum > 0)
		data[sum - 1] = '\0';
	tap_text(data, sequences[i].data, "its data");
	tap_int((long long)read_all(p.fd, answers, size), (long long)size,
	    "its answers");
	/* Read in parts, they are answered in the order in which they came. */
	tap_ok(cut < sizeof(data) - 1 ||
	    memcmp(answers, sequences[i].answers, size) == 0, "in order");
	tap_int(recv(p.fd, answers, 1, MSG_DONTWAIT), -1, "and no more");
	close_pair(&p);
	err_clear(&e);
}

/* A change is answered anew, so that who takes back may ask again. */
static void
test_changes(void)
{
	static const char on[] = IAC DO "\001" IAC WILL "\001.";
	static const char off[] = IAC DONT "\001" IAC WONT "\001.";
	struct err e = { 0 };
	struct pair p;
	char buf[64];
	size_t got;
	int i;
	bool ok = true;

	if (!tap_ok(open_pair(&p, false), "changes"))
		return;
	for (i = 0; i < 3; i++) {
		ok &= put_all(p.fd, on, sizeof(on) - 1) &&
		    net_recv(p.s, buf, sizeof(buf), &got, &e) == SK_OK &&
		    got == 1 && read_all(p.fd, buf, 6) == 6 &&
		    put_all(p.fd, off, sizeof(off) - 1) &&
		    net_recv(p.s, buf, sizeof(buf), &got, &e) == SK_OK &&
		    recv(p.fd, buf, 1, MSG_DONTWAIT) == -1;
	}
	tap_ok(ok, "each is answered once");
	close_pair(&p);
	err_clear(&e);
}

/* An end behind commands alone is an end; and their answer is no reset. */
static void
test_end(void)
{
	struct err e = { 0 };
	struct pair p;
	char buf[64];
	enum sk_result r;
	bool empty;

	if (!tap_ok(open_pair(&p, false), "an end"))
		return;
	(void)put_all(p.fd, IAC DO "\001" "bye" IAC WILL "\003", 9);
	(void)close(p.fd);
	p.fd = dup(STDIN_FILENO);
	tap_int((long long)recv_all(p.s, buf, sizeof(buf), &r, &empty), 3,
	    "data before a close");
	tap_int(r, SK_EOF, "an end in order");
	tap_int(net_finish(p.s, sock_shutdown_write, &e), SK_OK,
	    "and no reset for an answer that nobody reads");
	close_pair(&p);
	err_clear(&e);
}

/* Urgent, as telnet sends a Synch: the mark is not to be missed. */
static void
test_urgent(void)
{
	struct err e = { 0 };
	struct pair p;
	char buf[64];
	enum sk_result r;
	bool empty;

	if (!tap_ok(open_pair(&p, false), "urgent"))
		return;
	(void)put_all(p.fd, "a" IAC, 2);
	(void)send(p.fd, DM, 1, MSG_OOB);
	(void)put_all(p.fd, "\001b", 2);
	(void)shutdown(p.fd, SHUT_WR);
	tap_int((long long)recv_all(p.s, buf, sizeof(buf), &r, &empty), 3,
	    "data around an urgent mark");
	tap_ok(memcmp(buf, "a\001b", 3) == 0, "is what it was");
	close_pair(&p);
	err_clear(&e);
}

static unsigned char *
make_big(unsigned per_cent)
{
	unsigned char *buf = malloc(BIG_BYTES);
	uint64_t state = tap_seed(), random;
	size_t i;

	for (i = 0; i < BIG_BYTES; i++) {
		random = tap_random(&state);
		buf[i] = random % 100 < per_cent ? 255 :
		    (unsigned char)(random >> 32);
	}
	return buf;
}

/* The other end of a stream: takes what comes and undoes it. */
struct other {
	int fd;
	unsigned char *data;
	size_t len, commands;
	bool odd;
};

static void *
take(void *arg)
{
	struct other *o = arg;
	unsigned char buf[1000];
	bool iac = false, verb = false;
	ssize_t n, i;

	while ((n = read(o->fd, buf, sizeof(buf))) > 0)
		for (i = 0; i < n; i++) {
			if (verb) {
				o->commands++;
				verb = false;
			} else if (!iac && buf[i] == 255)
				iac = true;
			else if (iac && (buf[i] == 252 || buf[i] == 254)) {
				iac = false;
				verb = true;
			} else {
				o->odd |= iac && buf[i] != 255;
				iac = false;
				if (o->len < BIG_BYTES)
					o->data[o->len] = buf[i];
				o->len++;
			}
		}
	o->odd |= iac || verb;
	return NULL;
}

/* While data goes one way through small buffers, options come the other. */
static void *
ask(void *arg)
{
	static const char wire[] = IAC DO "\001" IAC WILL "\002" IAC DONT
	    "\001" IAC WONT "\002.";
	struct other *o = arg;
	int i;

	for (i = 0; i < ROUNDS; i++)
		if (!put_all(o->fd, wire, sizeof(wire) - 1))
			break;
	(void)shutdown(o->fd, SHUT_WR);
	return NULL;
}

/* Our thread that receives, in blocking mode. */
struct receiver {
	struct sock *s;
	size_t len;
	enum sk_result r;
};

static void *
receive(void *arg)
{
	static char buf[2 * ROUNDS];
	struct receiver *r = arg;
	bool empty;

	r->len = recv_all(r->s, buf, sizeof(buf), &r->r, &empty);
	return NULL;
}

/* Non-blocking, one thread does both. */
static enum sk_result
send_and_recv(struct sock *s, const unsigned char *buf, size_t len,
    struct receiver *in, struct err *e)
{
	char room[64];
	size_t put, got, sum = 0;
	enum sk_result r;

	while (sum < len) {
		r = sock_send(s, buf + sum, len - sum, &put, e);
		sum += put;
		if (r == SK_WANT_WRITE)
			r = sock_wait(s, SK_OUT, r);
		if (r != SK_OK)
			return r;
		if (in->r == SK_OK) {
			in->r = sock_recv(s, room, sizeof(room), &got, e);
			in->len += got;
			if (in->r == SK_WANT_READ)
				in->r = SK_OK;
		}
	}
	while (in->r == SK_OK) {
		in->r = net_recv(s, room, sizeof(room), &got, e);
		in->len += got;
	}
	return SK_OK;
}

static enum sk_result
send_all(struct sock *s, const unsigned char *buf, size_t len, struct err *e)
{
	size_t put, sum = 0;
	enum sk_result r = SK_OK;

	while (sum < len && r == SK_OK) {
		r = net_send(s, buf + sum, len - sum, &put, e);
		sum += put;
	}
	return r;
}

static void
test_send(unsigned per_cent)
{
	unsigned char *big = make_big(per_cent);
	struct other o = { 0 };
	struct receiver in = { .r = SK_OK };
	pthread_t taker, asker, receiver;
	struct err e = { 0 };
	struct pair p;

	if (!tap_ok(open_pair(&p, true), "sending with %u %% IAC, %s",
	    per_cent, net_mode_names[mode]))
		return;
	o.fd = p.fd;
	o.data = malloc(BIG_BYTES);
	in.s = p.s;
	(void)pthread_create(&taker, NULL, take, &o);
	(void)pthread_create(&asker, NULL, ask, &o);
	if (mode == SK_BLOCKING) {
		(void)pthread_create(&receiver, NULL, receive, &in);
		tap_int(send_all(p.s, big, BIG_BYTES, &e), SK_OK, "sent");
		(void)pthread_join(receiver, NULL);
	} else
		tap_int(send_and_recv(p.s, big, BIG_BYTES, &in, &e), SK_OK,
		    "sent");
	tap_int(in.r, SK_EOF, "received to the end");
	tap_int((long long)in.len, ROUNDS, "all of the other direction");
	tap_int(net_finish(p.s, sock_shutdown_write, &e), SK_OK,
	    "half-closed");
	(void)pthread_join(taker, NULL);
	(void)pthread_join(asker, NULL);
	tap_ok(!o.odd, "every IAC is doubled or begins an answer");
	tap_ok(o.len == BIG_BYTES && memcmp(o.data, big, BIG_BYTES) == 0,
	    "everything arrived as it was");
	tap_ok(o.commands >= 2 && o.commands <= 2 * ROUNDS,
	    "%zu answers", o.commands);
	tap_int(net_close(&p.s, &e), SK_OK, "closed");
	close_pair(&p);
	free(o.data);
	free(big);
	err_clear(&e);
}

/* A peer that floods with options and reads nothing costs nothing. */
static void
test_flood(void)
{
	static const char wire[] = IAC DO "\001" IAC DONT "\001" IAC WILL
	    "\002" IAC WONT "\002";
	unsigned char one[] = { 255, 250, 0, 255, 240 };
	struct err e = { 0 };
	struct pollfd fds[SK_POLLFDS_MAX];
	struct pair p;
	char room[65536];
	size_t put, got, i, sent = 0;
	enum sk_result r = SK_OK;
	bool ok = true;

	if (mode != SK_NONBLOCKING)
		return;
	if (!tap_ok(open_pair(&p, true), "a flood of options"))
		return;
	while (r == SK_OK)
		r = sock_send(p.s, room, sizeof(room), &put, &e);
	for (i = 0; i < FLOOD && ok; i++) {
		sent += put_all(p.fd, wire, sizeof(wire) - 1);
		r = sock_recv(p.s, room, sizeof(room), &got, &e);
		ok = got == 0 && r == SK_WANT_READ;
	}
	tap_ok(ok && sent == FLOOD, "is read");
	tap_int((long long)sock_pollfds(p.s, SK_IN, SK_WANT_READ, fds), 1,
	    "one descriptor");
	tap_int(fds[0].events, POLLIN | POLLOUT,
	    "and who receives waits for room for the answers, too");
	tap_int((long long)sock_pollfds(p.s, SK_OUT, SK_WANT_WRITE, fds), 1,
	    "one descriptor");
	tap_int(fds[0].events, POLLOUT, "who sends does for its own");
	for (i = 0; i < 100; i++)
		ok &= put_all(p.fd, one, sizeof(one));
	tap_ok(ok && sock_recv(p.s, room, sizeof(room), &got, &e) ==
	    SK_WANT_READ, "subnegotiations are passed over");
	close_pair(&p);
	err_clear(&e);
}

static void
test_no_memory(void)
{
	struct err e = { 0 };
	struct sock *s;
	char byte = 0;
	size_t n;

	s = sock_make(&transport_telnet, -1, mode, "peer", &e);
	tap_int(sock_recv(s, &byte, 1, &n, &e), SK_ERROR, "no memory");
	tap_int(sock_send(s, &byte, 1, &n, &e), SK_ERROR, "nor for sending");
	tap_int(e.sys, ENOMEM, "is said");
	sock_abort(&s);
	err_clear(&e);
}

int
main(void)
{
	static const size_t cuts[] = { 255, 1, 2, 3 };
	size_t i, j;

	tap_start();
	for (mode = SK_NONBLOCKING; mode <= SK_BLOCKING; mode++) {
		for (i = 0; i < COUNT(sequences); i++)
			for (j = 0; j < COUNT(cuts); j++)
				test_receive(i, cuts[j]);
		test_changes();
		test_end();
		test_urgent();
		test_send(1);
		test_send(50);
		test_send(100);
		test_flood();
		test_no_memory();
	}
	return tap_done();
}
