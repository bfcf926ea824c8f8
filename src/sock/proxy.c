/*
 * Connecting through a proxy: a socket below is connected with it and agrees
 * with it, and in the end its descriptor becomes ours.
 */
#include "sock/proxy_impl.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sock/resolve.h"

struct tunnel {
	struct resolve *resolve;	/* NULL: done, or the proxy does it */
	struct sk_addrs addrs;		/* none: the name goes to the proxy */
	size_t next;			/* address to try next */
	struct sock *below;		/* NULL: to be made */
	bool connected;
	enum sk_side waits;		/* the side of it that has a want */
	struct proxy_talk talk;
	struct err refused;		/* a reason for each address */
};

static enum sk_result proxy_try(struct sock *, struct err *);
static size_t proxy_pollfds(const struct sock *, enum sk_result,
    struct pollfd *);
static void proxy_release(struct sock *);

static const struct transport transport_proxy = {
	.try_connect = proxy_try,
	.pollfds = proxy_pollfds,
	.release = proxy_release,
};

void
proxy_say(struct proxy_talk *t, const void *data, size_t len)
{
	memcpy(t->out + t->out_len, data, len);
	t->out_len += len;
}

void
proxy_expect(struct proxy_talk *t, size_t len)
{
	t->in_len = 0;
	t->in_want = len;
}

enum proxy_answer
proxy_reason(struct proxy_talk *t, enum proxy_answer answer, const char *fmt,
    ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(t->reason, sizeof(t->reason), fmt, ap);
	va_end(ap);
	return answer;
}

static void
proxy_release(struct sock *s)
{
	struct tunnel *p = s->priv;

	if (p == NULL)
		return;
	resolve_free(p->resolve);
	free(p->addrs.v);
	sock_abort(&p->below);
	err_clear(&p->refused);
	free(p);
}

static bool
is_literal(const char *host)
{
	struct in6_addr a;

	return inet_pton(AF_INET, host, &a) == 1 || strchr(host, ':') != NULL;
}

static bool
usage(const struct sock *s, const char *text, struct err *e)
{
	err_set(e, ERR_USAGE, 0, s->name, "%s", text);
	return false;
}

static bool
can_go(const struct sock *s, struct err *e)
{
	const struct addr *a = &s->origin->addr;
	const struct proxy_kind *kind = s->config->proxy->kind;

	if (s->config->datagram)
		return usage(s, "a proxy takes no datagrams", e);
	if (a->kind != ADDR_INET)
		return usage(s, "a proxy connects to TCP ports alone", e);
	if (strchr(a->host, '%') != NULL)
		return usage(s, "a proxy does not know our interfaces", e);
	if (kind->ipv4 && !kind->remote && s->config->family == AF_INET6)
		return usage(s, "SOCKS 4 has no IPv6", e);
	return true;
}

enum sk_result
proxy_start(struct sock *s, struct err *e)
{
	const struct proxy_kind *kind = s->config->proxy->kind;
	const struct addr *a = &s->origin->addr;
	struct sock_config config = *s->config;
	struct tunnel *p;

	if (!can_go(s, e))
		return SK_ERROR;
	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		err_no_memory(e);
		return SK_ERROR;
	}
	s->priv = p;
	s->tr = &transport_proxy;
	if (kind->ipv4 && !kind->remote)
		config.family = AF_INET;
	/* 4a can send what is an IPv6 address as a name only. */
	if (!kind->remote || (is_literal(a->host) &&
	    !(kind->ipv4 && strchr(a->host, ':') != NULL))) {
		p->resolve = resolve_start(a, &config, false, s->name, e);
		if (p->resolve == NULL)
			return SK_ERROR;
	}
	return proxy_try(s, e);
}

/* A socket for the proxy, and all that is to be said to it still unsaid. */
static bool
begin(struct sock *s, struct err *e)
{
	const struct proxy *proxy = s->config->proxy;
	struct sock_config config = *s->config;
	struct tunnel *p = s->priv;
	const struct addr *a = &s->origin->addr;

	config.mode = SK_NONBLOCKING;
	config.proxy = NULL;
	config.announce = ANNOUNCE_NOT;
	config.telnet = false;
	/* Its address leaves nothing to choose. */
	if (is_literal(proxy->addr.host))
		config.family = AF_UNSPEC;
	sock_abort(&p->below);
	p->below = sock_new(&proxy->addr, &config, e);
	if (p->below == NULL)
		return false;
	p->connected = false;
	memset(&p->talk, 0, sizeof(p->talk));
	p->talk.proxy = proxy;
	p->talk.host = a->host;
	p->talk.port = (uint16_t)strtoul(a->port, NULL, 10);
	if (p->addrs.count > 0)
		p->talk.to = &p->addrs.v[p->next++];
	return true;
}

/* The one below wants what we want, at the time it says. */
static enum sk_result
pass_on(struct sock *s, enum sk_side side, enum sk_result r)
{
	struct tunnel *p = s->priv;

	p->waits = side;
	if (r == SK_WANT_READ || r == SK_WANT_WRITE)
		sock_pause(s, SK_OUT, p->below->pause_ns[side],
		    p->below->pause_only[side]);
	return r;
}

