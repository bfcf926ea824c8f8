/*
 * Being told of a client: the header of the PROXY protocol (haproxy's
 * proxy-protocol.txt) that a trusted proxy sends first. Read as strictly as it
 * is described there, and not a byte further.
 */
#include "sock/announce_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

enum {
	PORT_MAX = 65535,
	LENGTH_MAX = 4096,	/* of what follows the head of version 2 */
	FAMILY_LAST = 3,	/* UNIX */
	PROTOCOL_LAST = 2,	/* datagrams */
	V1_MIN = 15,		/* "PROXY UNKNOWN" CRLF */
};

struct header {
	size_t len, want;	/* of data */
	size_t skip;		/* bytes behind it that say nothing to us */
	unsigned char data[ANNOUNCE_V2_HEAD + ANNOUNCE_V2_UNIX];
};

static const char v1_prefix[] = "PROXY ";

static enum sk_result
refuse(struct sock *s, const char *why, struct err *e)
{
	err_set(e, ERR_BROKEN, 0, s->name, "no PROXY header%s%s",
	    *why != '\0' ? ": " : "", why);
	return SK_ERROR;
}

/* One recv(2) of up to len bytes. */
static enum sk_result
receive(struct sock *s, void *buf, size_t len, size_t *got, struct err *e)
{
	ssize_t n;

	do
		n = recv(s->fd, buf, len, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		*got = (size_t)n;
		return SK_OK;
	}
	if (n == 0)
		return refuse(s, "the connection has ended", e);
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return SK_WANT_READ;
	err_set(e, ERR_BROKEN, errno, s->name, "receiving the PROXY header");
	return SK_ERROR;
}

/* The next word of a line, which ends with a space or the line. */
static char *
next_word(char **rest)
{
	char *word = *rest, *end = word + strcspn(word, " ");

	*rest = *end == ' ' ? end + 1 : end;
	if (*end == ' ' && **rest == '\0')
		*rest = end;	/* a space at the end: an empty word more */
	else
		*end = '\0';
	return word;
}

/* Numbers as they are written by themselves: no zeros in front. */
static bool
get_port(const char *text, in_port_t *port)
{
	char canonical[ADDR_PORT_MAX];
	uint64_t n;

	if (!parse_number(text, 0, PORT_MAX, &n))
		return false;
	(void)snprintf(canonical, sizeof(canonical), "%u", (unsigned)n);
	*port = htons((uint16_t)n);
	return strcmp(canonical, text) == 0;
}

static bool
get_ipv4(const char *host, const char *port, struct sk_addr *a)
{
	char canonical[INET_ADDRSTRLEN];

	a->u.in.sin_family = AF_INET;
	a->len = sizeof(a->u.in);
	return inet_pton(AF_INET, host, &a->u.in.sin_addr) == 1 &&
	    inet_ntop(AF_INET, &a->u.in.sin_addr, canonical,
	    sizeof(canonical)) != NULL && strcmp(canonical, host) == 0 &&
	    get_port(port, &a->u.in.sin_port);
}

static bool
get_ipv6(const char *host, const char *port, struct sk_addr *a)
{
	a->u.in6.sin6_family = AF_INET6;
	a->len = sizeof(a->u.in6);
	return inet_pton(AF_INET6, host, &a->u.in6.sin6_addr) == 1 &&
	    get_port(port, &a->u.in6.sin6_port);
}

/* What stands behind "PROXY ", without the end of the line. */
static bool
parse_v1(char *rest, struct sk_ends *ends)
{
	char *family, *from, *to, *from_port, *to_port;
	bool (*get)(const char *, const char *, struct sk_addr *);

	/* Whatever is said of what is unknown. */
	if (strncmp(rest, "UNKNOWN", 7) == 0)
		return rest[7] == '\0' || rest[7] == ' ';
	family = next_word(&rest);
	from = next_word(&rest);
	to = next_word(&rest);
	from_port = next_word(&rest);
	to_port = next_word(&rest);
	if (*rest != '\0')
		return false;
	if (strcmp(family, "TCP4") == 0)
		get = get_ipv4;
	else if (strcmp(family, "TCP6") == 0)
		get = get_ipv6;
	else
		return false;
	return get(from, from_port, &ends->peer) &&
	    get(to, to_port, &ends->local);
}

