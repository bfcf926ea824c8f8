#ifndef HAUL_SOCK_LISTEN_IMPL_H
#define HAUL_SOCK_LISTEN_IMPL_H

#include "sock/impl.h"

/* A listener: priv of its socket, whichever transport it has. */
struct listener {
	struct resolve *resolve;
	struct sk_addrs addrs;
	int fds[SK_LISTEN_MAX];
	size_t count, turn;
	bool inherited;		/* others share the descriptors' flags */
	struct unix_path path;
	char ready_line[ADDR_NAME_MAX];
	char ready_port[ADDR_NAME_MAX];
	struct sessions *sessions;	/* which have fds and path then */
};

extern const struct transport transport_listen, transport_listen_datagram;

/* The names and ready lines of a listener that is bound there. */
void listen_describe(struct sock *s, const struct sk_addr *bound);

/* Frees s->priv, with what it holds. */
void listen_release(struct sock *s);

/*
 * A listener of datagrams takes each peer as a client from now on; sessions.c.
 * False with *e filled without memory.
 */
bool sessions_begin(struct sock *s, struct err *e);

#endif
