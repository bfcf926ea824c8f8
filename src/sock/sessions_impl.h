#ifndef HAUL_SOCK_SESSIONS_IMPL_H
#define HAUL_SOCK_SESSIONS_IMPL_H

#include <pthread.h>

#include "sock/listen_impl.h"

/*
 * Datagrams of many peers, each as a client of its own: sessions.c reads the
 * shared sockets and sorts what comes, session.c is a client.
 */
enum { SESSION_DATAGRAM_MAX = 64 * 1024 };

/* One that waits. */
struct datagram {
	struct datagram *next;
	size_t len;
	bool cut;			/* it was longer */
	unsigned char data[];
};

/* Where one came from and went to; which socket it came by. */
struct route {
	struct sk_addr peer, local;	/* local.len 0: unknown */
	size_t index;
};

struct session {
	struct sessions *all;
	struct session *next;		/* in its bucket */
	uint64_t hash;
	struct route route;
	struct datagram *first, **last;
	size_t count, bytes;
	uint64_t dropped;
	struct latch latch;		/* set while there is a first */
	int *own_fds;			/* once there is no listener */
};

/*
 * The listener and its clients use it, the last one frees it. The lock guards
 * everything but what is there from the beginning: fds and bound.
 */
struct sessions {
	pthread_mutex_t lock;
	size_t users;
	bool listens;			/* the listener is one of them */
	bool admits;
	int fds[SK_LISTEN_MAX];
	struct sk_addr bound[SK_LISTEN_MAX];
	size_t fd_count, turn;
	struct unix_path path;
	struct session **buckets;
	size_t bucket_count, count;
	uint64_t seed, dropped;
	struct datagram *pending;	/* of a peer that is no client yet */
	struct route pending_route;
	unsigned char buf[SESSION_DATAGRAM_MAX];
};

extern const struct transport transport_session;

/*
 * Give what has come to the clients, until there is no more, or enough for
 * once: SK_WANT_READ. SK_OK: that of a new peer, which admits allows, is
 * pending. SK_ERROR with *e. s is who asks. With the lock.
 */
enum sk_result sessions_distribute(struct sock *s, struct sessions *all,
    bool admits, struct err *e);

/* A client comes, or goes; with the lock. */
void sessions_add(struct sessions *all, struct session *p);
void sessions_remove(struct sessions *all, const struct session *gone);

/* One user less; gives the lock back. */
void sessions_leave(struct sessions *all);

/*
 * What is pending becomes a client of the listener s; with the lock. It stays
 * pending where that fails.
 */
enum sk_result session_make(struct sock *s, struct sessions *all,
    struct sock **client, struct err *e);

/* A datagram for it; with the lock. */
void session_append(struct session *p, struct datagram *d);

/* Another peer's trouble, which the system tells whoever comes first. */
bool sessions_is_of_another(int sys);

#endif
