/* Datagrams of many peers: shared sockets, and whose is what comes. */
#include "sock/sessions_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "sock/sys.h"

enum {
	QUEUE_MAX = 256,		/* datagrams that wait for a client */
	QUEUE_BYTES_MAX = 1024 * 1024,
	READS_MAX = 64,			/* at a time */
	BUCKETS_FIRST = 64,		/* a power of two */
};

/* FNV-1a and a final mix, from a seed that no peer knows. */
static uint64_t
hash_of(const struct sessions *all, const struct route *route)
{
	const unsigned char *p = (const unsigned char *)&route->peer.u;
	uint64_t h = all->seed + route->index;
	socklen_t i;

	for (i = 0; i < route->peer.len; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	return h ^ h >> 33;
}

static struct session **
bucket_of(const struct sessions *all, uint64_t hash)
{
	return &all->buckets[hash & (all->bucket_count - 1)];
}

static struct session *
find(const struct sessions *all, const struct route *route)
{
	uint64_t hash = hash_of(all, route);
	struct session *p;

	for (p = *bucket_of(all, hash); p != NULL; p = p->next)
		if (p->hash == hash && p->route.index == route->index &&
		    p->route.peer.len == route->peer.len &&
		    memcmp(&p->route.peer.u, &route->peer.u,
		    route->peer.len) == 0)
			return p;
	return NULL;
}

static void
link_session(struct sessions *all, struct session *p)
{
	struct session **bucket = bucket_of(all, p->hash);

	p->next = *bucket;
	*bucket = p;
}

/* Twice the buckets; without memory the chains get longer. */
static void
grow(struct sessions *all)
{
	struct session **old = all->buckets, *p, *next;
	size_t i, count = all->bucket_count;
	struct session **more = calloc(count * 2, sizeof(struct session *));

	if (more == NULL)
		return;
	all->buckets = more;
	all->bucket_count = count * 2;
	for (i = 0; i < count; i++)
		for (p = old[i]; p != NULL; p = next) {
			next = p->next;
			link_session(all, p);
		}
	free(old);
}

void
sessions_add(struct sessions *all, struct session *p)
{
	if (all->count >= all->bucket_count)
		grow(all);
	p->hash = hash_of(all, &p->route);
	link_session(all, p);
	all->count++;
	all->users++;
}

void
sessions_remove(struct sessions *all, const struct session *gone)
{
	struct session **p = bucket_of(all, gone->hash);

	while (*p != gone)
		p = &(*p)->next;
	*p = gone->next;
	all->count--;
}

void
sessions_leave(struct sessions *all)
{
	size_t i;
	bool last = --all->users == 0;

	(void)pthread_mutex_unlock(&all->lock);
	if (!last)
		return;
	(void)pthread_mutex_destroy(&all->lock);
	for (i = 0; i < all->fd_count; i++)
		(void)close(all->fds[i]);
	unix_remove(&all->path);
	free(all->pending);
	free(all->buckets);
	free(all);
}

bool
sessions_is_of_another(int sys)
{
	return sys == ECONNREFUSED || sys == ECONNRESET ||
	    sys == EHOSTUNREACH || sys == ENETUNREACH || sys == EHOSTDOWN ||
	    sys == ENETDOWN || sys == EPROTO || sys == ENOPROTOOPT ||
	    sys == EOPNOTSUPP || sys == EMSGSIZE || sys == EACCES;
}

static void
set_local(const struct sessions *all, struct msghdr *m, struct route *route)
{
	const struct sk_addr *bound = &all->bound[route->index];
	struct sk_addr *local = &route->local;

	if (!sys_datagram_local(m, local))
		local->len = 0;
	else if (local->u.sa.sa_family == AF_INET6)
		local->u.in6.sin6_port = bound->u.in6.sin6_port;
	else
		local->u.in.sin_port = bound->u.in.sin_port;
}

/* One recvmsg(2) into buf; SK_WANT_READ: there is none. */
static enum sk_result
read_one(struct sock *s, struct sessions *all, size_t *len, bool *cut,
    struct route *route, struct err *e)
{
	_Alignas(max_align_t) char control[SYS_CONTROL_MAX];
	struct iovec iov = { .iov_base = all->buf,
	    .iov_len = sizeof(all->buf) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	memset(&route->peer, 0, sizeof(route->peer));
	m.msg_name = &route->peer.u;
	m.msg_namelen = sizeof(route->peer.u);
	m.msg_control = control;
	m.msg_controllen = sizeof(control);
	n = recvmsg(all->fds[route->index], &m, MSG_DONTWAIT);
	if (n < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK ||
		    errno == EINTR || sessions_is_of_another(errno))
			return SK_WANT_READ;
		err_set(e, ERR_LOCAL, errno, s->name, "receiving");
		return SK_ERROR;
	}
	*len = (size_t)n;
	*cut = (m.msg_flags & MSG_TRUNC) != 0;
	route->peer.len = m.msg_namelen;
	set_local(all, &m, route);
	return SK_OK;
}

static struct datagram *
make_datagram(const struct sessions *all, size_t len, bool cut)
{
	struct datagram *d = malloc(sizeof(*d) + len);

	if (d == NULL)
		return NULL;
	d->next = NULL;
	d->len = len;
	d->cut = cut;
	memcpy(d->data, all->buf, len);
	return d;
}

static void
deliver(struct session *p, const struct route *route, size_t len, bool cut)
{
	struct datagram *d = NULL;

	if (route->local.len > 0)
		p->route.local = route->local;
	if (p->count < QUEUE_MAX && p->bytes + len <= QUEUE_BYTES_MAX)
		d = make_datagram(p->all, len, cut);
	if (d != NULL)
		session_append(p, d);
	else
		p->dropped++;
}

/* What was read: true if it is of a new peer, and pending. */
static bool
sort(struct sessions *all, const struct route *route, size_t len, bool cut,
    bool admits)
{
	struct session *p = find(all, route);

	if (p != NULL) {
		deliver(p, route, len, cut);
		return false;
	}
	if (admits && all->pending == NULL)
		all->pending = make_datagram(all, len, cut);
	else
		admits = false;
	if (!admits || all->pending == NULL) {
		all->dropped++;
		return false;
	}
	all->pending_route = *route;
	return true;
}

enum sk_result
sessions_distribute(struct sock *s, struct sessions *all, bool admits,
    struct err *e)
{
	struct route route;
	enum sk_result r;
	size_t len, dry = 0;
	bool cut;
	int i;

	for (i = 0; i < READS_MAX && dry < all->fd_count; i++) {
		route.index = all->turn;
		all->turn = (all->turn + 1) % all->fd_count;
		r = read_one(s, all, &len, &cut, &route, e);
		if (r == SK_ERROR)
			return r;
		dry = r == SK_OK ? 0 : dry + 1;
		if (r == SK_OK && sort(all, &route, len, cut, admits))
			return SK_OK;
	}
	return SK_WANT_READ;
}

/*
 * Where no client can be made, because we are out of descriptors, those there
 * are get what is theirs all the same.
 */
static enum sk_result
sessions_try_accept(struct sock *s, struct sock **client, struct err *e)
{
	struct sessions *all = ((struct listener *)s->priv)->sessions;
	struct err ignored = { 0 };
	enum sk_result r = SK_OK;

	(void)pthread_mutex_lock(&all->lock);
	if (all->pending == NULL || !all->admits)
		r = sessions_distribute(s, all, all->admits, e);
	if (r == SK_OK) {
		r = session_make(s, all, client, e);
		if (r != SK_OK)
			(void)sessions_distribute(s, all, false, &ignored);
	}
	(void)pthread_mutex_unlock(&all->lock);
	err_clear(&ignored);
	return r;
}

static size_t
sessions_pollfds(const struct sock *s, enum sk_result want,
    struct pollfd *fds)
{
	const struct sessions *all = ((struct listener *)s->priv)->sessions;
	size_t i;

	(void)want;
	for (i = 0; i < all->fd_count; i++)
		fds[i] = (struct pollfd){ .fd = all->fds[i],
		    .events = POLLIN };
	return all->fd_count;
}

/* The clients receive for themselves from now on: wake them. */
static void
sessions_release(struct sock *s)
{
	struct sessions *all = ((struct listener *)s->priv)->sessions;
	struct session *p;
	size_t i;

	(void)pthread_mutex_lock(&all->lock);
	all->listens = false;
	for (i = 0; i < all->bucket_count; i++)
		for (p = all->buckets[i]; p != NULL; p = p->next)
			(void)latch_set(&p->latch);
	sessions_leave(all);
	listen_release(s);
}

static const struct transport transport_listen_sessions = {
	.datagram = true,
	.try_accept = sessions_try_accept,
	.pollfds = sessions_pollfds,
	.release = sessions_release,
};

bool
sessions_begin(struct sock *s, struct err *e)
{
	struct listener *l = s->priv;
	struct sessions *all = calloc(1, sizeof(*all));
	size_t i;

	if (all == NULL || (all->buckets = calloc(BUCKETS_FIRST,
	    sizeof(struct session *))) == NULL) {
		free(all);
		err_no_memory(e);
		return false;
	}
	(void)pthread_mutex_init(&all->lock, NULL);
	all->users = 1;
	all->listens = all->admits = true;
	all->bucket_count = BUCKETS_FIRST;
	all->seed = (uint64_t)clock_now_ns() ^ (uint64_t)(uintptr_t)all << 20;
	for (i = 0; i < l->count; i++) {
		all->fds[i] = l->fds[i];
		all->bound[i].len = sizeof(all->bound[i].u);
		(void)getsockname(l->fds[i], &all->bound[i].u.sa,
		    &all->bound[i].len);
	}
	all->fd_count = l->count;
	l->count = 0;
	all->path = l->path;
	*l->path.path = '\0';
	l->sessions = all;
	s->tr = &transport_listen_sessions;
	return true;
}

void
sock_set_admits(struct sock *s, bool admits)
{
	struct sessions *all;

	if (s->tr != &transport_listen_sessions)
		return;
	all = ((struct listener *)s->priv)->sessions;
	(void)pthread_mutex_lock(&all->lock);
	all->admits = admits;
	(void)pthread_mutex_unlock(&all->lock);
}

uint64_t
sock_dropped(const struct sock *s)
{
	const struct session *p = s->priv;
	struct sessions *all;
	uint64_t dropped;

	if (s->tr != &transport_session &&
	    s->tr != &transport_listen_sessions)
		return 0;
	all = s->tr == &transport_session ? p->all :
	    ((struct listener *)s->priv)->sessions;
	(void)pthread_mutex_lock(&all->lock);
	dropped = s->tr == &transport_session ? p->dropped : all->dropped;
	(void)pthread_mutex_unlock(&all->lock);
	return dropped;
}
