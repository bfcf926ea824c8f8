/* Looking a name up for many connections. */
#include "sock/lookup.h"

#include <stdio.h>
#include <stdlib.h>

#include "sock/resolve.h"

struct found {
	/* Kept to the end: its descriptor may be watched until then. */
	struct resolve *resolve;
	bool done;
	struct sk_addrs addrs;
};

static enum sk_result
lookup_try(struct sock *s, struct err *e)
{
	struct found *f = s->priv;
	enum sk_result r;

	if (f->done)
		return SK_OK;
	r = resolve_try(f->resolve, &f->addrs, e);
	f->done = r == SK_OK;
	return r;
}

static size_t
lookup_pollfds(const struct sock *s, enum sk_result want, struct pollfd *fds)
{
	const struct found *f = s->priv;

	(void)want;
	fds[0] = (struct pollfd){ .fd = resolve_fd(f->resolve),
	    .events = POLLIN };
	return 1;
}

static void
lookup_release(struct sock *s)
{
	struct found *f = s->priv;

	if (f == NULL)
		return;
	resolve_free(f->resolve);
	free(f->addrs.v);
	free(f);
}

static const struct transport transport_lookup = {
	.try_connect = lookup_try,
	.pollfds = lookup_pollfds,
	.release = lookup_release,
};

struct sock *
sock_lookup(const struct addr *a, const struct sock_config *config,
    struct err *e)
{
	char name[ADDR_NAME_MAX];
	struct found *f;
	struct sock *s;

	s = sock_make(&transport_lookup, -1, config->mode, addr_name(a, name),
	    e);
	if (s == NULL)
		return NULL;
	f = s->priv = calloc(1, sizeof(*f));
	if (f == NULL)
		err_no_memory(e);
	else
		f->resolve = resolve_start(a, config, false, a->host, e);
	if (f == NULL || f->resolve == NULL)
		sock_abort(&s);
	return s;
}

const struct sk_addrs *
sock_found(const struct sock *lookup)
{
	const struct found *f = lookup->priv;

	return &f->addrs;
}

size_t
sock_found_count(const struct sock *lookup)
{
	return sock_found(lookup)->count;
}

void
sock_found_host(const struct sock *lookup, char *host)
{
	struct sk_name name;

	sock_split(&sock_found(lookup)->v[0], &name);
	(void)snprintf(host, ADDR_HOST_MAX, "%s", name.host);
}
