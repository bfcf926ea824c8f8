/* A peer that sends datagrams, as a client of its own. */
#include "sock/sessions_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "sock/sys.h"

enum {
	SEND_TRIES = 4,
	SEND_RETRY_MS = 1,
	NO_DESCRIPTOR_RETRY_MS = 10,
};

void
session_append(struct session *p, struct datagram *d)
{
	*p->last = d;
	p->last = &d->next;
	p->count++;
	p->bytes += d->len;
	(void)latch_set(&p->latch);
}

static struct session *
make_session(struct sessions *all, struct err *e)
{
	struct session *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		err_no_memory(e);
		return NULL;
	}
	if (!latch_open(&p->latch, e)) {
		free(p);
		return NULL;
	}
	p->all = all;
	p->route = all->pending_route;
	p->last = &p->first;
	return p;
}

enum sk_result
session_make(struct sock *s, struct sessions *all, struct sock **client,
    struct err *e)
{
	const struct sk_addr *peer = &all->pending_route.peer;
	struct session *p;
	struct sock *c;

	c = sock_make(&transport_session, -1, s->mode, s->name, e);
	if (c == NULL)
		return SK_ERROR;
	p = sock_set_origin(c, s->origin, e) ? make_session(all, e) : NULL;
	if (p == NULL) {
		sock_abort(&c);
		return SK_ERROR;
	}
	sessions_add(all, p);
	session_append(p, all->pending);
	all->pending = NULL;
	c->priv = p;
	c->family = all->bound[p->route.index].u.sa.sa_family;
	if (peer->len > 0)
		sock_name_peer(c, peer);
	*client = c;
	return SK_OK;
}

/* Nobody gives us what is ours any more: what to poll for it. */
static bool
open_own_fds(struct session *p)
{
	const struct sessions *all = p->all;
	size_t i;

	if (p->own_fds != NULL)
		return true;
	p->own_fds = malloc(all->fd_count * sizeof(*p->own_fds));
	if (p->own_fds == NULL)
		return false;
	for (i = 0; i < all->fd_count; i++) {
		p->own_fds[i] = fcntl(all->fds[i], F_DUPFD_CLOEXEC, 0);
		if (p->own_fds[i] != -1)
			continue;
		while (i > 0)
			(void)close(p->own_fds[--i]);
		free(p->own_fds);
		p->own_fds = NULL;
		return false;
	}
	return true;
}

/* The first in the queue, or why there is none. */
static enum sk_result
take(struct sock *s, struct session *p, struct datagram **d, struct err *e)
{
	struct sessions *all = p->all;

	if (p->first == NULL && !all->listens) {
		if (sessions_distribute(s, all, false, e) == SK_ERROR)
			return SK_ERROR;
		if (!open_own_fds(p))
			sock_pause(s, SK_IN, clock_now_ns() +
			    NO_DESCRIPTOR_RETRY_MS * CLOCK_MS, false);
	}
	*d = p->first;
	if (*d != NULL) {
		p->first = (*d)->next;
		p->count--;
		p->bytes -= (*d)->len;
	}
	if (p->first == NULL) {
		p->last = &p->first;
		latch_reset(&p->latch);
	}
	return *d != NULL ? SK_OK : SK_WANT_READ;
}

static enum sk_result
session_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	struct session *p = s->priv;
	struct datagram *d = NULL;
	enum sk_result r;

	(void)pthread_mutex_lock(&p->all->lock);
	r = take(s, p, &d, e);
	(void)pthread_mutex_unlock(&p->all->lock);
	if (r != SK_OK)
		return r;
	if (d->cut || d->len > len) {
		err_set(e, ERR_BROKEN, 0, s->name,
		    "a datagram of more than %zu bytes was cut",
		    d->cut ? d->len : len);
		r = SK_ERROR;
	} else {
		memcpy(buf, d->data, d->len);
		*got = d->len;
	}
	free(d);
	return r;
}