/* 108 bytes: a path that ends with a NUL or the field, or an abstract name. */
static void
get_unix(const unsigned char *field, struct sk_addr *a)
{
	size_t len = ANNOUNCE_V2_UNIX / 2;

	a->u.un.sun_family = AF_UNIX;
	if (field[0] != '\0')
		len = strnlen((const char *)field, len);
	else
		while (len > 0 && field[len - 1] == '\0')
			len--;
	if (len > sizeof(a->u.un.sun_path))
		len = sizeof(a->u.un.sun_path);
	memcpy(a->u.un.sun_path, field, len);
	a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static void
get_inet(const unsigned char *p, struct sk_addr *a, size_t port_at)
{
	a->u.in.sin_family = AF_INET;
	a->len = sizeof(a->u.in);
	memcpy(&a->u.in.sin_addr, p, sizeof(a->u.in.sin_addr));
	memcpy(&a->u.in.sin_port, p + port_at, sizeof(a->u.in.sin_port));
}

static void
get_inet6(const unsigned char *p, struct sk_addr *a, size_t port_at)
{
	a->u.in6.sin6_family = AF_INET6;
	a->len = sizeof(a->u.in6);
	memcpy(&a->u.in6.sin6_addr, p, sizeof(a->u.in6.sin6_addr));
	memcpy(&a->u.in6.sin6_port, p + port_at, sizeof(a->u.in6.sin6_port));
}

static void
parse_v2(const struct header *h, struct sk_ends *ends)
{
	const unsigned char *p = h->data + ANNOUNCE_V2_HEAD;
	size_t half;

	switch (h->data[13]) {
	case ANNOUNCE_V2_TCP4:
		half = sizeof(struct in_addr);
		get_inet(p, &ends->peer, 2 * half);
		get_inet(p + half, &ends->local, half + sizeof(in_port_t));
		break;
	case ANNOUNCE_V2_TCP6:
		half = sizeof(struct in6_addr);
		get_inet6(p, &ends->peer, 2 * half);
		get_inet6(p + half, &ends->local, half + sizeof(in_port_t));
		break;
	case ANNOUNCE_V2_STREAM:
		half = ANNOUNCE_V2_UNIX / 2;
		get_unix(p, &ends->peer);
		get_unix(p + half, &ends->local);
		break;
	default:
		break;
	}
}

/* The size of the addresses; 0: they are not for us, as of datagrams. */
static size_t
addresses_size(unsigned family)
{
	switch (family) {
	case ANNOUNCE_V2_TCP4:
		return ANNOUNCE_V2_INET;
	case ANNOUNCE_V2_TCP6:
		return ANNOUNCE_V2_INET6;
	case ANNOUNCE_V2_STREAM:
		return ANNOUNCE_V2_UNIX;
	default:
		return 0;
	}
}

/* The head of version 2 is in: what else belongs to the header? */
static bool
check_v2(struct header *h)
{
	unsigned command = h->data[12], family = h->data[13];
	size_t length = (size_t)h->data[14] << 8 | h->data[15], size;

	if ((command != ANNOUNCE_V2_LOCAL && command != ANNOUNCE_V2_PROXY) ||
	    length > LENGTH_MAX)
		return false;
	size = command == ANNOUNCE_V2_PROXY ? addresses_size(family) : 0;
	if (command == ANNOUNCE_V2_PROXY && (family >> 4 > FAMILY_LAST ||
	    (family & 15) > PROTOCOL_LAST))
		return false;
	if (size > length)
		return false;
	h->want = ANNOUNCE_V2_HEAD + size;
	h->skip = length - size;
	return true;
}

/* A line as far as it is in: nothing but text, one CR, one LF at its end. */
static bool
check_v1(struct header *h)
{
	const char *line = (const char *)h->data, *cr;
	size_t i;

	cr = memchr(line, '\r', h->len);
	for (i = sizeof(v1_prefix) - 1; i < h->len; i++)
		if (h->data[i] < ' ' || h->data[i] > '~')
			break;
	if (i == h->len || (cr == line + i && i + 1 == h->len)) {
		/* More is to come, unless there is no room for its end. */
		h->want = h->len < V1_MIN ? V1_MIN : h->len + 1;
		return h->want <= ANNOUNCE_V1_MAX;
	}
	return cr == line + i && i + 2 == h->len && line[i + 1] == '\n' &&
	    h->len >= V1_MIN;
}

/* Whether what is in begins a header; want is set anew. */
static bool
check(struct header *h)
{
	size_t n = h->len < sizeof(v1_prefix) - 1 ? h->len :
	    sizeof(v1_prefix) - 1;

	if (memcmp(h->data, v1_prefix, n) == 0)
		return h->len <= n || check_v1(h);
	n = h->len < ANNOUNCE_V2_SIGNATURE ? h->len : ANNOUNCE_V2_SIGNATURE;
	if (memcmp(h->data, announce_v2_signature, n) != 0)
		return false;
	if (h->len < ANNOUNCE_V2_HEAD)
		h->want = ANNOUNCE_V2_HEAD;
	return h->len != ANNOUNCE_V2_HEAD || check_v2(h);
}

/* The whole header is in: s has the ends that it tells, if it tells any. */
static enum sk_result
take(struct sock *s, struct err *e)
{
	struct header *h = s->priv;
	struct sk_ends *ends = calloc(1, sizeof(*ends));

	if (ends == NULL) {
		err_no_memory(e);
		return SK_ERROR;
	}
	if (h->data[0] != (unsigned char)v1_prefix[0]) {
		if (h->data[12] == ANNOUNCE_V2_PROXY)
			parse_v2(h, ends);
	} else {
		h->data[h->len - 2] = '\0';
		if (!parse_v1((char *)h->data + sizeof(v1_prefix) - 1, ends)) {
			free(ends);
			return refuse(s, "", e);
		}
	}
	announce_release(s);
	if (ends->peer.len > 0) {
		s->announced = ends;
		if (ends->peer.u.sa.sa_family != AF_UNIX ||
		    ends->peer.len > offsetof(struct sockaddr_un, sun_path))
			sock_name_peer(s, &ends->peer);
	} else
		free(ends);
	sock_next_layer(s);
	return SK_OK;
}

static enum sk_result
announced_try_handshake(struct sock *s, struct err *e)
{
	unsigned char ignored[ANNOUNCE_V2_UNIX];
	struct header *h = s->priv;
	enum sk_result r = SK_OK;
	size_t n;

	if (h == NULL) {
		h = s->priv = calloc(1, sizeof(*h));
		if (h == NULL) {
			err_no_memory(e);
			return SK_ERROR;
		}
		h->want = V1_MIN;
	}
	while (r == SK_OK && h->len < h->want) {
		r = receive(s, h->data + h->len, h->want - h->len, &n, e);
		if (r != SK_OK)
			break;
		h->len += n;
		if (!check(h))
			return refuse(s, "", e);
	}
	while (r == SK_OK && h->skip > 0) {
		n = h->skip < sizeof(ignored) ? h->skip : sizeof(ignored);
		r = receive(s, ignored, n, &n, e);
		if (r == SK_OK)
			h->skip -= n;
	}
	return r == SK_OK ? take(s, e) : r;
}

const struct transport transport_announced = {
	.try_handshake = announced_try_handshake,
	.release = announce_release,
};
