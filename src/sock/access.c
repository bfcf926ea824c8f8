/* Who may be a client. */
#include "sock/access.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/intr.h"
#include "base/parse.h"
#include "sock/impl.h"
#include "sock/resolve.h"

enum {
	IPV4_BITS = 32,
	IPV6_BITS = 128,
	MAPPED_BITS = IPV6_BITS - IPV4_BITS,	/* of ::ffff:0:0/96 */
	ADDRESS_BYTES = IPV6_BITS / 8,
	ADDRESS_TEXT_MAX = 64,			/* more than any address */
	SHOWN_MAX = 80,				/* of a bad line */
	FIRST_SIZE = 16,
};

struct net {
	bool allow, ipv6;
	unsigned prefix;
	unsigned char bytes[ADDRESS_BYTES];
};

struct host {
	bool allow;
	char *name;		/* malloc */
};

struct access_list {
	struct net *nets;
	size_t net_count, net_size;
	struct host *hosts;			/* to be looked up */
	size_t host_count, host_size;
	bool allows;
};

static const unsigned char mapped[MAPPED_BITS / 8] = { [10] = 0xff, 0xff };

/* Room for one more element in an array that doubles. */
static bool
grow(void **array, size_t count, size_t *size, size_t each, struct err *e)
{
	size_t more = *size > 0 ? *size * 2 : FIRST_SIZE;
	void *p;

	if (count < *size)
		return true;
	p = realloc(*array, more * each);
	if (p == NULL) {
		err_no_memory(e);
		return false;
	}
	*array = p;
	*size = more;
	return true;
}

static bool
add_net(struct access_list *l, const struct net *net, struct err *e)
{
	void *nets = l->nets;

	if (!grow(&nets, l->net_count, &l->net_size, sizeof(*net), e))
		return false;
	l->nets = nets;
	l->nets[l->net_count++] = *net;
	return true;
}

static bool
add_host(struct access_list *l, bool allow, const char *name, struct err *e)
{
	void *hosts = l->hosts;
	struct host *host;

	if (!grow(&hosts, l->host_count, &l->host_size, sizeof(*l->hosts), e))
		return false;
	l->hosts = hosts;
	host = &l->hosts[l->host_count];
	host->allow = allow;
	host->name = strdup(name);
	if (host->name == NULL) {
		err_no_memory(e);
		return false;
	}
	l->host_count++;
	return true;
}

