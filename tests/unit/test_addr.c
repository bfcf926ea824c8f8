/* Operands to addresses: every form, every boundary, and hostile ones. */
#include "sock/addr.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum {
	OPERANDS_MAX = 3,
	HOSTILE_BYTES = 64 * 1024,
	L = ADDR_LISTENING,
	N = ADDR_NUMERIC,
	BAD = -1,
};

static const struct addr_case {
	const char *operands[OPERANDS_MAX];
	int flags;
	int kind;			/* BAD: no address */
	const char *host, *port;
	int used;
} cases[] = {
	/* Two operands. */
	{ { "192.0.2.7", "80" }, 0, ADDR_INET, "192.0.2.7", "80", 2 },
	{ { "example.org", "0" }, 0, ADDR_INET, "example.org", "0", 2 },
	{ { "h", "65535", "x" }, 0, ADDR_INET, "h", "65535", 2 },
	{ { "h", "65536" }, 0, BAD, "", "", 0 },
	{ { "h", "99999" }, 0, BAD, "", "", 0 },
	{ { "h", "4294967376" }, 0, BAD, "", "", 0 },
	{ { "h", "-1" }, 0, BAD, "", "", 0 },
	{ { "h", "+80" }, 0, BAD, "", "", 0 },
	{ { "h", "80 " }, 0, BAD, "", "", 0 },
	{ { "h", "0x50" }, 0, BAD, "", "", 0 },
	{ { "h", "" }, 0, BAD, "", "", 0 },
	{ { "h", "0080" }, 0, ADDR_INET, "h", "80", 2 },
	{ { "h", "no-such-service" }, 0, BAD, "", "", 0 },
	{ { "", "80" }, 0, BAD, "", "", 0 },
	{ { "h" }, 0, BAD, "", "", 0 },
	{ { NULL }, 0, BAD, "", "", 0 },
	{ { NULL }, L, BAD, "", "", 0 },
	{ { "::1", "80" }, 0, ADDR_INET, "::1", "80", 2 },
	{ { "fe80::1%eth0", "80" }, 0, ADDR_INET, "fe80::1%eth0", "80", 2 },
	{ { "::ffff:192.0.2.7", "80" }, 0, ADDR_INET, "::ffff:192.0.2.7",
	    "80", 2 },
	{ { "::1" }, 0, BAD, "", "", 0 },
	{ { "1::2::3", "80" }, 0, BAD, "", "", 0 },
	{ { "a:b:c", "80" }, 0, BAD, "", "", 0 },
	{ { "fe80::1%eth0:80" }, 0, BAD, "", "", 0 },
	/* HOST:PORT. */
	{ { "h:80" }, 0, ADDR_INET, "h", "80", 1 },
	{ { "h:80", "81" }, 0, ADDR_INET, "h", "80", 1 },
	{ { "192.0.2.7:0" }, 0, ADDR_INET, "192.0.2.7", "0", 1 },
	{ { "h:65536" }, 0, BAD, "", "", 0 },
	{ { "h:" }, 0, BAD, "", "", 0 },
	{ { ":80" }, 0, BAD, "", "", 0 },
	{ { ":" }, 0, BAD, "", "", 0 },
	/* [IPV6]:PORT. */
	{ { "[::1]:80" }, 0, ADDR_INET, "::1", "80", 1 },
	{ { "[::]:0" }, L, ADDR_INET, "::", "0", 1 },
	{ { "[fe80::1%eth0]:80" }, 0, ADDR_INET, "fe80::1%eth0", "80", 1 },
	{ { "[fe80::1%a]b]:80" }, 0, BAD, "", "", 0 },
	{ { "[::1]80" }, 0, BAD, "", "", 0 },
	{ { "[::1]" }, 0, BAD, "", "", 0 },
	{ { "[::1", "80" }, 0, BAD, "", "", 0 },
	{ { "[::1]:" }, 0, BAD, "", "", 0 },
	{ { "[]:80" }, 0, BAD, "", "", 0 },
	{ { "[" }, 0, BAD, "", "", 0 },
	{ { "[127.0.0.1]:80" }, 0, BAD, "", "", 0 },
	{ { "[h]:80" }, 0, BAD, "", "", 0 },
	/* Where haul listens, the host may be left out. */
	{ { "9000" }, L, ADDR_INET, "", "9000", 1 },
	{ { ":9000" }, L, ADDR_INET, "", "9000", 1 },
	{ { "0" }, L, ADDR_INET, "", "0", 1 },
	{ { "9000", "x" }, L, ADDR_INET, "", "9000", 1 },
	{ { "localhost", "9000" }, L, ADDR_INET, "localhost", "9000", 2 },
	{ { "localhost:9000" }, L, ADDR_INET, "localhost", "9000", 1 },
	{ { "::", "9000" }, L, ADDR_INET, "::", "9000", 2 },
	{ { "65536" }, L, BAD, "", "", 0 },
	{ { ":65536" }, L, BAD, "", "", 0 },
	{ { "" }, L, BAD, "", "", 0 },
	{ { ":" }, L, BAD, "", "", 0 },
	{ { "::" }, L, BAD, "", "", 0 },
	{ { "9000" }, 0, BAD, "", "", 0 },
	/* UNIX sockets. */
	{ { "unix:/run/x" }, 0, ADDR_UNIX, "/run/x", "", 1 },
	{ { "unix:x", "80" }, L, ADDR_UNIX, "x", "", 1 },
	{ { "unix:a:b c%d" }, 0, ADDR_UNIX, "a:b c%d", "", 1 },
	{ { "unix:@name" }, 0, ADDR_ABSTRACT, "name", "", 1 },
	{ { "unix:@@" }, 0, ADDR_ABSTRACT, "@", "", 1 },
	{ { "unix:./@name" }, 0, ADDR_UNIX, "./@name", "", 1 },
	{ { "unix:" }, 0, BAD, "", "", 0 },
	{ { "unix:@" }, 0, BAD, "", "", 0 },
	/* vsock. */
	{ { "vsock:3:1234" }, 0, ADDR_VSOCK, "3", "1234", 1 },
	{ { "vsock:local:1" }, 0, ADDR_VSOCK, "1", "1", 1 },
	{ { "vsock:any:1" }, L, ADDR_VSOCK, "4294967295", "1", 1 },
	{ { "vsock:any:1" }, 0, BAD, "", "", 0 },
	{ { "vsock:4294967295:4294967295" }, 0, ADDR_VSOCK, "4294967295",
	    "4294967295", 1 },
	{ { "vsock:4294967296:1" }, 0, BAD, "", "", 0 },
	{ { "vsock:1:4294967296" }, 0, BAD, "", "", 0 },
	{ { "vsock:3" }, 0, BAD, "", "", 0 },
	{ { "vsock:3:" }, 0, BAD, "", "", 0 },
	{ { "vsock::1" }, 0, BAD, "", "", 0 },
	{ { "vsock:" }, 0, BAD, "", "", 0 },
	{ { "vsock:3:4:5" }, 0, BAD, "", "", 0 },
	{ { "vsock:x:1" }, 0, BAD, "", "", 0 },
	{ { "vsock:-1:1" }, 0, BAD, "", "", 0 },
	/* Only these two schemes are schemes. */
	{ { "UNIX:80" }, 0, ADDR_INET, "UNIX", "80", 1 },
	{ { "unix", "80" }, 0, ADDR_INET, "unix", "80", 2 },
	{ { "h", "http" }, N, BAD, "", "", 0 },
};

