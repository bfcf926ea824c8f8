/* Connecting: RFC 8305 over whatever an address resolves to. */
#include "sock/impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "sock/proxy_impl.h"
#include "sock/resolve.h"
#include "sock/sys.h"

enum {
	STAGGER_MS = 250,	/* RFC 8305 section 5 */
	LIVE_MAX = 32,
	BACKLOG_RETRY_MS = 10,	/* of a UNIX listener with a full backlog */
};

struct attempt {
	int fd;
	size_t index;		/* of its address */
};

struct dial {
	struct resolve *target, *source;	/* NULL: done, or none */
	struct sk_addrs addrs, sources;
	size_t next;				/* address to try next */
	struct attempt live[LIVE_MAX];
	size_t live_count;
	int64_t next_start_ns;
	struct err failed;			/* a reason for each address */
	bool brief;				/* ...or that of the last one */
};

static bool take_known(struct sock *, struct err *);
static enum sk_result dial_try(struct sock *, struct err *);
static size_t dial_pollfds(const struct sock *, enum sk_result,
    struct pollfd *);
static void dial_release(struct sock *);

static const struct transport transport_dial = {
	.try_connect = dial_try,
	.pollfds = dial_pollfds,
	.release = dial_release,
};

static void
dial_free(struct dial *d)
{
	size_t i;

	resolve_free(d->target);
	resolve_free(d->source);
	for (i = 0; i < d->live_count; i++)
		(void)close(d->live[i].fd);
	free(d->addrs.v);
	free(d->sources.v);
	err_clear(&d->failed);
	free(d);
}

static void
dial_release(struct sock *s)
{
	dial_free(s->priv);
}

static struct resolve *
resolve_source(struct sock *s, struct err *e)
{
	struct addr a = { .kind = ADDR_INET };
	char who[ADDR_NAME_MAX];

	if (s->config->source_host != NULL)
		(void)snprintf(a.host, sizeof(a.host), "%s",
		    s->config->source_host);
	(void)snprintf(a.port, sizeof(a.port), "%s",
	    s->config->source_port != NULL ? s->config->source_port : "0");
	(void)snprintf(who, sizeof(who), "source %s", a.host);
	return resolve_start(&a, s->config, true, who, e);
}

enum sk_result
dial_start(struct sock *s, struct err *e)
{
	struct dial *d;

	if (s->config->proxy != NULL)
		return proxy_start(s, e);
	d = calloc(1, sizeof(*d));
	if (d == NULL) {
		err_no_memory(e);
		return SK_ERROR;
	}
	s->priv = d;
	d->brief = s->config->brief;
	s->tr = &transport_dial;
	if (s->config->known == NULL) {
		d->target = resolve_start(&s->origin->addr, s->config, false,
		    s->name, e);
		if (d->target == NULL)
			return SK_ERROR;
	} else if (!take_known(s, e))
		return SK_ERROR;
	if (s->config->source_host != NULL || s->config->source_port != NULL) {
		d->source = resolve_source(s, e);
		if (d->source == NULL)
			return SK_ERROR;
	}
	return dial_try(s, e);
}

/* The first address stays first; then the families take turns. */
static void
interleave(struct sk_addrs *addrs)
{
	struct sk_addr moved;
	size_t i, j;

	for (i = 1; i < addrs->count; i++) {
		for (j = i; j < addrs->count; j++)
			if (addrs->v[j].u.sa.sa_family !=
			    addrs->v[i - 1].u.sa.sa_family)
				break;
		if (j == addrs->count)
			return;
		moved = addrs->v[j];
		memmove(&addrs->v[i + 1], &addrs->v[i],
		    (j - i) * sizeof(moved));
		addrs->v[i] = moved;
	}
}

/* Somebody has looked the name up; the port is ours. */
static bool
take_known(struct sock *s, struct err *e)
{
	in_port_t port = htons((in_port_t)strtoul(s->origin->addr.port, NULL,
	    10));
	const struct sk_addrs *known = s->config->known;
	struct dial *d = s->priv;
	size_t i;

	d->addrs.v = malloc(known->count * sizeof(*known->v));
	if (d->addrs.v == NULL) {
		err_no_memory(e);
		return false;
	}
	d->addrs.count = known->count;
	memcpy(d->addrs.v, known->v, known->count * sizeof(*known->v));
	for (i = 0; i < known->count; i++)
		if (d->addrs.v[i].u.sa.sa_family == AF_INET6)
			d->addrs.v[i].u.in6.sin6_port = port;
		else
			d->addrs.v[i].u.in.sin_port = port;
	interleave(&d->addrs);
	return true;
}