/* Why the proxy cannot be reached: each reason names it. */
static void
name_proxy(struct err *e)
{
	char who[sizeof(e->who)];

	for (; e != NULL; e = e->next)
		if (*e->who != '\0') {
			memcpy(who, e->who, sizeof(who));
			(void)snprintf(e->who, sizeof(e->who), "proxy %.*s",
			    (int)sizeof(who) - 16, who);
		}
}

/* What the agreement failed with; phase may be "". */
static enum sk_result
failed(struct sock *s, int sys, const char *text, struct err *e)
{
	char name[ADDR_NAME_MAX];

	err_set(e, ERR_CONNECT, sys, s->name, "proxy %s%s%s",
	    addr_name(&s->config->proxy->addr, name),
	    *text != '\0' ? ": " : "", text);
	return SK_ERROR;
}

/* The proxy has refused an address: the reasons of all are kept. */
static void
note_refusal(struct sock *s)
{
	struct tunnel *p = s->priv;
	struct err e = { 0 };

	(void)failed(s, 0, p->talk.reason, &e);
	if (p->addrs.count > 1)
		sock_format(p->talk.to, e.who, sizeof(e.who));
	err_append(&p->refused, &e);
	err_clear(&e);
}

/* All of out, then all of in, as far as it goes now. */
static enum sk_result
exchange(struct sock *s, struct err *e)
{
	struct tunnel *p = s->priv;
	struct proxy_talk *t = &p->talk;
	enum sk_result r = SK_OK;
	enum sk_side side = SK_OUT;
	size_t n;

	while (r == SK_OK && t->out_done < t->out_len) {
		r = sock_send(p->below, t->out + t->out_done,
		    t->out_len - t->out_done, &n, e);
		t->out_done += n;
	}
	while (r == SK_OK && t->in_len < t->in_want) {
		side = SK_IN;
		r = sock_recv(p->below, t->in + t->in_len,
		    t->in_want - t->in_len, &n, e);
		t->in_len += n;
	}
	if (r == SK_EOF)
		return failed(s, 0, "closed the connection", e);
	if (r == SK_ERROR)
		return failed(s, e->sys, "", e);
	return pass_on(s, side, r);
}

/* SK_OK: agreed or refused; *answer tells. */
static enum sk_result
agree(struct sock *s, enum proxy_answer *answer, struct err *e)
{
	struct tunnel *p = s->priv;
	struct proxy_talk *t = &p->talk;
	enum sk_result r;

	for (;;) {
		r = exchange(s, e);
		if (r != SK_OK)
			return r;
		t->out_len = t->out_done = 0;
		*answer = t->proxy->kind->next(t);
		if (*answer == PROXY_FAILED)
			return failed(s, 0, t->reason, e);
		if (*answer != PROXY_MORE)
			return SK_OK;
	}
}

/* The connection with the proxy is the one with the target now. */
static void
take_over(struct sock *s)
{
	struct tunnel *p = s->priv;
	int fd = p->below->fd;

	p->below->fd = -1;
	s->taken_error = atomic_load(&p->below->taken_error);
	proxy_release(s);
	sock_become(s, &transport_stream, fd);
	sock_first_layer(s, false);
}

static enum sk_result
try_below(struct sock *s, enum proxy_answer *answer, struct err *e)
{
	struct tunnel *p = s->priv;
	enum sk_result r;

	if (p->below == NULL && !begin(s, e))
		return SK_ERROR;
	if (!p->connected) {
		r = pass_on(s, SK_OUT, sock_connect(p->below, e));
		s->generation = p->below->generation;
		if (r == SK_ERROR)
			name_proxy(e);
		if (r != SK_OK)
			return r;
		p->connected = true;
	}
	return agree(s, answer, e);
}

static enum sk_result
proxy_try(struct sock *s, struct err *e)
{
	struct tunnel *p = s->priv;
	enum proxy_answer answer;
	enum sk_result r;

	if (p->resolve != NULL) {
		r = resolve_try(p->resolve, &p->addrs, e);
		if (r != SK_OK)
			return r;
		resolve_free(p->resolve);
		p->resolve = NULL;
	}
	for (;;) {
		r = try_below(s, &answer, e);
		if (r != SK_OK)
			return r;
		if (answer == PROXY_AGREED) {
			take_over(s);
			return SK_OK;
		}
		note_refusal(s);
		sock_abort(&p->below);
		if (p->next >= p->addrs.count) {
			err_move(e, &p->refused);
			return SK_ERROR;
		}
	}
}

static size_t
proxy_pollfds(const struct sock *s, enum sk_result want, struct pollfd *fds)
{
	const struct tunnel *p = s->priv;

	if (p->resolve == NULL)
		return sock_pollfds(p->below, p->waits, want, fds);
	fds[0] = (struct pollfd){ .fd = resolve_fd(p->resolve),
	    .events = POLLIN };
	return 1;
}
