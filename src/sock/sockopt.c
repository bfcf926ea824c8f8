#include "sock/sockopt.h"
#include "sock/sockopt_impl.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/parse.h"

enum {
	DSCP_MAX = 63,
	GROUP_TEXT_MAX = 128,
	ALL = SOCKOPT_LISTEN | SOCKOPT_CONNECT | SOCKOPT_ACCEPTED,
	BOTH_ENDS = SOCKOPT_CONNECT | SOCKOPT_ACCEPTED,
	BEFORE = SOCKOPT_LISTEN | SOCKOPT_CONNECT,
};

static const struct sockopt_def portable[] = {
	{ "nodelay", FORM_BOOL, BOTH_ENDS, IPPROTO_TCP, TCP_NODELAY,
	    INET_ONLY, 0, 0, 0, "send small segments at once" },
	{ "keepalive", FORM_BOOL, BOTH_ENDS, SOL_SOCKET, SO_KEEPALIVE,
	    ANY_FAMILY, 0, 0, 0, "probe an idle connection" },
	{ "rcvbuf", FORM_NUMBER, ALL, SOL_SOCKET, SO_RCVBUF,
	    ANY_FAMILY, 0, 0, 0, "receive buffer, bytes" },
	{ "sndbuf", FORM_NUMBER, ALL, SOL_SOCKET, SO_SNDBUF,
	    ANY_FAMILY, 0, 0, 0, "send buffer, bytes" },
	{ "linger", FORM_SECONDS, SOCKOPT_CLOSE, SOL_SOCKET, SO_LINGER,
	    INET_ONLY, 0, 0, 0, "seconds that the final close may wait" },
	{ "mss", FORM_NUMBER, BEFORE, IPPROTO_TCP, TCP_MAXSEG,
	    INET_ONLY, 0, 0, 0, "largest TCP segment, bytes" },
	{ "ttl", FORM_NUMBER, ALL, IPPROTO_IP, IP_TTL,
	    IPPROTO_IPV6, IPV6_UNICAST_HOPS, 0, 0, "time to live, hop limit" },
	{ "reuseaddr", FORM_BOOL, BEFORE, SOL_SOCKET, SO_REUSEADDR,
	    ANY_FAMILY, 0, 0, 0, "bind in spite of TIME_WAIT (TCP: set)" },
	{ "broadcast", FORM_BOOL, BEFORE, SOL_SOCKET, SO_BROADCAST,
	    ANY_FAMILY, 0, 0, 0, "allow datagrams to a broadcast address" },
	{ "multicast-ttl", FORM_NUMBER, BEFORE, IPPROTO_IP, IP_MULTICAST_TTL,
	    IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 0, 0, "hops of multicasts" },
	{ "multicast-loop", FORM_BOOL, BEFORE, IPPROTO_IP, IP_MULTICAST_LOOP,
	    IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, 0,
	    "multicasts reach this machine too" },
};

enum { PORTABLE_COUNT = sizeof(portable) / sizeof(portable[0]) };

static const char *const form_names[] = {
	[FORM_NUMBER] = "NUMBER",
	[FORM_BOOL] = "on|off",
	[FORM_DSCP] = "0..63",
	[FORM_SECONDS] = "SECONDS",
	[FORM_TEXT] = "NAME",
	[FORM_FRAGMENT] = "on|off",
	[FORM_GROUP] = "GROUP[%INTERFACE]",
	[FORM_PROTOCOL] = "on|off",
};

static const struct sockopt_def *
row(size_t i)
{
	if (i < PORTABLE_COUNT)
		return &portable[i];
	i -= PORTABLE_COUNT;
	return i < sockopt_platform_count ? &sockopt_platform[i] : NULL;
}

bool
sockopt_describe(size_t *i, const char **name, const char **form,
    const char **help)
{
	const struct sockopt_def *def;

	do
		def = row((*i)++);
	while (def != NULL && def->help == NULL);
	if (def == NULL)
		return false;
	*name = def->name;
	*form = form_names[def->form];
	*help = def->help;
	return true;
}

/* The value as the number that the kernel takes; false if it has no such. */
static bool
parse_value(const struct sockopt_def *def, const char *text, int *out)
{
	uint64_t n = 0;
	bool on = false;

	switch (def->form) {
	case FORM_NUMBER:
	case FORM_SECONDS:
		if (!parse_number(text, 0, INT_MAX, &n))
			return false;
		break;
	case FORM_DSCP:
		if (!parse_number(text, 0, DSCP_MAX, &n))
			return false;
		n <<= 2;
		break;
	case FORM_BOOL:
		if (!parse_bool(text, &on))
			return false;
		n = on;
		break;
	case FORM_FRAGMENT:
	case FORM_PROTOCOL:
		if (!parse_bool(text, &on))
			return false;
		n = (uint64_t)(on ? def->on : def->off);
		break;
	case FORM_TEXT:
		if (*text == '\0')
			return false;
		break;
	case FORM_GROUP:
		if (*text == '\0' || strlen(text) >= GROUP_TEXT_MAX)
			return false;
		break;
	}
	*out = (int)n;
	return true;
}

bool
sockopt_list_add(struct sockopt_list *list, const char *text)
{
	const struct sockopt_def *def;
	const char *equals = strchr(text, '=');
	size_t i, len;
	bool found = false;
	int value;

	if (strcmp(text, "help") == 0) {
		list->help = true;
		return true;
	}
	if (equals == NULL)
		return false;
	len = (size_t)(equals - text);
	for (i = 0; (def = row(i)) != NULL; i++) {
		if (strlen(def->name) != len ||
		    strncmp(def->name, text, len) != 0)
			continue;
		if (list->count == SOCKOPT_LIST_MAX ||
		    !parse_value(def, equals + 1, &value))
			return false;
		list->items[list->count].def = def;
		list->items[list->count++].value = equals + 1;
		found = true;
	}
	return found;
}

