/* Lists of ports: what is taken, what is refused, and in which order. */
#include "sock/ports.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum { HOSTILE_BYTES = 64 * 1024 };

/* The set as text: "20 21 80"; long ones are shortened to their ends. */
static const char *
show(const struct ports *p, char *buf, size_t size)
{
	unsigned port, i = 0;
	size_t n = 0;

	buf[0] = '\0';
	for (port = ports_next(p, 0); port != 0; port = ports_next(p, port))
		if (++i < 8 || i == p->count)
			n += (size_t)snprintf(buf + n, size - n, "%s%u",
			    n > 0 ? " " : "", port);
	if (i != p->count)
		(void)snprintf(buf, size, "%u and not %zu", i, p->count);
	return buf;
}

static const struct list_case {
	const char *list;
	size_t count;		/* 0: refused */
	const char *ports;
} lists[] = {
	{ "1", 1, "1" },
	{ "65535", 1, "65535" },
	{ "0000080", 1, "80" },
	{ "20-25", 6, "20 21 22 23 24 25" },
	{ "25-25", 1, "25" },
	{ "31-33", 3, "31 32 33" },
	{ "63-64", 2, "63 64" },
	{ "1-65535", 65535, "1 2 3 4 5 6 7 65535" },
	{ "443,80,22", 3, "22 80 443" },
	{ "80,80,80", 1, "80" },
	{ "20-25,80,443", 8, "20 21 22 23 24 25 80 443" },
	{ "5-7,6-9,1,8", 6, "1 5 6 7 8 9" },
	{ "1-65535,1-65535,7", 65535, "1 2 3 4 5 6 7 65535" },
	{ "65534-65535", 2, "65534 65535" },
	{ "", 0, "" },
	{ ",", 0, "" },
	{ "80,", 0, "" },
	{ ",80", 0, "" },
	{ "80,,81", 0, "" },
	{ "0", 0, "" },
	{ "0-5", 0, "" },
	{ "65536", 0, "" },
	{ "65530-65536", 0, "" },
	{ "99999", 0, "" },
	{ "18446744073709551617", 0, "" },
	{ "5-3", 0, "" },
	{ "5-", 0, "" },
	{ "-5", 0, "" },
	{ "-", 0, "" },
	{ "1-2-3", 0, "" },
	{ "1--3", 0, "" },
	{ "1 -3", 0, "" },
	{ "80, 81", 0, "" },
	{ "80 81", 0, "" },
	{ "+80", 0, "" },
	{ "0x50", 0, "" },
	{ "80\n", 0, "" },
	{ "80;81", 0, "" },
	{ "no-such-service", 0, "" },
	{ "80,no-such-service", 0, "" },
};

static void
test_lists(void)
{
	const struct list_case *c;
	struct err e = { 0 };
	struct ports p;
	char text[256];
	size_t i;
	bool ok;

	for (i = 0; i < COUNT(lists); i++) {
		c = &lists[i];
		ok = ports_parse(&p, c->list, 0, &e);
		tap_ok(ok == (c->count > 0) && (ok ? e.code == ERR_NONE :
		    e.code == ERR_USAGE), "list \"%s\"", c->list);
		if (ok) {
			tap_int((long long)p.count, (long long)c->count,
			    "how many are in \"%s\"", c->list);
			tap_text(show(&p, text, sizeof(text)), c->ports,
			    "the ports of \"%s\"", c->list);
		}
		err_clear(&e);
	}
}

static bool
services_are_there(void)
{
	return getservbyname("http-alt", "tcp") != NULL &&
	    getservbyname("tftp", "udp") != NULL;
}

static void
test_services(void)
{
	struct err e = { 0 };
	struct ports p;
	char text[64];

	if (!services_are_there()) {
		tap_skip("no /etc/services", "services");
		return;
	}
	tap_ok(ports_parse(&p, "ssh,http-alt,20-21", 0, &e) &&
	    strcmp(show(&p, text, sizeof(text)), "20 21 22 8080") == 0,
	    "services, one with a dash");
	tap_ok(ports_parse(&p, "tftp", ADDR_DATAGRAM, &e) &&
	    ports_next(&p, 0) == 69, "a service of UDP");
	tap_ok(!ports_parse(&p, "ssh", ADDR_NUMERIC, &e),
	    "no services where all is numeric");
	tap_ok(!ports_parse(&p, "ftp-ssh", 0, &e), "no ranges of services");
	err_clear(&e);
}

