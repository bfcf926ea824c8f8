/* The header of the PROXY protocol: sent, and read as strictly as can be. */
#include "sock/announce_impl.h"

#include <arpa/inet.h>
#include <pthread.h>

#include "net.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define TAIL		"the first bytes of the client"

enum {
	HEADER_MAX = 8192,
	RANDOM_ROUNDS = 20000,
	SHORT_MS = 50,
	ENDS_MAX = 2 * (ADDR_HOST_MAX + ADDR_PORT_MAX) + 8,
};

struct bytes {
	size_t len;
	unsigned char data[HEADER_MAX];
};

static void
put(struct bytes *b, const void *data, size_t len)
{
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static struct bytes
text(const char *s)
{
	static struct bytes b;

	b.len = 0;
	put(&b, s, strlen(s));
	return b;
}

/* A header of version 2: command, family, the length that is said. */
static struct bytes
binary(unsigned command, unsigned family, size_t said, const void *rest,
    size_t len)
{
	unsigned char head[4] = { (unsigned char)command,
	    (unsigned char)family, (unsigned char)(said >> 8),
	    (unsigned char)said };
	static struct bytes b;

	b.len = 0;
	put(&b, announce_v2_signature, ANNOUNCE_V2_SIGNATURE);
	put(&b, head, sizeof(head));
	put(&b, rest, len);
	return b;
}

/* A client that is to announce itself, over a pair of UNIX sockets. */
static struct sock *
client(enum sk_mode mode, int *peer, struct err *e)
{
	int fds[2];
	struct sock *s;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
		return NULL;
	*peer = fds[1];
	s = net_adopt(fds[0], mode, e);
	if (s == NULL) {
		(void)close(fds[1]);
		return NULL;
	}
	s->layers = LAYER_ANNOUNCED;
	sock_next_layer(s);
	sock_set_deadline(s, net_limit_ns());
	return s;
}

static void
give(int fd, const void *data, size_t len)
{
	if (len > 0 && send(fd, data, len, MSG_NOSIGNAL) != (ssize_t)len)
		tap_note("send: %s", strerror(errno));
}

/* "HOST PORT HOST PORT" of the ends that were announced, or "". */
static void
show(const struct sock *s, char out[ENDS_MAX])
{
	struct sock_ends ends;

	*out = '\0';
	if (s->announced == NULL)
		return;
	sock_get_ends(s, &ends);
	(void)snprintf(out, ENDS_MAX, "%s %s %s %s", ends.peer_host,
	    ends.peer_port, ends.local_host, ends.local_port);
}

/* Whether the tail, and nothing else, is what the client says. */
static bool
tail_comes(struct sock *s)
{
	char buf[sizeof(TAIL) + 1];
	struct err e = { 0 };
	size_t got, n = 0;
	bool ok;

	while (n < sizeof(TAIL) - 1 && net_recv(s, buf + n, sizeof(buf) - n,
	    &got, &e) == SK_OK)
		n += got;
	ok = n == sizeof(TAIL) - 1 && memcmp(buf, TAIL, n) == 0;
	err_clear(&e);
	return ok;
}

/*
 * A header in two parts, with the tail right behind it: what became of it. ends
 * has what was announced.
 */
static enum sk_result
feed(const struct bytes *b, size_t cut, bool tail, char ends[ENDS_MAX],
    enum err_code *code)
{
	struct err e = { 0 };
	enum sk_result r;
	struct sock *s;
	struct bytes all = *b;
	int peer;

	*ends = '\0';
	s = client(SK_NONBLOCKING, &peer, &e);
	if (s == NULL)
		return SK_ERROR;
	if (tail)
		put(&all, TAIL, sizeof(TAIL) - 1);
	give(peer, all.data, cut);
	r = SK_WANT_READ;
	if (cut > 0)
		r = sock_handshake(s, &e);
	if (r != SK_ERROR)
		give(peer, all.data + cut, all.len - cut);
	if (r == SK_WANT_READ)
		r = sock_handshake(s, &e);
	*code = e.code;
	if (r == SK_OK) {
		show(s, ends);
		if (tail && !tail_comes(s))
			r = SK_EOF;
	}
	(void)close(peer);
	sock_abort(&s);
	err_clear(&e);
	return r;
}

static const struct good_line {
	const char *line, *ends;
} good_lines[] = {
	{ "PROXY UNKNOWN\r\n", "" },
	{ "PROXY UNKNOWN ffff::1 what ever  it says\r\n", "" },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "1.2.3.4 1 5.6.7.8 2" },
	{ "PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
	    "0.0.0.0 0 255.255.255.255 65535" },
	{ "PROXY TCP6 2001:db8::1 ::1 443 80\r\n", "2001:db8::1 443 ::1 80" },
	{ "PROXY TCP6 :: ABCD::EF 1 2\r\n", ":: 1 abcd::ef 2" },
	{ "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535" },
	/* The longest of all: 107 bytes. */
	{ "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "" },
};

static const char *const bad_lines[] = {
	"", "\r\n", "X", "PROXY", "PROXY ", "PROXY\r\n", "PROXY \r\n",
	"GET / HTTP/1.0\r\n\r\n", "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
	" PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
	"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
	"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n",
	"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
	"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
	"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
	"PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
	"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8\r\n",
	"PROXY TCP4 1.2.3.4\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n",
	"PROXY TCP4\r\n", "PROXY TCP4 \r\n", "PROXY UNKNOWNX\r\n",
	"PROXY UNKNOW\r\n", "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
	"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
	"PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n",
	"PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n",
	"PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n",
	"PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
	"PROXY TCP4 1.2.3.4 ::1 1 2\r\n", "PROXY TCP6 ::1 1.2.3.4 1 2\r\n",
	"PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
	"PROXY TCP6 [::1] [::1] 1 2\r\n", "PROXY TCP6 ::1%lo ::1 1 2\r\n",
	"PROXY TCP6 :::1 ::1 1 2\r\n", "PROXY TCP6 1::2::3 ::1 1 2\r\n",
	"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
	"PROXY TCP4 1.2.3.4 5.6.7.8 1 00\r\n",
	"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
	"PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n",
	"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n",
	"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999999999999999999999\r\n",
	"PROXY TCP4 1.2.3.4 5.6.7.8 0x1 2\r\n",
	"PROXY TCP4 1.2.3.4 5.6.7.8 1\t2\r\n",
	/* 108 bytes. */
	("PROXY UNKNOWN X0123456789012345678901234567890123456789012345678"
	    "901234567890123456789012345678901234567890\r\n"),
};

/* Whole, and cut at every byte. */
static bool
is_taken(const struct bytes *b, const char *expected)
{
	char ends[ENDS_MAX];
	enum err_code code;
	size_t cut;

	for (cut = 0; cut <= b->len; cut++)
		if (feed(b, cut, true, ends, &code) != SK_OK ||
		    strcmp(ends, expected) != 0) {
			tap_note("cut at %zu: %s", cut, ends);
			return false;
		}
	return true;
}

/* Every part of a header waits for the rest, and is none if it ends there. */
static bool
prefixes_wait(const struct bytes *b)
{
	struct err e = { 0 };
	struct sock *s;
	size_t len;
	bool ok = true;
	int peer;

	for (len = 0; len < b->len && ok; len++) {
		s = client(SK_NONBLOCKING, &peer, &e);
		if (s == NULL)
			return false;
		give(peer, b->data, len);
		ok = sock_handshake(s, &e) == SK_WANT_READ;
		(void)close(peer);
		ok = ok && sock_handshake(s, &e) == SK_ERROR &&
		    e.code == ERR_BROKEN &&
		    strncmp(e.text, "no PROXY header", 15) == 0 &&
		    strcmp(e.who, "peer") == 0;
		if (!ok)
			tap_note("the first %zu bytes", len);
		sock_abort(&s);
		err_clear(&e);
	}
	return ok;
}

static void
test_lines(void)
{
	char ends[ENDS_MAX];
	enum err_code code;
	struct bytes b;
	size_t i;

	for (i = 0; i < COUNT(good_lines); i++) {
		b = text(good_lines[i].line);
		tap_ok(is_taken(&b, good_lines[i].ends), "taken: %s",
		    good_lines[i].ends);
		tap_ok(prefixes_wait(&b), "and not a byte less");
	}
	for (i = 0; i < COUNT(bad_lines); i++) {
		b = text(bad_lines[i]);
		/* What could go on is no header once this comes behind it. */
		put(&b, "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", 15);
		tap_ok(feed(&b, b.len, false, ends, &code) == SK_ERROR &&
		    code == ERR_BROKEN, "refused: \"%.*s\"",
		    (int)strcspn(bad_lines[i], "\r\n"), bad_lines[i]);
	}
}

/*
 * What is taken of a line with a bit flipped says what stands there. (IPv6 has
 * more than one way to write an address.)
 */
static void
test_flipped_lines(void)
{
	char ends[ENDS_MAX], peer[64], local[64], ports[2][64], again[512];
	enum err_code code;
	enum sk_result r;
	struct bytes b, flipped;
	bool ok = true;
	size_t i, k;

	for (i = 0; i < COUNT(good_lines) && ok; i++) {
		b = text(good_lines[i].line);
		for (k = 0; k < b.len * 8 && ok; k++) {
			flipped = b;
			flipped.data[k / 8] ^= (unsigned char)(1 << k % 8);
			r = feed(&flipped, flipped.len, true, ends, &code);
			ok = r == SK_OK || (r == SK_ERROR &&
			    code == ERR_BROKEN) || r == SK_WANT_READ;
			if (r != SK_OK || strchr(ends, ':') != NULL ||
			    sscanf(ends, "%63s %63s %63s %63s", peer, ports[0],
			    local, ports[1]) != 4)
				continue;
			(void)snprintf(again, sizeof(again),
			    "PROXY TCP4 %s %s %s %s\r\n", peer, local,
			    ports[0], ports[1]);
			ok = strlen(again) == flipped.len &&
			    memcmp(again, flipped.data, flipped.len) == 0;
		}
		if (!ok)
			tap_note("bit %zu of %s", k, good_lines[i].line);
	}
	tap_ok(ok, "lines with every bit flipped");
}

static const unsigned char inet[] = { 192, 0, 2, 7, 198, 51, 100, 9, 0x12,
    0x34, 0, 80 };

static const struct {
	const char *what;
	unsigned command, family;
	size_t said, len;
	const char *ends;		/* NULL: refused */
} binaries[] = {
	{ "TCP over IPv4", 0x21, 0x11, 12, 12,
	    "192.0.2.7 4660 198.51.100.9 80" },
	{ "with a field behind it", 0x21, 0x11, 15, 15,
	    "192.0.2.7 4660 198.51.100.9 80" },
	{ "with the longest fields", 0x21, 0x11, 4096, 4096,
	    "192.0.2.7 4660 198.51.100.9 80" },
	{ "longer ones", 0x21, 0x11, 4097, 4097, NULL },
	{ "the longest of all", 0x21, 0x11, 65535, 8000, NULL },
	{ "TCP over IPv6", 0x21, 0x21, 36, 36, "c000:207:c633:6409:1234:50:: "
	    "0 :: 0" },
	{ "UNIX, unnamed", 0x21, 0x31, 216, 216, "c000  " },
	{ "LOCAL", 0x20, 0x00, 0, 0, "" },
	{ "LOCAL with anything", 0x20, 0xff, 99, 99, "" },
	{ "unspecified", 0x21, 0x00, 0, 0, "" },
	{ "unspecified, with fields", 0x21, 0x00, 40, 40, "" },
	{ "UDP over IPv4", 0x21, 0x12, 12, 12, "" },
	{ "version 1", 0x11, 0x11, 12, 12, NULL },
	{ "version 3", 0x31, 0x11, 12, 12, NULL },
	{ "version 0", 0x01, 0x11, 12, 12, NULL },
	{ "command 2", 0x22, 0x11, 12, 12, NULL },
	{ "family 4", 0x21, 0x41, 12, 12, NULL },
	{ "protocol 3", 0x21, 0x13, 12, 12, NULL },
	{ "IPv4, too short", 0x21, 0x11, 11, 12, NULL },
	{ "IPv4, of no length", 0x21, 0x11, 0, 12, NULL },
	{ "IPv6, too short", 0x21, 0x21, 35, 36, NULL },
	{ "UNIX, too short", 0x21, 0x31, 215, 216, NULL },
};

static void
test_binaries(void)
{
	unsigned char rest[8000] = { 0 };
	char ends[ENDS_MAX];
	enum err_code code;
	struct bytes b;
	bool ok;
	size_t i;

	memcpy(rest, inet, sizeof(inet));
	for (i = 0; i < COUNT(binaries); i++) {
		/* A UNIX path: one that is as long as its field, and none. */
		memset(rest + sizeof(inet), 0, sizeof(rest) - sizeof(inet));
		if (binaries[i].family == 0x31 && binaries[i].ends != NULL) {
			memset(rest, 0, sizeof(inet));
			memset(rest, 'p', ANNOUNCE_V2_UNIX / 2);
		} else
			memcpy(rest, inet, sizeof(inet));
		b = binary(binaries[i].command, binaries[i].family,
		    binaries[i].said, rest, binaries[i].len);
		if (binaries[i].ends == NULL) {
			tap_ok(feed(&b, b.len, false, ends, &code) ==
			    SK_ERROR && code == ERR_BROKEN, "refused: %s",
			    binaries[i].what);
			continue;
		}
		if (binaries[i].family == 0x31)
			ok = feed(&b, 5, true, ends, &code) == SK_OK &&
			    strspn(ends, "p") == ANNOUNCE_V2_UNIX / 2;
		else
			ok = b.len < 300 ? is_taken(&b, binaries[i].ends) :
			    feed(&b, 99, true, ends, &code) == SK_OK &&
			    strcmp(ends, binaries[i].ends) == 0;
		tap_ok(ok, "taken: %s", binaries[i].what);
		if (b.len < 300)
			tap_ok(prefixes_wait(&b), "and not a byte less");
	}
}

static void
test_flipped_binaries(void)
{
	char ends[ENDS_MAX];
	struct bytes b = binary(0x21, 0x11, 12, inet, sizeof(inet)), flipped;
	enum err_code code;
	enum sk_result r;
	bool ok = true;
	size_t k;

	for (k = 0; k < b.len * 8 && ok; k++) {
		flipped = b;
		flipped.data[k / 8] ^= (unsigned char)(1 << k % 8);
		r = feed(&flipped, flipped.len, false, ends, &code);
		/* Those of the length can say that more is to come. */
		ok = r == (k / 8 >= ANNOUNCE_V2_HEAD ? SK_OK : r) &&
		    (r == SK_OK || r == SK_WANT_READ ||
		    (r == SK_ERROR && code == ERR_BROKEN)) &&
		    (k / 8 >= ANNOUNCE_V2_SIGNATURE || r == SK_ERROR);
	}
	tap_ok(ok, "version 2 with every bit flipped");
	if (!ok)
		tap_note("bit %zu", k - 1);
}

/* Anything behind the beginning of a header. */
static void
test_random(void)
{
	uint64_t state = tap_seed();
	char ends[ENDS_MAX];
	struct bytes b;
	enum err_code code;
	enum sk_result r;
	size_t i, n;
	bool ok = true;
	int round;

	for (round = 0; round < RANDOM_ROUNDS && ok; round++) {
		if (tap_random(&state) % 2 == 0)
			b = text(round % 4 == 0 ? "PROXY " :
			    "PROXY TCP4 1.2.3.4 ");
		else
			b = binary(0x21, 0x11, 12, inet, 0);
		b.len -= (size_t)(tap_random(&state) % 5);
		n = (size_t)(tap_random(&state) % 200);
		for (i = 0; i < n; i++)
			b.data[b.len++] = tap_random(&state) % 3 == 0 ?
			    (unsigned char)tap_random(&state) :
			    (unsigned char)"0123456789.: \r\n"
			    [tap_random(&state) % 15];
		r = feed(&b, b.len, false, ends, &code);
		ok = r == SK_OK || r == SK_WANT_READ ||
		    (r == SK_ERROR && code == ERR_BROKEN);
	}
	tap_ok(ok, "%d headers of anything", RANDOM_ROUNDS);
}

struct dripper {
	int fd;
	struct bytes b;
};

static void *
drip(void *arg)
{
	struct dripper *d = arg;
	size_t i;

	for (i = 0; i < d->b.len; i++) {
		give(d->fd, &d->b.data[i], 1);
		if (i % 4 == 0)
			(void)usleep(200);
	}
	return NULL;
}

/* A blocking call takes a header that comes byte by byte. */
static void
test_blocking(void)
{
	struct dripper d = { .b = text(good_lines[6].line) };
	struct err e = { 0 };
	char ends[ENDS_MAX];
	pthread_t thread;
	struct sock *s;

	put(&d.b, TAIL, sizeof(TAIL) - 1);
	s = client(SK_BLOCKING, &d.fd, &e);
	if (s == NULL || pthread_create(&thread, NULL, drip, &d) != 0)
		return;
	tap_int(sock_handshake(s, &e), SK_OK, "blocking, byte by byte");
	show(s, ends);
	tap_text(ends, good_lines[6].ends, "the announced ends");
	tap_text(sock_name(s),
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff port 65535",
	    "it is called by what was announced");
	tap_ok(tail_comes(s), "nothing behind the header was taken");
	(void)pthread_join(thread, NULL);
	(void)close(d.fd);
	sock_abort(&s);
	err_clear(&e);
}

/* A client that says nothing has until the deadline. */
static void
test_silent(void)
{
	static const enum sk_mode modes[] = { SK_NONBLOCKING, SK_BLOCKING };
	struct err e = { 0 };
	struct sock *s;
	enum sk_result r;
	size_t i;
	int peer;

	for (i = 0; i < COUNT(modes); i++) {
		s = client(modes[i], &peer, &e);
		if (s == NULL)
			return;
		sock_set_deadline(s, clock_now_ns() + SHORT_MS * CLOCK_MS);
		give(peer, "PROXY TCP4 1.", 13);
		r = net_finish(s, sock_handshake, &e);
		tap_int(r, SK_TIMEOUT, "%s: half a header",
		    net_mode_names[modes[i]]);
		(void)close(peer);
		sock_abort(&s);
		err_clear(&e);
	}
}

struct meeting {
	struct sock *listener, *client;
	enum sk_result r;
	struct err err;
};

/* Accept and read the header, beside the one who connects. */
static void *
meet(void *arg)
{
	struct meeting *m = arg;

	m->r = net_accept(m->listener, &m->client, &m->err);
	if (m->r == SK_OK) {
		sock_set_deadline(m->client, net_limit_ns());
		m->r = net_finish(m->client, sock_handshake, &m->err);
	}
	return NULL;
}

/* A header from one haul to another, over a kind of stream. */
static void
test_together(enum net_kind kind, enum sk_mode mode, enum announce version)
{
	struct sock_config config = { .mode = mode, .socket_mode = -1,
	    .announced = true, .announce = version };
	struct meeting m = { 0 };
	char name[64], real[ENDS_MAX] = "", told[ENDS_MAX] = "";
	struct sock_ends ends;
	struct err e = { 0 };
	struct sock *s = NULL;
	pthread_t thread;
	size_t n;

	(void)snprintf(name, sizeof(name), "%s, %s, version %d",
	    net_kind_names[kind], net_mode_names[mode], (int)version);
	m.listener = net_listen(kind, &config, &e);
	if (m.listener == NULL || pthread_create(&thread, NULL, meet, &m) != 0)
		return;
	s = net_open(net_address(m.listener), &config, false, &e);
	tap_ok(s != NULL && net_finish(s, sock_handshake, &e) == SK_OK &&
	    net_send(s, TAIL, sizeof(TAIL) - 1, &n, &e) == SK_OK,
	    "%s: sending", name);
	(void)pthread_join(thread, NULL);
	if (tap_int(m.r, SK_OK, "%s: receiving", name) && s != NULL) {
		show(m.client, told);
		sock_get_ends(s, &ends);
		if (net_is_tcp(kind))
			(void)snprintf(real, sizeof(real), "%s %s %s %s",
			    ends.local_host, ends.local_port, ends.peer_host,
			    ends.peer_port);
		else if (version == ANNOUNCE_V2)
			(void)snprintf(real, sizeof(real), "%s %s %s %s", "",
			    "", ends.peer_host, "");
		tap_text(told, real, "%s: the ends", name);
		tap_ok(tail_comes(m.client), "%s: the data behind it", name);
	} else
		tap_note("%s", m.err.text);
	sock_abort(&s);
	sock_abort(&m.client);
	sock_abort(&m.listener);
	err_clear(&m.err);
	err_clear(&e);
}

int
main(void)
{
	enum net_kind kind;
	int i;

	tap_start();
	test_lines();
	test_flipped_lines();
	test_binaries();
	test_flipped_binaries();
	test_random();
	test_blocking();
	test_silent();
	for (kind = NET_TCP4; kind <= NET_ABSTRACT; kind++)
		for (i = 0; i < 4 && net_has(kind); i++)
			test_together(kind, i % 2 == 0 ? SK_NONBLOCKING :
			    SK_BLOCKING, i < 2 ? ANNOUNCE_V1 : ANNOUNCE_V2);
	net_clean();
	return tap_done();
}
