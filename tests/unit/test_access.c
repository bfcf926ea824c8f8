/* Access lists: what is taken, what is refused, and who is let in. */
#include "sock/access.h"

#include <arpa/inet.h>

#include "net.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum { MANY = 10 * 1000 };

/* A peer of that address, as a PROXY header announces one; "": UNIX. */
static struct sock *
peer_of(const char *text)
{
	struct err e = { 0 };
	struct sock *s = sock_make(&transport_stream, -1, SK_NONBLOCKING,
	    "peer", &e);
	struct sk_addr *a;

	s->announced = calloc(1, sizeof(*s->announced));
	a = &s->announced->peer;
	if (inet_pton(AF_INET, text, &a->u.in.sin_addr) == 1) {
		a->u.in.sin_family = AF_INET;
		a->len = sizeof(a->u.in);
	} else if (inet_pton(AF_INET6, text, &a->u.in6.sin6_addr) == 1) {
		a->u.in6.sin6_family = AF_INET6;
		a->u.in6.sin6_scope_id = 3;
		a->len = sizeof(a->u.in6);
	} else {
		a->u.un.sun_family = AF_UNIX;
		a->len = sizeof(sa_family_t);
	}
	return s;
}

static bool
permits(const struct access_list *l, const char *peer)
{
	struct sock *s = peer_of(peer);
	bool yes = access_permits(l, s);

	sock_abort(&s);
	return yes;
}

/* Lists of +NET and -NET, and of peers, each with what is expected. */
static const struct {
	const char *nets[4];
	const char *peers[8];
} decisions[] = {
	{ { "+192.0.2.0/24" }, { "+192.0.2.0", "+192.0.2.255", "-192.0.3.0",
	    "-2001:db8::1", "+::ffff:192.0.2.9", "-::ffff:192.0.3.9", "-" } },
	{ { "-192.0.2.0/24" }, { "-192.0.2.0", "-::ffff:192.0.2.255",
	    "+192.0.3.0", "+2001:db8::1", "+" } },
	{ { "-192.0.2.7", "+192.0.2.0/24" }, { "-192.0.2.7", "+192.0.2.8",
	    "-198.51.100.1", "-" } },
	{ { "+192.0.2.0/24", "-192.0.2.7" }, { "-192.0.2.7", "+192.0.2.8" } },
	{ { "+192.0.2.128/25" }, { "-192.0.2.127", "+192.0.2.128" } },
	{ { "+192.0.2.2/31" }, { "-192.0.2.1", "+192.0.2.2", "+192.0.2.3",
	    "-192.0.2.4" } },
	{ { "+0.0.0.0/0" }, { "+203.0.113.9", "-2001:db8::1",
	    "+::ffff:203.0.113.9", "-" } },
	{ { "+::/0" }, { "-203.0.113.9", "+2001:db8::1",
	    "-::ffff:203.0.113.9" } },
	{ { "+2001:db8::/32" }, { "+2001:db8:ffff::1", "-2001:db9::" } },
	{ { "+2001:db8::8/125" }, { "+2001:db8::f", "-2001:db8::10" } },
	{ { "+fe80::1" }, { "+fe80::1", "-fe80::2" } },
	{ { "+::ffff:192.0.2.0/120" }, { "+192.0.2.1", "-192.0.3.1",
	    "+::ffff:192.0.2.1" } },
	{ { "+::ffff:192.0.2.1" }, { "+192.0.2.1", "-192.0.2.2" } },
	{ { "+127.0.0.1", "+::1" }, { "+127.0.0.1", "+::1", "-127.0.0.2" } },
};

static void
test_decisions(void)
{
	struct access_list *l;
	struct err e = { 0 };
	const char *const *t;
	size_t i;
	bool ok;

	for (i = 0; i < COUNT(decisions); i++) {
		l = NULL;
		ok = true;
		for (t = decisions[i].nets; *t != NULL; t++)
			ok &= access_add(&l, **t == '+', *t + 1, &e);
		tap_ok(ok, "%s ... is taken", decisions[i].nets[0]);
		for (t = decisions[i].peers; *t != NULL; t++)
			tap_int(permits(l, *t + 1), **t == '+',
			    "%s ... and the peer %s", decisions[i].nets[0],
			    *t);
		access_free(l);
	}
	tap_ok(access_permits(NULL, NULL), "no list permits everybody");
	tap_ok(!access_allows(NULL), "and allows nobody by name");
	access_free(NULL);
}