static bool
matches(const struct addr_case *c, const struct addr *a, bool ok, int used,
    const struct err *e)
{
	if (c->kind == BAD)
		return !ok && e->code == ERR_USAGE && *e->text != '\0';
	return ok && (int)a->kind == c->kind && used == c->used &&
	    strcmp(a->host, c->host) == 0 && strcmp(a->port, c->port) == 0;
}

static void
test_forms(void)
{
	const struct addr_case *c;
	char *operands[OPERANDS_MAX + 1] = { NULL };
	struct err e = { 0 };
	struct addr a;
	size_t i, k;
	int used;
	bool ok;

	for (i = 0; i < COUNT(cases); i++) {
		c = &cases[i];
		for (k = 0; k < OPERANDS_MAX; k++)
			operands[k] = (char *)(uintptr_t)c->operands[k];
		memset(&a, 0xa5, sizeof(a));
		used = 0;
		ok = addr_parse(&a, operands, c->flags, &used, &e);
		if (!tap_ok(matches(c, &a, ok, used, &e),
		    "%s: \"%s\" \"%s\"", c->flags & L ? "listen" : "connect",
		    c->operands[0] != NULL ? c->operands[0] : "",
		    c->operands[1] != NULL ? c->operands[1] : "") && ok)
			tap_note("host \"%.80s\" port \"%.20s\" used %d",
			    a.host, a.port, used);
		err_clear(&e);
	}
}

/* prefix, count times a byte, suffix; the caller frees it. */
static char *
repeat(const char *prefix, char byte, size_t count, const char *suffix)
{
	size_t n = strlen(prefix);
	char *text = malloc(n + count + strlen(suffix) + 1);

	if (text == NULL)
		exit(1);
	memcpy(text, prefix, n);
	memset(text + n, byte, count);
	memcpy(text + n + count, suffix, strlen(suffix) + 1);
	return text;
}

/* One operand, or two if port is given. */
static bool
parse(char *operand, const char *port, int flags, struct addr *a)
{
	char *operands[] = { operand, (char *)(uintptr_t)port, NULL };
	struct err e = { 0 };
	int used;
	bool ok;

	ok = addr_parse(a, operands, flags, &used, &e);
	ok = tap_ok(ok || (e.code == ERR_USAGE &&
	    strlen(e.text) < ERR_TEXT_MAX), "%.20s...: an address or a usage "
	    "error", operand) && ok;
	err_clear(&e);
	return ok;
}