static enum sk_result
resolve_all(struct sock *s, struct err *e)
{
	struct dial *d = s->priv;
	enum sk_result r;

	if (d->source != NULL) {
		r = resolve_try(d->source, &d->sources, e);
		if (r != SK_OK)
			return r;
		resolve_free(d->source);
		d->source = NULL;
		s->generation = sock_next_generation();
	}
	if (d->target != NULL) {
		r = resolve_try(d->target, &d->addrs, e);
		if (r != SK_OK)
			return r;
		resolve_free(d->target);
		d->target = NULL;
		s->generation = sock_next_generation();
		interleave(&d->addrs);
	}
	return SK_OK;
}

static void
note_failure(struct dial *d, size_t index, int sys, const char *phase)
{
	char name[ADDR_NAME_MAX];
	struct err e = { 0 };

	if (d->brief) {
		d->failed.code = ERR_CONNECT;
		d->failed.sys = sys;
		return;
	}
	sock_format(&d->addrs.v[index], name, sizeof(name));
	err_set(&e, ERR_CONNECT, sys, name, "%s", phase);
	err_append(&d->failed, &e);
}

/* Bind to the source of the same family, if one was asked for. */
static bool
bind_source(struct sock *s, int fd, size_t index)
{
	struct dial *d = s->priv;
	int on = 1, family = d->addrs.v[index].u.sa.sa_family, sys;
	const struct sk_addr *a;
	char phase[ADDR_NAME_MAX + 32];
	struct sk_name name;
	size_t i;

	if (d->sources.count == 0)
		return true;
	for (i = 0; i < d->sources.count; i++)
		if (d->sources.v[i].u.sa.sa_family == family)
			break;
	if (i == d->sources.count) {
		note_failure(d, index, 0, "the source is of another family");
		return false;
	}
	a = &d->sources.v[i];
	/* A port that lingers in TIME_WAIT can be used again. */
	if (!s->config->datagram)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
		    sizeof(on));
	if (bind(fd, &a->u.sa, a->len) == 0)
		return true;
	sys = errno;
	sock_split(a, &name);
	(void)snprintf(phase, sizeof(phase), "cannot use source %s%s%s",
	    name.host, s->config->source_port != NULL ? " port " : "",
	    s->config->source_port != NULL ? s->config->source_port : "");
	note_failure(d, index, sys, phase);
	return false;
}

/*
 * A connection to a free local port that the kernel gave us as our own meets
 * itself (RFC 9293 section 3.5): nobody is there.
 */
static bool
met_itself(int fd)
{
	struct sk_addr local, peer;

	memset(&local, 0, sizeof(local));
	memset(&peer, 0, sizeof(peer));
	local.len = sizeof(local.u);
	peer.len = sizeof(peer.u);
	return getsockname(fd, &local.u.sa, &local.len) == 0 &&
	    getpeername(fd, &peer.u.sa, &peer.len) == 0 &&
	    (local.u.sa.sa_family == AF_INET ||
	    local.u.sa.sa_family == AF_INET6) &&
	    local.len == peer.len &&
	    memcmp(&local.u, &peer.u, local.len) == 0;
}

/* How an attempt stands. */
enum outcome {
	CONNECTED,
	UNDER_WAY,
	FAILED,		/* and noted among the reasons */
	LATER,		/* nobody is to blame: try it again */
	HOPELESS,	/* *e is filled: no other address could do better */
};

/* The race is won by fd: all the others are closed. */
static enum outcome
win(struct sock *s, size_t index, int fd)
{
	struct dial *d = s->priv;
	size_t i;

	sock_name_peer(s, &d->addrs.v[index]);
	for (i = 0; i < d->live_count; i++)
		if (d->live[i].fd == fd)
			d->live[i--] = d->live[--d->live_count];
	dial_free(d);
	sock_become(s, s->config->datagram ? &transport_datagram :
	    &transport_stream, fd);
	/* Only now: most attempts of a probe never get as far. */
	if (s->kind == KIND_TCP && !(s->config->options != NULL &&
	    sockopt_list_has(s->config->options, "nodelay")))
		sock_set_nodelay(fd);
	if (!s->config->datagram)
		sock_first_layer(s, false);
	return CONNECTED;
}

/*
 * A connect(2) that ended, well or not; its descriptor is ours. Nobody can
 * reset what is not connected (the answer to a SYN is a refusal), so a reset
 * came after the connection, and perhaps after data: that is for who receives.
 */
static enum outcome
settle(struct sock *s, size_t index, int fd, int sys)
{
	if (sys == 0 && !s->config->datagram && met_itself(fd))
		sys = ECONNREFUSED;
	s->taken_error = sys == ECONNRESET ? sys : 0;
	if (sys == 0 || s->taken_error != 0)
		return win(s, index, fd);
	note_failure(s->priv, index, sys, "");
	(void)close(fd);
	return FAILED;
}