static const struct {
	const char *net, *says;
} wrong[] = {
	{ "", "'' is no network: no address" },
	{ "192.0.2", "'192.0.2' is no network: no address" },
	{ "192.0.2.256", "'192.0.2.256' is no network: no address" },
	{ "3232235777", "'3232235777' is no network: no address" },
	{ "0x7f.1", "'0x7f.1' is no network: no address" },
	{ "0x7f000001", "'0x7f000001' is no network: no address" },
	{ "host.0x7f", "'host.0x7f' is no network: no address" },
	{ "192.0.2.1.", "'192.0.2.1.' is no network: no address" },
	{ "192.0.2.1/24", "'192.0.2.1/24' is no network: the address has "
	    "bits set behind the prefix" },
	{ "192.0.2.1/0", "'192.0.2.1/0' is no network: the address has "
	    "bits set behind the prefix" },
	{ "2001:db8::1/127", "'2001:db8::1/127' is no network: the address "
	    "has bits set behind the prefix" },
	{ "192.0.2.0/33", "'192.0.2.0/33' is no network: a prefix is from 0 "
	    "to 32" },
	{ "192.0.2.0/", "'192.0.2.0/' is no network: a prefix is from 0 to "
	    "32" },
	{ "192.0.2.0/-1", "'192.0.2.0/-1' is no network: a prefix is from 0 "
	    "to 32" },
	{ "192.0.2.0/24/24", "'192.0.2.0/24/24' is no network: a prefix is "
	    "from 0 to 32" },
	{ "192.0.2.0/255.255.255.0", "'192.0.2.0/255.255.255.0' is no "
	    "network: a prefix is from 0 to 32" },
	{ "::/129", "'::/129' is no network: a prefix is from 0 to 128" },
	{ "fe80::1%lo", "'fe80::1%lo' is no network: a network has no zone" },
	{ "[::1]", "'[::1]' is no network: no address" },
	{ "a b", "'a b' is no network: no address" },
	{ "example.org/24", "'example.org/24' is no network: no address" },
	{ "-host", "'-host' is no network: no address" },
};

