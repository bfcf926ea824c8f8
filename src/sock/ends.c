/* The two ends of a connection, as text. */
#include "sock/impl.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "sock/vsock.h"

static void
split_unix(const struct sk_addr *a, struct sk_name *name)
{
	size_t offset = offsetof(struct sockaddr_un, sun_path);
	const char *path = a->u.un.sun_path;
	bool abstract;

	(void)snprintf(name->host, sizeof(name->host), "unix:");
	if (a->len <= offset)
		return;
	abstract = *path == '\0';
	(void)snprintf(name->port, sizeof(name->port), "%s%.*s",
	    abstract ? "@" : "", (int)(a->len - offset - abstract),
	    path + abstract);
}

void
sock_split(const struct sk_addr *a, struct sk_name *name)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	memset(name, 0, sizeof(*name));
	if (a->u.sa.sa_family == AF_UNIX)
		split_unix(a, name);
	else if (!vsock_split(a, name) && getnameinfo(&a->u.sa, a->len, host,
	    sizeof(host), port, sizeof(port),
	    NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
		(void)snprintf(name->host, sizeof(name->host), "%.*s",
		    ADDR_HOST_MAX - 1, host);
		(void)snprintf(name->port, sizeof(name->port), "%.*s",
		    ADDR_PORT_MAX - 1, port);
	}
}

void
sock_format(const struct sk_addr *a, char *name, size_t size)
{
	struct sk_name parts;

	sock_split(a, &parts);
	(void)snprintf(name, size, "%s%s%s", parts.host,
	    a->u.sa.sa_family == AF_UNIX ? "" : " port ", parts.port);
}

void
sock_name_peer(struct sock *s, const struct sk_addr *peer)
{
	char name[ADDR_NAME_MAX] = "";

	sock_format(peer, name, sizeof(name));
	sock_set_name(s, name);
}

bool
sock_ends(const struct sock *s, struct sk_addr *peer, struct sk_addr *local)
{
	memset(peer, 0, sizeof(*peer));
	memset(local, 0, sizeof(*local));
	if (s->announced != NULL) {
		*peer = s->announced->peer;
		*local = s->announced->local;
		return true;
	}
	if (s->tr->ends != NULL)
		return s->tr->ends(s, peer, local);
	peer->len = local->len = sizeof(peer->u);
	return getpeername(s->fd, &peer->u.sa, &peer->len) == 0 &&
	    getsockname(s->fd, &local->u.sa, &local->len) == 0;
}

static const char *
transport_name(const struct sock *s, int family)
{
	if (family == AF_UNIX)
		return "unix";
	if (family != AF_INET && family != AF_INET6)
		return "vsock";
	return s->tr->datagram ? "udp" : "tcp";
}

static void
copy_name(const struct sk_addr *a, char *host, char *port)
{
	struct sk_name name;

	if (a->u.sa.sa_family == AF_UNSPEC)
		return;
	sock_split(a, &name);
	if (a->u.sa.sa_family == AF_UNIX)
		(void)snprintf(host, ADDR_HOST_MAX, "%s", name.port);
	else {
		(void)snprintf(host, ADDR_HOST_MAX, "%s", name.host);
		(void)snprintf(port, ADDR_PORT_MAX, "%.*s",
		    ADDR_PORT_MAX - 1, name.port);
	}
}

void
sock_get_ends(const struct sock *s, struct sock_ends *ends)
{
	struct sk_addr peer, local;

	memset(ends, 0, sizeof(*ends));
	(void)sock_ends(s, &peer, &local);
	ends->transport = transport_name(s, local.u.sa.sa_family);
	ends->ipv6 = local.u.sa.sa_family == AF_INET6;
	copy_name(&peer, ends->peer_host, ends->peer_port);
	copy_name(&local, ends->local_host, ends->local_port);
}
