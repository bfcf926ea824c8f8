/*
 * Announcing us: the header of the PROXY protocol (haproxy's
 * proxy-protocol.txt, sections 2.1 and 2.2) with both ends of the connection.
 */
#include "sock/announce_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct announcement {
	size_t len, done;
	unsigned char data[ANNOUNCE_V2_HEAD + ANNOUNCE_V2_UNIX];
};

static void
put_v1(struct announcement *a, const struct sk_addr *from,
    const struct sk_addr *to)
{
	char text[ANNOUNCE_V1_MAX + 1], host[2][INET6_ADDRSTRLEN];
	const void *addrs[2] = { &from->u.in.sin_addr, &to->u.in.sin_addr };
	in_port_t ports[2] = { from->u.in.sin_port, to->u.in.sin_port };
	int family = from->u.sa.sa_family, n;

	if (family == AF_INET6) {
		addrs[0] = &from->u.in6.sin6_addr;
		addrs[1] = &to->u.in6.sin6_addr;
		ports[0] = from->u.in6.sin6_port;
		ports[1] = to->u.in6.sin6_port;
	}
	if ((family != AF_INET && family != AF_INET6) ||
	    inet_ntop(family, addrs[0], host[0], sizeof(host[0])) == NULL ||
	    inet_ntop(family, addrs[1], host[1], sizeof(host[1])) == NULL)
		n = snprintf(text, sizeof(text), "PROXY UNKNOWN\r\n");
	else
		n = snprintf(text, sizeof(text), "PROXY TCP%c %s %s %u %u\r\n",
		    family == AF_INET ? '4' : '6', host[0], host[1],
		    (unsigned)ntohs(ports[0]), (unsigned)ntohs(ports[1]));
	a->len = (size_t)n;
	memcpy(a->data, text, a->len);
}

static void
add(struct announcement *a, const void *data, size_t len)
{
	memcpy(a->data + a->len, data, len);
	a->len += len;
}

/* A path or name in its field, which is zero so far. */
static void
add_unix(struct announcement *a, const struct sk_addr *addr)
{
	size_t offset = offsetof(struct sockaddr_un, sun_path);
	size_t len = addr->len > offset ? addr->len - offset : 0;

	if (len > ANNOUNCE_V2_UNIX / 2)
		len = ANNOUNCE_V2_UNIX / 2;
	memcpy(a->data + a->len, addr->u.un.sun_path, len);
	a->len += ANNOUNCE_V2_UNIX / 2;
}

static void
put_v2(struct announcement *a, const struct sk_addr *from,
    const struct sk_addr *to)
{
	unsigned char head[4] = { ANNOUNCE_V2_PROXY };

	a->len = 0;
	memset(a->data, 0, sizeof(a->data));
	add(a, announce_v2_signature, ANNOUNCE_V2_SIGNATURE);
	a->len += sizeof(head);
	if (from->u.sa.sa_family == AF_INET) {
		head[1] = ANNOUNCE_V2_TCP4;
		add(a, &from->u.in.sin_addr, sizeof(from->u.in.sin_addr));
		add(a, &to->u.in.sin_addr, sizeof(to->u.in.sin_addr));
		add(a, &from->u.in.sin_port, sizeof(from->u.in.sin_port));
		add(a, &to->u.in.sin_port, sizeof(to->u.in.sin_port));
	} else if (from->u.sa.sa_family == AF_INET6) {
		head[1] = ANNOUNCE_V2_TCP6;
		add(a, &from->u.in6.sin6_addr, sizeof(from->u.in6.sin6_addr));
		add(a, &to->u.in6.sin6_addr, sizeof(to->u.in6.sin6_addr));
		add(a, &from->u.in6.sin6_port, sizeof(from->u.in6.sin6_port));
		add(a, &to->u.in6.sin6_port, sizeof(to->u.in6.sin6_port));
	} else if (from->u.sa.sa_family == AF_UNIX) {
		head[1] = ANNOUNCE_V2_STREAM;
		add_unix(a, from);
		add_unix(a, to);
	} else
		head[0] = ANNOUNCE_V2_LOCAL;
	head[3] = (unsigned char)(a->len - ANNOUNCE_V2_HEAD);
	memcpy(a->data + ANNOUNCE_V2_SIGNATURE, head, sizeof(head));
}

/* What cannot be told is sent as unknown. */
static struct announcement *
make(const struct sock *s, struct err *e)
{
	struct announcement *a = calloc(1, sizeof(*a));
	struct sk_addr local, peer;

	if (a == NULL) {
		err_no_memory(e);
		return NULL;
	}
	if (!sock_ends(s, &peer, &local) ||
	    peer.u.sa.sa_family != local.u.sa.sa_family)
		memset(&local, 0, sizeof(local));
	if (s->config->announce == ANNOUNCE_V1)
		put_v1(a, &local, &peer);
	else
		put_v2(a, &local, &peer);
	return a;
}

static enum sk_result
announce_try_handshake(struct sock *s, struct err *e)
{
	struct announcement *a = s->priv;
	enum sk_result r = SK_OK;
	size_t n;

	if (a == NULL && (a = s->priv = make(s, e)) == NULL)
		return SK_ERROR;
	for (; a->done < a->len; a->done += n) {
		r = sock_send_fd(s->fd, a->data + a->done, a->len - a->done,
		    &n);
		if (r != SK_OK)
			break;
	}
	if (r == SK_ERROR)
		err_set(e, ERR_BROKEN, errno == EPIPE ? ECONNRESET : errno,
		    s->name, "sending the PROXY header");
	if (r != SK_OK)
		return r;
	announce_release(s);
	sock_next_layer(s);
	return SK_OK;
}

void
announce_release(struct sock *s)
{
	free(s->priv);
	s->priv = NULL;
}

const struct transport transport_announce = {
	.try_handshake = announce_try_handshake,
	.release = announce_release,
};