static void
test_wrong(void)
{
	struct access_list *l = NULL;
	struct err e = { 0 };
	char line[512], longest[70 * 1024];
	size_t i;

	for (i = 0; i < COUNT(wrong); i++) {
		tap_ok(!access_add(&l, true, wrong[i].net, &e) &&
		    e.code == ERR_USAGE, "refused: %s", wrong[i].net);
		tap_text(err_format(&e, line, sizeof(line)), wrong[i].says,
		    "and the reason");
	}
	memset(longest, '1', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	tap_ok(!access_add(&l, true, longest, &e) && e.code == ERR_USAGE,
	    "70 KiB of digits");
	memset(longest, 'a', sizeof(longest) - 1);
	tap_ok(!access_add(&l, true, longest, &e) && e.code == ERR_USAGE,
	    "70 KiB of letters");
	tap_ok(!access_allows(l), "what was refused allows nobody");
	err_clear(&e);
	access_free(l);
}

static bool
add_text(struct access_list **l, const char *text, size_t len, struct err *e)
{
	char at[2 * NET_PATH_MAX];
	FILE *f;
	bool ok;

	(void)snprintf(at, sizeof(at), "@%s", net_path("nets"));
	f = fopen(at + 1, "w");
	(void)fwrite(text, 1, len, f);
	(void)fclose(f);
	ok = access_add(l, true, at, e);
	(void)unlink(at + 1);
	return ok;
}

static void
test_file(void)
{
	static const char text[] = "# who\n\n  192.0.2.0/24\t# home\r\n"
	    "\t \n#192.0.3.0/24\n2001:db8::/32";
	static const char bad[] = "192.0.2.0/24\n\n192.0.2.1/24\n";
	static const char zero[] = "192.0.2.0/24\n192.0.2.1\0junk\n";
	static const char nested[] = "@other\n";
	struct access_list *l = NULL;
	struct err e = { 0 };
	char line[512], expected[512];

	tap_ok(add_text(&l, text, sizeof(text) - 1, &e), "a file");
	tap_ok(permits(l, "192.0.2.1") && permits(l, "2001:db8::1") &&
	    !permits(l, "192.0.3.1"), "and its networks");
	tap_ok(!add_text(&l, bad, sizeof(bad) - 1, &e) &&
	    e.code == ERR_USAGE, "a file with a bad line");
	(void)snprintf(expected, sizeof(expected), "%s line 3: '192.0.2.1/24' "
	    "is no network: the address has bits set behind the prefix",
	    net_path("nets"));
	tap_text(err_format(&e, line, sizeof(line)), expected, "is named");
	tap_ok(!add_text(&l, zero, sizeof(zero) - 1, &e), "a zero byte");
	tap_ok(!add_text(&l, nested, sizeof(nested) - 1, &e),
	    "a file in a file");
	tap_ok(!access_add(&l, true, "@/nonexistent/x", &e) &&
	    e.code == ERR_LOCAL && e.sys == ENOENT, "no such file");
	tap_ok(!access_add(&l, true, "@/", &e) && e.code == ERR_LOCAL &&
	    e.sys == EISDIR, "a directory");
	access_free(l);
	l = NULL;
	tap_ok(add_text(&l, "#\n", 2, &e) && !permits(l, "192.0.2.1") &&
	    !permits(l, ""), "an empty list allows nobody");
	access_free(l);
	err_clear(&e);
}

static void
test_many(void)
{
	struct access_list *l = NULL;
	struct err e = { 0 };
	char net[64];
	int64_t start = clock_now_ns();
	int i;
	bool ok = true;

	for (i = 0; i < MANY; i++) {
		(void)snprintf(net, sizeof(net), "10.%d.%d.0/24", i / 256,
		    i % 256);
		ok &= access_add(&l, true, net, &e);
	}
	tap_ok(ok, "%d networks", MANY);
	ok = true;
	for (i = 0; i < MANY; i++) {
		(void)snprintf(net, sizeof(net), "10.%d.%d.9", i / 256,
		    i % 256);
		ok &= i % 100 != 0 || permits(l, net);
	}
	tap_ok(ok && !permits(l, "11.0.0.1"), "let in who they are for");
	tap_ok(clock_now_ns() - start < 5 * CLOCK_SEC, "in no time");
	access_free(l);
	err_clear(&e);
}

static void
test_names(void)
{
	struct access_list *l = NULL;
	struct err e = { 0 };

	tap_ok(access_add(&l, true, "localhost", &e), "a name");
	tap_ok(access_allows(l), "allows");
	tap_ok(!permits(l, "127.0.0.1"), "nobody before it is looked up");
	tap_int(access_resolve(l, false, net_limit_ns(), &e), SK_OK,
	    "looking up");
	tap_ok(permits(l, "127.0.0.1") || permits(l, "::1"), "localhost");
	tap_ok(!permits(l, "192.0.2.1"), "and nobody else");
	tap_int(access_resolve(l, true, net_limit_ns(), &e), SK_ERROR,
	    "names where there are to be none");
	tap_int(e.code, ERR_RESOLVE, "are errors");
	access_free(l);
	l = NULL;
	(void)access_add(&l, false, "no-such-host.invalid", &e);
	tap_int(access_resolve(l, false, net_limit_ns(), &e), SK_ERROR,
	    "a name that nobody knows");
	tap_ok(e.code == ERR_RESOLVE && strcmp(e.who,
	    "no-such-host.invalid") == 0, "is an error with its name");
	access_free(l);
	err_clear(&e);
	tap_int(access_resolve(NULL, false, 0, &e), SK_OK, "no list");
}

/* The ends of real connections. */
static void
test_connections(enum net_kind kind, enum sk_mode mode)
{
	struct sock_config config = { .mode = mode };
	struct access_list *deny = NULL, *allow = NULL;
	struct sock *pair[2];
	struct err e = { 0 };
	bool inet = kind != NET_UNIX && kind != NET_UNIX_DATAGRAM;

	if (!net_has(kind)) {
		tap_skip("no IPv6", "%s", net_kind_names[kind]);
		return;
	}
	(void)access_add(&deny, false, "127.0.0.0/8", &e);
	(void)access_add(&deny, false, "::1", &e);
	(void)access_add(&allow, true, "127.0.0.0/8", &e);
	(void)access_add(&allow, true, "::1", &e);
	if (tap_ok(net_pair(kind, &config, pair, &e), "%s %s",
	    net_kind_names[kind], net_mode_names[mode])) {
		tap_int(access_permits(deny, pair[1]), !inet, "denied");
		tap_int(access_permits(allow, pair[1]), inet, "allowed");
	}
	sock_abort(&pair[0]);
	sock_abort(&pair[1]);
	access_free(deny);
	access_free(allow);
	err_clear(&e);
}

int
main(void)
{
	static const enum net_kind kinds[] = { NET_TCP4, NET_TCP6, NET_UNIX,
	    NET_UDP4, NET_UNIX_DATAGRAM };
	size_t i;

	tap_start();
	test_decisions();
	test_wrong();
	test_file();
	test_many();
	test_names();
	for (i = 0; i < COUNT(kinds); i++) {
		test_connections(kinds[i], SK_NONBLOCKING);
		test_connections(kinds[i], SK_BLOCKING);
	}
	net_clean();
	return tap_done();
}