static const struct length_case {
	const char *prefix;
	size_t count;
	const char *suffix, *port;
	bool ok;
} lengths[] = {
	{ "unix:", 107, "", NULL, true },
	{ "unix:", 108, "", NULL, false },
	{ "unix:", 200, "", NULL, false },
	{ "unix:@", 106, "", NULL, true },
	{ "unix:@", 108, "", NULL, false },
	{ "", 255, "", "80", true },
	{ "", 256, "", "80", false },
	{ "", 255, ":80", NULL, true },
	{ "", 256, ":80", NULL, false },
	{ "fe80::1%", 247, "", "80", true },
	{ "fe80::1%", 248, "", "80", false },
	{ "[fe80::1%", 247, "]:80", NULL, true },
	{ "[fe80::1%", 248, "]:80", NULL, false },
	{ "vsock:1", HOSTILE_BYTES, ":1", NULL, false },
	{ "vsock:1:", HOSTILE_BYTES, "", NULL, false },
	{ "h:", HOSTILE_BYTES, "", NULL, false },
	{ "", HOSTILE_BYTES, "", "80", false },
	{ "", HOSTILE_BYTES, "", NULL, false },
	{ "unix:", HOSTILE_BYTES, "", NULL, false },
	{ "unix:@", HOSTILE_BYTES, "", NULL, false },
	{ "[", HOSTILE_BYTES, "]:80", NULL, false },
};

static void
test_lengths(void)
{
	const struct length_case *c;
	char name[ADDR_NAME_MAX], *text;
	struct addr a;
	size_t i;

	for (i = 0; i < COUNT(lengths); i++) {
		c = &lengths[i];
		text = repeat(c->prefix, 'x', c->count, c->suffix);
		tap_int(parse(text, c->port, 0, &a), c->ok,
		    "%s and %zu bytes%s", c->prefix, c->count, c->suffix);
		if (c->ok)
			tap_ok(strstr(addr_name(&a, name), "xxx") != NULL &&
			    strlen(name) < sizeof(name), "its name");
		free(text);
	}
}

/* 64 KiB of one byte, in every place where an operand can have it. */
static void
test_hostile(void)
{
	static const char bytes[] = "0:[]@%.-/x \xff\x1b";
	const char *c;
	char *text, *listening;
	struct addr a;

	for (c = bytes; *c != '\0'; c++) {
		text = repeat("", *c, HOSTILE_BYTES, "");
		listening = repeat(":", *c, HOSTILE_BYTES, "");
		tap_int(parse(text, text, 0, &a), false,
		    "64 KiB of 0x%02x as both operands", (unsigned char)*c);
		tap_int(parse(listening, NULL, L, &a), *c == '0',
		    "and as the port to listen at");
		free(text);
		free(listening);
	}
}

/* A service is known if the system knows it, under its protocol. */
static void
test_service(const char *name, int flags, const char *protocol)
{
	const struct servent *s = getservbyname(name, protocol);
	char port[ADDR_PORT_MAX] = "", expected[ADDR_PORT_MAX] = "";
	bool ok;

	if (s != NULL)
		(void)snprintf(expected, sizeof(expected), "%u",
		    (unsigned)ntohs((uint16_t)s->s_port));
	ok = addr_parse_port(name, flags, port);
	tap_ok(ok == (s != NULL) && strcmp(port, expected) == 0,
	    "service %s/%s", name, protocol);
}

static void
test_ports(void)
{
	char port[ADDR_PORT_MAX], *text;

	test_service("http", 0, "tcp");
	test_service("tftp", ADDR_DATAGRAM, "udp");
	test_service("tftp", 0, "tcp");
	test_service("no-such-service", 0, "tcp");
	tap_ok(!addr_parse_port("http", N, port), "no service with -n");
	tap_ok(addr_parse_port("00", 0, port) && strcmp(port, "0") == 0,
	    "port 00 is 0");
	tap_ok(!addr_parse_port("", 0, port), "no empty port");
	text = repeat("", '0', HOSTILE_BYTES, "7");
	tap_ok(addr_parse_port(text, 0, port) && strcmp(port, "7") == 0,
	    "leading zeros are no matter");
	free(text);
}

static void
test_names(void)
{
	static const struct name_case {
		struct addr a;
		const char *name;
	} names[] = {
		{ { ADDR_INET, "192.0.2.7", "80" }, "192.0.2.7 port 80" },
		{ { ADDR_INET, "::1", "80" }, "::1 port 80" },
		{ { ADDR_INET, "", "9000" }, "port 9000" },
		{ { ADDR_UNIX, "/run/x", "" }, "unix:/run/x" },
		{ { ADDR_ABSTRACT, "name", "" }, "unix:@name" },
		{ { ADDR_VSOCK, "3", "7" }, "vsock 3 port 7" },
	};
	char buf[ADDR_NAME_MAX];
	size_t i;

	for (i = 0; i < COUNT(names); i++)
		tap_text(addr_name(&names[i].a, buf), names[i].name,
		    "name %s", names[i].name);
}

int
main(void)
{
	tap_start();
	test_forms();
	test_lengths();
	test_hostile();
	test_ports();
	test_names();
	return tap_done();
}