/* A socket that is ready to connect: UNDER_WAY, or why there is none. */
static enum outcome
open_attempt(struct sock *s, size_t index, int *fd, struct err *e)
{
	struct dial *d = s->priv;
	int family = d->addrs.v[index].u.sa.sa_family;

	*fd = sock_open_fd(s, family, false, e);
	if (*fd == -1) {
		if (e->code != ERR_CONNECT)
			return HOPELESS;
		note_failure(d, index, e->sys, e->text);
		err_clear(e);
		return FAILED;
	}
	if (!sock_apply_options(s, SOCKOPT_CONNECT, *fd, family, e))
		return HOPELESS;
	if (s->config->datagram && family == AF_UNIX)
		sys_autobind(*fd);
	return bind_source(s, *fd, index) ? UNDER_WAY : FAILED;
}

/* Start with the next address. */
static enum outcome
start_attempt(struct sock *s, struct err *e)
{
	struct dial *d = s->priv;
	size_t index = d->next++;
	const struct sk_addr *a = &d->addrs.v[index];
	int fd = -1, sys;
	enum outcome o;

	d->next_start_ns = clock_now_ns() + STAGGER_MS * CLOCK_MS;
	o = open_attempt(s, index, &fd, e);
	if (o != UNDER_WAY) {
		if (fd != -1)
			(void)close(fd);
		return o;
	}
	if (connect(fd, &a->u.sa, a->len) == 0)
		return settle(s, index, fd, 0);
	if (errno == EAGAIN && a->u.sa.sa_family == AF_UNIX) {
		/* A full backlog, and poll(2) does not tell when it is not. */
		(void)close(fd);
		d->next--;
		d->next_start_ns = clock_now_ns() + BACKLOG_RETRY_MS * CLOCK_MS;
		return LATER;
	}
	sys = errno;
	/* On this machine it has been refused by now. */
	if (sys == EINPROGRESS && (sys = sock_take_error(fd)) == 0)
		sys = EINPROGRESS;
	if (sys != EINPROGRESS)
		return settle(s, index, fd, sys);
	d->live[d->live_count++] = (struct attempt){ fd, index };
	return UNDER_WAY;
}

/* Look after those under way. True: one of them is connected. */
static bool
check_attempts(struct sock *s)
{
	struct dial *d = s->priv;
	struct pollfd fds[LIVE_MAX];
	struct attempt done;
	size_t i;

	for (i = 0; i < d->live_count; i++)
		fds[i] = (struct pollfd){ .fd = d->live[i].fd,
		    .events = POLLOUT };
	if (d->live_count == 0 || poll(fds, (nfds_t)d->live_count, 0) <= 0)
		return false;
	for (i = d->live_count; i-- > 0;) {
		if (fds[i].revents == 0)
			continue;
		done = d->live[i];
		d->live[i] = d->live[--d->live_count];
		s->generation = sock_next_generation();
		if (settle(s, done.index, done.fd,
		    sock_take_error(done.fd)) == CONNECTED)
			return true;
		d->next_start_ns = 0;	/* the next one need not wait */
	}
	return false;
}

static enum sk_result
dial_try(struct sock *s, struct err *e)
{
	struct dial *d = s->priv;
	enum outcome o = UNDER_WAY;
	enum sk_result r;

	r = resolve_all(s, e);
	if (r != SK_OK)
		return r;
	if (check_attempts(s))
		return SK_OK;
	while (o != LATER && d->next < d->addrs.count &&
	    d->live_count < LIVE_MAX && (d->live_count == 0 ||
	    clock_now_ns() >= d->next_start_ns)) {
		o = start_attempt(s, e);
		if (o == CONNECTED)
			return SK_OK;
		if (o == HOPELESS)
			return SK_ERROR;
	}
	if (d->next == d->addrs.count && d->live_count == 0) {
		err_move(e, &d->failed);
		return SK_ERROR;
	}
	if (d->next < d->addrs.count && d->live_count < LIVE_MAX)
		sock_pause(s, SK_OUT, d->next_start_ns, false);
	return SK_WANT_WRITE;
}

static size_t
dial_pollfds(const struct sock *s, enum sk_result want, struct pollfd *fds)
{
	const struct dial *d = s->priv;
	const struct resolve *waiting;
	size_t i;

	(void)want;
	waiting = d->source != NULL ? d->source : d->target;
	if (waiting != NULL && resolve_fd(waiting) != -1) {
		fds[0] = (struct pollfd){ .fd = resolve_fd(waiting),
		    .events = POLLIN };
		return 1;
	}
	for (i = 0; i < d->live_count; i++)
		fds[i] = (struct pollfd){ .fd = d->live[i].fd,
		    .events = POLLOUT };
	return d->live_count;
}