static bool
bits_equal(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(a, b, whole) == 0 && (rest == 0 ||
	    (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

/* Is nothing set behind the prefix? */
static bool
is_network(const struct net *net)
{
	struct net zero = *net;
	unsigned whole = net->prefix / 8, rest = net->prefix % 8;

	if (net->prefix == IPV6_BITS)
		return true;
	memset(zero.bytes + whole, 0, sizeof(zero.bytes) - whole);
	if (rest > 0)
		zero.bytes[whole] = (unsigned char)(net->bytes[whole] &
		    (0xff00 >> rest));
	return memcmp(zero.bytes, net->bytes, sizeof(zero.bytes)) == 0;
}

/* IPv4 in IPv6 is IPv4. */
static void
unmap(struct net *net)
{
	if (!net->ipv6 || net->prefix < MAPPED_BITS ||
	    memcmp(net->bytes, mapped, sizeof(mapped)) != 0)
		return;
	net->ipv6 = false;
	net->prefix -= MAPPED_BITS;
	memmove(net->bytes, net->bytes + sizeof(mapped), IPV4_BITS / 8);
	memset(net->bytes + IPV4_BITS / 8, 0, sizeof(mapped));
}

/* What it is that cannot be a network. */
static const char *
parse_net(const char *text, struct net *net)
{
	char address[ADDRESS_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	uint64_t prefix;

	if (len >= sizeof(address))
		return "no address";
	memcpy(address, text, len);
	address[len] = '\0';
	if (inet_pton(AF_INET6, address, net->bytes) == 1)
		net->ipv6 = true;
	else if (inet_pton(AF_INET, address, net->bytes) != 1)
		return strchr(address, '%') != NULL ?
		    "a network has no zone" : "no address";
	prefix = net->ipv6 ? IPV6_BITS : IPV4_BITS;
	if (slash != NULL && !parse_number(slash + 1, 0, prefix, &prefix))
		return net->ipv6 ? "a prefix is from 0 to 128" :
		    "a prefix is from 0 to 32";
	net->prefix = (unsigned)prefix;
	if (!is_network(net))
		return "the address has bits set behind the prefix";
	unmap(net);
	return NULL;
}

/*
 * Would inet_aton(3), which the look-up asks first, take it for a number? So
 * an address that went wrong ("192.0.2", "0x7f.1") is not another one.
 */
static bool
ends_in_number(const char *text)
{
	const char *dot = strrchr(text, '.');
	const char *label = dot != NULL ? dot + 1 : text;

	return strspn(label, "0123456789") == strlen(label) ||
	    (label[0] == '0' && (label[1] == 'x' || label[1] == 'X'));
}

/* Letters, digits and what else stands in names, of any language. */
static bool
is_name(const char *text)
{
	const char *c;

	if (strlen(text) >= ADDR_HOST_MAX || *text == '-')
		return false;
	for (c = text; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c) && strchr("-._", *c) == NULL &&
		    (unsigned char)*c < 0x80)
			return false;
	return !ends_in_number(text);
}

/* where: "", or a file and its line, which the reason begins with. */
static bool
add_one(struct access_list *l, bool allow, const char *text,
    const char *where, struct err *e)
{
	struct net net = { .allow = allow };
	const char *cause;

	cause = parse_net(text, &net);
	if (cause == NULL) {
		if (!add_net(l, &net, e))
			return false;
	} else if (is_name(text)) {
		if (!add_host(l, allow, text, e))
			return false;
	} else {
		err_set(e, ERR_USAGE, 0, "", "%s'%.*s' is no network: %s",
		    where, SHOWN_MAX, text, cause);
		return false;
	}
	l->allows |= allow;
	return true;
}

/* Without the comment and the space around; NULL: nothing is left. */
static char *
trim(char *line)
{
	char *end;

	line[strcspn(line, "#")] = '\0';
	while (isspace((unsigned char)*line))
		line++;
	end = line + strlen(line);
	while (end > line && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return *line != '\0' ? line : NULL;
}

static bool
add_lines(struct access_list *l, bool allow, FILE *f, const char *path,
    struct err *e)
{
	char where[ADDR_NAME_MAX], *line = NULL, *text;
	unsigned long number = 0;
	size_t size = 0;
	ssize_t len;
	bool ok = true;

	while (ok && (len = getline(&line, &size, f)) != -1) {
		(void)snprintf(where, sizeof(where), "%s line %lu: ", path,
		    ++number);
		if (strlen(line) != (size_t)len) {
			err_set(e, ERR_USAGE, 0, "",
			    "%sit is not text", where);
			ok = false;
		} else if ((text = trim(line)) != NULL)
			ok = add_one(l, allow, text, where, e);
	}
	if (ok && ferror(f)) {
		err_set(e, ERR_LOCAL, errno, path, "reading");
		ok = false;
	}
	free(line);
	return ok;
}

static bool
add_file(struct access_list *l, bool allow, const char *path, struct err *e)
{
	FILE *f = fopen(path, "r");
	bool ok;

	if (f == NULL) {
		err_set(e, ERR_LOCAL, errno, path, "%s", "");
		return false;
	}
	ok = add_lines(l, allow, f, path, e);
	(void)fclose(f);
	/* Even an empty list of who is allowed allows nobody else. */
	l->allows |= ok && allow;
	return ok;
}

bool
access_add(struct access_list **list, bool allow, const char *net,
    struct err *e)
{
	if (*list == NULL && (*list = calloc(1, sizeof(**list))) == NULL) {
		err_no_memory(e);
		return false;
	}
	if (*net == '@')
		return add_file(*list, allow, net + 1, e);
	return add_one(*list, allow, net, "", e);
}

/* A single address, without its port and zone. */
static bool
net_of(const struct sk_addr *a, struct net *net)
{
	memset(net, 0, sizeof(*net));
	if (a->u.sa.sa_family == AF_INET) {
		net->prefix = IPV4_BITS;
		memcpy(net->bytes, &a->u.in.sin_addr, IPV4_BITS / 8);
	} else if (a->u.sa.sa_family == AF_INET6) {
		net->ipv6 = true;
		net->prefix = IPV6_BITS;
		memcpy(net->bytes, &a->u.in6.sin6_addr, ADDRESS_BYTES);
		unmap(net);
	} else
		return false;
	return true;
}

static enum sk_result
await(struct resolve *r, struct sk_addrs *out, int64_t deadline_ns,
    struct err *e)
{
	struct pollfd p = { .events = POLLIN };
	enum sk_result result;
	int n;

	while ((result = resolve_try(r, out, e)) == SK_WANT_READ) {
		p.fd = resolve_fd(r);
		n = intr_poll(&p, 1, deadline_ns);
		if (n <= 0)
			return n < 0 ? SK_INTERRUPTED : SK_TIMEOUT;
	}
	return result;
}

static enum sk_result
resolve_host(struct access_list *l, const struct host *host, bool numeric,
    int64_t deadline_ns, struct err *e)
{
	const struct sock_config config = { .numeric = numeric };
	struct addr a = { .kind = ADDR_INET, .port = "0" };
	struct sk_addrs found = { 0 };
	struct resolve *r;
	struct net net;
	enum sk_result result;
	size_t i;

	(void)snprintf(a.host, sizeof(a.host), "%s", host->name);
	r = resolve_start(&a, &config, false, host->name, e);
	if (r == NULL)
		return SK_ERROR;
	result = await(r, &found, deadline_ns, e);
	resolve_free(r);
	for (i = 0; result == SK_OK && i < found.count; i++) {
		if (!net_of(&found.v[i], &net))
			continue;
		net.allow = host->allow;
		if (!add_net(l, &net, e))
			result = SK_ERROR;
	}
	free(found.v);
	return result;
}

enum sk_result
access_resolve(struct access_list *l, bool numeric, int64_t deadline_ns,
    struct err *e)
{
	enum sk_result r;
	size_t i;

	for (i = 0; l != NULL && i < l->host_count; i++) {
		r = resolve_host(l, &l->hosts[i], numeric, deadline_ns, e);
		if (r != SK_OK)
			return r;
	}
	return SK_OK;
}

static bool
permits_address(const struct access_list *l, const struct net *peer)
{
	const struct net *net;
	bool allowed = !l->allows;
	size_t i;

	for (i = 0; i < l->net_count; i++) {
		net = &l->nets[i];
		if (net->ipv6 != peer->ipv6 || (net->allow && allowed) ||
		    !bits_equal(net->bytes, peer->bytes, net->prefix))
			continue;
		if (!net->allow)
			return false;
		allowed = true;
	}
	return allowed;
}

bool
access_permits(const struct access_list *l, const struct sock *peer)
{
	struct sk_addr remote, local;
	struct net net;

	if (l == NULL)
		return true;
	if (sock_ends(peer, &remote, &local)) {
		if (net_of(&remote, &net))
			return permits_address(l, &net);
	} else if (peer->family == AF_INET || peer->family == AF_INET6)
		return false;	/* it has gone, and cannot tell any more */
	return !l->allows;
}

bool
access_allows(const struct access_list *l)
{
	return l != NULL && l->allows;
}

void
access_free(struct access_list *l)
{
	if (l == NULL)
		return;
	while (l->host_count > 0)
		free(l->hosts[--l->host_count].name);
	free(l->hosts);
	free(l->nets);
	free(l);
}