/* Long operands: taken or refused, but never more than what they are. */
static void
test_hostile(void)
{
	static char list[HOSTILE_BYTES + 1], host[HOSTILE_BYTES + 3];
	char *operands[] = { host, NULL, NULL };
	struct err e = { 0 };
	struct ports p;
	struct addr a;
	size_t i;
	int used;

	memset(list, ',', HOSTILE_BYTES);
	for (i = 0; i < HOSTILE_BYTES; i += 2)
		list[i] = '7';
	list[HOSTILE_BYTES - 1] = '7';
	tap_ok(ports_parse(&p, list, 0, &e) && p.count == 2,
	    "64 KiB of sevens");
	memset(list, '9', HOSTILE_BYTES);
	tap_ok(!ports_parse(&p, list, 0, &e), "a number of 64 KiB");
	memset(list, '0', HOSTILE_BYTES);
	memset(list, '-', 1);
	tap_ok(!ports_parse(&p, list, 0, &e), "a range of 64 KiB");
	memset(list, 'x', HOSTILE_BYTES);
	tap_ok(!ports_parse(&p, list, 0, &e), "a service of 64 KiB");
	memset(host, 'h', HOSTILE_BYTES);
	memcpy(host + HOSTILE_BYTES, ":1", 3);
	tap_ok(!ports_parse_address(&a, &p, operands, 0, &used, &e),
	    "a host of 64 KiB");
	operands[1] = list;
	host[HOSTILE_BYTES] = '\0';
	tap_ok(!ports_parse_address(&a, &p, operands, 0, &used, &e),
	    "a host and a list of 64 KiB");
	err_clear(&e);
}

static const struct address_case {
	const char *first, *second;
	int used;		/* 0: refused */
	enum addr_kind kind;
	const char *host;
	const char *ports;
} addresses[] = {
	{ "192.0.2.7", "22,80", 2, ADDR_INET, "192.0.2.7", "22 80" },
	{ "192.0.2.7:22,80", "more", 1, ADDR_INET, "192.0.2.7", "22 80" },
	{ "host", "7-9", 2, ADDR_INET, "host", "7 8 9" },
	{ "::1", "7", 2, ADDR_INET, "::1", "7" },
	{ "[::1]:7-8", NULL, 1, ADDR_INET, "::1", "7 8" },
	{ "fe80::1%eth0", "7", 2, ADDR_INET, "fe80::1%eth0", "7" },
	{ "unix:/run/x,7", "y", 1, ADDR_UNIX, "/run/x,7", "" },
	{ "unix:@x", NULL, 1, ADDR_ABSTRACT, "x", "" },
	{ "vsock:2:7", NULL, 1, ADDR_VSOCK, "2", "" },
	{ "host:", NULL, 0, ADDR_INET, "", "" },
	{ ":7", NULL, 0, ADDR_INET, "", "" },
	{ "7", NULL, 0, ADDR_INET, "", "" },
	{ "host", NULL, 0, ADDR_INET, "", "" },
	{ "host", "", 0, ADDR_INET, "", "" },
	{ "", "7", 0, ADDR_INET, "", "" },
	{ NULL, NULL, 0, ADDR_INET, "", "" },
	{ "host", "9-7", 0, ADDR_INET, "", "" },
	{ "host:9-7", NULL, 0, ADDR_INET, "", "" },
	{ "[::1]", "7", 0, ADDR_INET, "", "" },
	{ "[::1]7", "7", 0, ADDR_INET, "", "" },
	{ "[host]:7", NULL, 0, ADDR_INET, "", "" },
	{ "1:2:3", "7", 0, ADDR_INET, "", "" },
	{ "vsock:2:7-9", NULL, 0, ADDR_INET, "", "" },
};

static void
test_addresses(void)
{
	const struct address_case *c;
	char first[64], second[64], text[64];
	struct err e = { 0 };
	struct ports p;
	struct addr a;
	size_t i;
	int used;
	bool ok;

	for (i = 0; i < COUNT(addresses); i++) {
		c = &addresses[i];
		(void)snprintf(first, sizeof(first), "%s",
		    c->first != NULL ? c->first : "");
		(void)snprintf(second, sizeof(second), "%s",
		    c->second != NULL ? c->second : "");
		char *operands[] = { c->first != NULL ? first : NULL,
		    c->second != NULL ? second : NULL, NULL };

		ok = ports_parse_address(&a, &p, operands, 0, &used, &e);
		tap_ok(ok == (c->used > 0) && (ok ? used == c->used &&
		    a.kind == c->kind : e.code == ERR_USAGE),
		    "address \"%s\" \"%s\"", first, second);
		if (ok) {
			tap_text(a.host, c->host, "its host");
			tap_text(p.count > 0 ? show(&p, text, sizeof(text)) :
			    "", c->ports, "its ports");
		}
		err_clear(&e);
	}
}

int
main(void)
{
	tap_start();
	test_lists();
	test_services();
	test_hostile();
	test_addresses();
	return tap_done();
}