static size_t
session_pollfds(const struct sock *s, enum sk_result want, struct pollfd *fds)
{
	const struct session *p = s->priv;
	size_t i, count = 0;

	if (want != SK_WANT_READ)
		return 0;
	fds[count++] = (struct pollfd){ .fd = p->latch.fd, .events = POLLIN };
	for (i = 0; p->own_fds != NULL && i < p->all->fd_count; i++)
		fds[count++] = (struct pollfd){ .fd = p->own_fds[i],
		    .events = POLLIN };
	return count;
}

/* sendmsg(2), from where the peer has sent to; 0 or an errno value. */
static int
send_from(const struct session *p, const struct sk_addr *local,
    const void *buf, size_t len)
{
	_Alignas(max_align_t) char control[SYS_CONTROL_MAX];
	union { const void *in; void *out; } data = { .in = buf };
	struct sk_addr peer = p->route.peer;
	struct iovec iov = { .iov_base = data.out, .iov_len = len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int tries = 0;
	ssize_t n;

	m.msg_name = &peer.u;
	m.msg_namelen = peer.len;
	if (local->len > 0) {
		m.msg_control = control;
		sys_datagram_from(&m, local);
	}
	do
		n = sendmsg(p->all->fds[p->route.index], &m,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && (errno == EINTR || (peer.u.sa.sa_family != AF_UNIX &&
	    sessions_is_of_another(errno) && errno != EMSGSIZE &&
	    ++tries < SEND_TRIES)));
	return n < 0 ? errno : 0;
}

static enum sk_result
session_try_send(struct sock *s, const void *buf, size_t len, size_t *put,
    struct err *e)
{
	struct session *p = s->priv;
	struct sk_addr local;
	enum err_code code = s->family == AF_UNIX ? ERR_BROKEN : ERR_CONNECT;
	int sys;

	if (p->route.peer.len == 0) {
		err_set(e, code, 0, s->name,
		    "the peer has no address to answer to");
		return SK_ERROR;
	}
	(void)pthread_mutex_lock(&p->all->lock);
	local = p->route.local;
	(void)pthread_mutex_unlock(&p->all->lock);
	sys = send_from(p, &local, buf, len);
	if (sys == 0) {
		*put = len;
		return SK_OK;
	}
	/* Polling the shared socket would wake everybody for everybody. */
	if (sys == EAGAIN || sys == EWOULDBLOCK || sys == ENOBUFS) {
		sock_pause(s, SK_OUT, clock_now_ns() +
		    SEND_RETRY_MS * CLOCK_MS, true);
		return SK_WANT_WRITE;
	}
	if (sys == EMSGSIZE)
		err_set(e, ERR_LOCAL, sys, s->name, "a datagram of %zu bytes",
		    len);
	else
		err_set(e, code, sys, s->name, "%s", "");
	return SK_ERROR;
}

static bool
session_ends(const struct sock *s, struct sk_addr *peer,
    struct sk_addr *local)
{
	const struct session *p = s->priv;

	(void)pthread_mutex_lock(&p->all->lock);
	*peer = p->route.peer;
	*local = p->route.local.len > 0 ? p->route.local :
	    p->all->bound[p->route.index];
	(void)pthread_mutex_unlock(&p->all->lock);
	if (peer->len == 0)
		peer->u.sa.sa_family = AF_UNIX;	/* a sender without a name */
	return true;
}

static void
session_release(struct sock *s)
{
	struct session *p = s->priv;
	struct sessions *all;
	struct datagram *d;
	size_t i;

	if (p == NULL)
		return;		/* it never became one */
	all = p->all;
	(void)pthread_mutex_lock(&all->lock);
	sessions_remove(all, p);
	while ((d = p->first) != NULL) {
		p->first = d->next;
		free(d);
	}
	for (i = 0; p->own_fds != NULL && i < all->fd_count; i++)
		(void)close(p->own_fds[i]);
	sessions_leave(all);
	latch_close(&p->latch);
	free(p->own_fds);
	free(p);
}

const struct transport transport_session = {
	.datagram = true,
	.try_recv = session_try_recv,
	.try_send = session_try_send,
	.pollfds = session_pollfds,
	.ends = session_ends,
	.release = session_release,
};
