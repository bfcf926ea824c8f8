/* Lists of ports, and addresses with a list in place of the port. */
#include "sock/ports.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"

enum {
	ITEM_MAX = 2 * ADDR_PORT_MAX,
	SHOWN_MAX = 60,		/* of a wrong operand, in a message */
};

static void
add(struct ports *p, unsigned port)
{
	uint32_t bit = UINT32_C(1) << (port % 32);

	p->count += (p->bits[port / 32] & bit) == 0;
	p->bits[port / 32] |= bit;
}

/* "20-25"; modifies text. False: it is none, or out of order. */
static bool
parse_range(char *text, uint64_t *first, uint64_t *last)
{
	char *dash = strchr(text, '-');

	if (dash == NULL)
		return false;
	*dash = '\0';
	return parse_number(text, 1, PORTS_MAX, first) &&
	    parse_number(dash + 1, *first, PORTS_MAX, last);
}

/* A number, a range or a service; names may begin with digits, have dashes. */
static bool
parse_item(struct ports *p, const char *item, size_t len, int flags)
{
	char text[ITEM_MAX], number[ADDR_PORT_MAX];
	uint64_t port, first, last;

	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, item, len);
	text[len] = '\0';
	if (addr_parse_port(text, flags, number)) {
		if (!parse_number(number, 1, PORTS_MAX, &port))
			return false;
		first = last = port;
	} else if (!parse_range(text, &first, &last))
		return false;
	for (; first <= last; first++)
		add(p, (unsigned)first);
	return true;
}

bool
ports_parse(struct ports *p, const char *list, int flags, struct err *e)
{
	const char *item = list;
	size_t len;

	memset(p, 0, sizeof(*p));
	for (;; item += len + 1) {
		len = strcspn(item, ",");
		if (!parse_item(p, item, len, flags)) {
			err_set(e, ERR_USAGE, 0, "", "not a list of ports "
			    "(1 to 65535, ranges, services): %.*s%s",
			    SHOWN_MAX, list,
			    strlen(list) > SHOWN_MAX ? "..." : "");
			return false;
		}
		if (item[len] == '\0')
			return true;
	}
}

unsigned
ports_next(const struct ports *p, unsigned above)
{
	unsigned port;

	for (port = above + 1; port <= PORTS_MAX; port++) {
		if (p->bits[port / 32] == 0)
			port |= 31;
		else if (p->bits[port / 32] & UINT32_C(1) << (port % 32))
			return port;
	}
	return 0;
}

/* Where the list begins in an operand that has its host as well; or NULL. */
static const char *
list_in(const char *s)
{
	const char *colon;

	if (*s == '[') {
		colon = strchr(s, ']');
		return colon != NULL && colon[1] == ':' ? colon + 2 : NULL;
	}
	colon = strchr(s, ':');
	return colon != NULL && strchr(colon + 1, ':') == NULL ? colon + 1 :
	    NULL;
}

bool
ports_parse_address(struct addr *a, struct ports *p, char *const *operands,
    int flags, int *used, struct err *e)
{
	char host[ADDR_HOST_MAX + 8], any[] = "1", *both[3] = { NULL };
	const char *s = operands[0], *list = NULL;

	p->count = 0;
	if (s == NULL || strncmp(s, "unix:", 5) == 0 ||
	    strncmp(s, "vsock:", 6) == 0)
		return addr_parse(a, operands, flags, used, e);
	both[0] = operands[0];
	list = list_in(s);
	if (list == NULL) {
		list = operands[1];
		if (list == NULL)
			return addr_parse(a, operands, flags, used, e);
		both[1] = any;
	} else if ((size_t)(list - s) + sizeof(any) <= sizeof(host)) {
		/* The host with some port: addr_parse knows what it may be. */
		memcpy(host, s, (size_t)(list - s));
		memcpy(host + (list - s), any, sizeof(any));
		both[0] = host;
	}
	if (!addr_parse(a, both, flags, used, e) ||
	    !ports_parse(p, list, flags, e))
		return false;
	(void)snprintf(a->port, sizeof(a->port), "%u", ports_next(p, 0));
	return true;
}