/* Where a row applies to a family; false if it does not. */
static bool
locate(const struct sockopt_def *def, int family, int *level, int *option)
{
	bool inet = family == AF_INET || family == AF_INET6;

	*level = def->level;
	*option = def->option;
	if (def->level6 == ANY_FAMILY)
		return true;
	if (family == AF_INET6 && def->level6 != INET_ONLY) {
		*level = def->level6;
		*option = def->option6;
	}
	return inet;
}

/* "GROUP" or "GROUP%INTERFACE" (RFC 3678); false with errno. */
static bool
parse_group(const char *text, struct group_req *req)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST,
	    .ai_socktype = SOCK_DGRAM };
	struct addrinfo *ai = NULL;
	char group[GROUP_TEXT_MAX];
	char *zone;

	memset(req, 0, sizeof(*req));
	(void)snprintf(group, sizeof(group), "%s", text);
	zone = strchr(group, '%');
	if (zone != NULL) {
		*zone = '\0';
		req->gr_interface = if_nametoindex(zone + 1);
		if (req->gr_interface == 0)
			return false;
	}
	if (getaddrinfo(group, NULL, &hints, &ai) != 0) {
		errno = EINVAL;
		return false;
	}
	memcpy(&req->gr_group, ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(ai);
	return true;
}

/* AF_UNSPEC if it is no group at all. */
static int
group_family(const char *text)
{
	struct group_req req;

	return parse_group(text, &req) ? req.gr_group.ss_family : AF_UNSPEC;
}

/* Join a multicast group; one of the other family is none of ours. */
static int
join_group(int fd, int family, const char *text)
{
	struct group_req req;

	if (!parse_group(text, &req))
		return -1;
	if (req.gr_group.ss_family != family)
		return 0;
	return setsockopt(fd, family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP,
	    MCAST_JOIN_GROUP, &req, sizeof(req));
}

static int
set_one(const struct sockopt_item *item, int fd, int family)
{
	const struct sockopt_def *def = item->def;
	struct linger linger = { .l_onoff = 1 };
	int level, option, value = 0;

	if (!locate(def, family, &level, &option)) {
		errno = EOPNOTSUPP;
		return -1;
	}
	(void)parse_value(def, item->value, &value);
	switch (def->form) {
	case FORM_NUMBER:
	case FORM_BOOL:
	case FORM_DSCP:
	case FORM_FRAGMENT:
		return setsockopt(fd, level, option, &value, sizeof(value));
	case FORM_SECONDS:
		linger.l_linger = value;
		return setsockopt(fd, level, option, &linger, sizeof(linger));
	case FORM_TEXT:
		return setsockopt(fd, level, option, item->value,
		    (socklen_t)strlen(item->value));
	case FORM_GROUP:
		return join_group(fd, family, item->value);
	case FORM_PROTOCOL:
		break;
	}
	return 0;
}

bool
sockopt_apply(const struct sockopt_list *list, enum sockopt_stage stage,
    int fd, int family, const char *who, struct err *e)
{
	const struct sockopt_item *item;
	size_t i;

	for (i = 0; i < list->count; i++) {
		item = &list->items[i];
		if (!(item->def->stages & stage))
			continue;
		if (set_one(item, fd, family) != 0) {
			err_set(e, ERR_USAGE, errno, who, "--sockopt %s=%.60s",
			    item->def->name, item->value);
			return false;
		}
	}
	return true;
}

bool
sockopt_list_has(const struct sockopt_list *list, const char *prefix)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (strncmp(list->items[i].def->name, prefix,
		    strlen(prefix)) == 0)
			return true;
	return false;
}

/* A name can have a row for each role: one of them has to match. */
static bool
is_of_role(const struct sockopt_list *list, const char *name, bool listens)
{
	unsigned role = SOCKOPT_CREATE | SOCKOPT_CLOSE | (listens ?
	    SOCKOPT_LISTEN | SOCKOPT_ACCEPTED : SOCKOPT_CONNECT);
	size_t i;

	for (i = 0; i < list->count; i++)
		if (strcmp(list->items[i].def->name, name) == 0 &&
		    (list->items[i].def->stages & role))
			return true;
	return false;
}

static bool
does_something(const struct sockopt_item *item,
    const struct sockopt_kind *kind)
{
	bool of_tcp;
	int level, option;

	if (!locate(item->def, kind->family, &level, &option))
		return false;
	of_tcp = level == IPPROTO_TCP || item->def->form == FORM_SECONDS;
	if (of_tcp && kind->datagram)
		return false;
	return item->def->form != FORM_GROUP || kind->both_families ||
	    group_family(item->value) == kind->family;
}

bool
sockopt_check(const struct sockopt_list *list,
    const struct sockopt_kind *kind, const char *who, struct err *e)
{
	const struct sockopt_item *item;
	size_t i;

	for (i = 0; i < list->count; i++) {
		item = &list->items[i];
		if (is_of_role(list, item->def->name, kind->listens) &&
		    does_something(item, kind))
			continue;
		err_set(e, ERR_USAGE, 0, who,
		    "--sockopt %s is not for this kind of socket",
		    item->def->name);
		return false;
	}
	return true;
}

int
sockopt_protocol(const struct sockopt_list *list)
{
	int protocol = 0;
	size_t i;

	for (i = 0; i < list->count; i++)
		if (list->items[i].def->form == FORM_PROTOCOL)
			(void)parse_value(list->items[i].def,
			    list->items[i].value, &protocol);
	return protocol;
}
