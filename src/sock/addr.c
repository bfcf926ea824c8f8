#include "sock/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

enum {
	PORT_MAX = 65535,
	SHOWN_MAX = 60,		/* of a wrong operand, in a message */
};

static bool
usage(struct err *e, const char *what, const char *operand)
{
	err_set(e, ERR_USAGE, 0, "", "%s: %.*s%s", what, SHOWN_MAX, operand,
	    strlen(operand) > SHOWN_MAX ? "..." : "");
	return false;
}

static bool
all_digits(const char *s)
{
	return *s != '\0' && s[strspn(s, "0123456789")] == '\0';
}

bool
addr_parse_port(const char *text, int flags, char *out)
{
	struct servent *service;
	uint64_t n;

	if (!parse_number(text, 0, PORT_MAX, &n)) {
		if (*text == '\0' || all_digits(text) ||
		    strlen(text) >= ADDR_PORT_MAX || (flags & ADDR_NUMERIC))
			return false;
		service = getservbyname(text,
		    flags & ADDR_DATAGRAM ? "udp" : "tcp");
		if (service == NULL)
			return false;
		n = ntohs((uint16_t)service->s_port);
	}
	(void)snprintf(out, ADDR_PORT_MAX, "%u", (unsigned)n);
	return true;
}

/* An IPv6 literal, with or without its zone. */
static bool
is_ipv6(const char *s, size_t len)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr in6;
	const char *zone;
	size_t n;

	zone = memchr(s, '%', len);
	n = zone != NULL ? (size_t)(zone - s) : len;
	if (n >= sizeof(text))
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	return inet_pton(AF_INET6, text, &in6) == 1;
}

static bool
set_host_port(struct addr *a, const char *host, size_t len, const char *port,
    int flags, struct err *e)
{
	if (len >= sizeof(a->host))
		return usage(e, "host name too long", host);
	if (memchr(host, ':', len) != NULL && !is_ipv6(host, len))
		return usage(e, "not an IPv6 address", host);
	a->kind = ADDR_INET;
	memcpy(a->host, host, len);
	a->host[len] = '\0';
	if (!addr_parse_port(port, flags, a->port))
		return usage(e, "not a port (0 to 65535, or a service)", port);
	return true;
}

static bool
parse_unix(struct addr *a, const char *path, struct err *e)
{
	size_t len = strlen(path);
	bool abstract = *path == '@';

	if (len == 0 || (abstract && len == 1))
		return usage(e, "no path behind", "unix:");
	if (len > ADDR_PATH_MAX) {
		err_set(e, ERR_USAGE, 0, "",
		    "UNIX socket path too long (%zu bytes, at most %d)", len,
		    ADDR_PATH_MAX);
		return false;
	}
	a->kind = abstract ? ADDR_ABSTRACT : ADDR_UNIX;
	memcpy(a->host, abstract ? path + 1 : path, len + 1 - abstract);
	return true;
}

/* CID:PORT, both 32 bits wide; "any" for VMADDR_CID_ANY, "local" for 1. */
static bool
parse_vsock(struct addr *a, const char *text, bool listening, struct err *e)
{
	const char *colon = strchr(text, ':');
	uint64_t n;
	size_t len;

	if (colon == NULL || (size_t)(colon - text) >= sizeof(a->port))
		return usage(e, "not vsock:CID:PORT", text);
	len = (size_t)(colon - text);
	memcpy(a->host, text, len);
	a->host[len] = '\0';
	if (strcmp(a->host, "any") == 0 && listening)
		(void)snprintf(a->host, sizeof(a->host), "%u", UINT32_MAX);
	else if (strcmp(a->host, "local") == 0)
		(void)snprintf(a->host, sizeof(a->host), "1");
	if (!parse_number(a->host, 0, UINT32_MAX, &n) ||
	    !parse_number(colon + 1, 0, UINT32_MAX, &n))
		return usage(e, "not vsock:CID:PORT", text);
	a->kind = ADDR_VSOCK;
	(void)snprintf(a->port, sizeof(a->port), "%u", (unsigned)n);
	return true;
}

/* [IPV6]:PORT */
static bool
parse_bracketed(struct addr *a, const char *s, int flags, struct err *e)
{
	const char *end = strchr(s, ']');

	if (end == NULL || end[1] != ':' || !is_ipv6(s + 1,
	    (size_t)(end - s - 1)))
		return usage(e, "not [IPV6]:PORT", s);
	return set_host_port(a, s + 1, (size_t)(end - s - 1), end + 2, flags,
	    e);
}

bool
addr_parse(struct addr *a, char *const *operands, int flags, int *used,
    struct err *e)
{
	const char *s = operands[0], *colon;

	*used = 1;
	if (s == NULL) {
		err_set(e, ERR_USAGE, 0, "", "no address given");
		return false;
	}
	memset(a, 0, sizeof(*a));
	if (strncmp(s, "unix:", 5) == 0)
		return parse_unix(a, s + 5, e);
	if (strncmp(s, "vsock:", 6) == 0)
		return parse_vsock(a, s + 6, flags & ADDR_LISTENING, e);
	if (*s == '[')
		return parse_bracketed(a, s, flags, e);
	colon = strchr(s, ':');
	if (colon != NULL && strchr(colon + 1, ':') == NULL) {
		if (colon == s && !(flags & ADDR_LISTENING))
			return usage(e, "no host in", s);
		return set_host_port(a, s, (size_t)(colon - s), colon + 1,
		    flags, e);
	}
	if ((flags & ADDR_LISTENING) && (all_digits(s) ||
	    (colon == NULL && operands[1] == NULL)))
		return set_host_port(a, "", 0, s, flags, e);
	if (*s == '\0')
		return usage(e, "empty host name", s);
	if (operands[1] == NULL)
		return usage(e, "no port behind host", s);
	*used = 2;
	return set_host_port(a, s, strlen(s), operands[1], flags, e);
}

char *
addr_name(const struct addr *a, char *buf)
{
	switch (a->kind) {
	case ADDR_INET:
		(void)snprintf(buf, ADDR_NAME_MAX, "%s%sport %s", a->host,
		    *a->host != '\0' ? " " : "", a->port);
		break;
	case ADDR_UNIX:
		(void)snprintf(buf, ADDR_NAME_MAX, "unix:%s", a->host);
		break;
	case ADDR_ABSTRACT:
		(void)snprintf(buf, ADDR_NAME_MAX, "unix:@%s", a->host);
		break;
	case ADDR_VSOCK:
		(void)snprintf(buf, ADDR_NAME_MAX, "vsock %s port %s",
		    a->host, a->port);
		break;
	}
	return buf;
}
