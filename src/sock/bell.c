/* Something to wait for that is no descriptor of a peer: a latch. */
#include "sock/impl.h"

static enum sk_result
bell_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	struct latch *latch = s->priv;

	(void)buf;
	(void)len;
	(void)got;
	(void)e;
	if (!latch_is_set(latch))
		return SK_WANT_READ;
	latch_reset(latch);
	return SK_OK;
}

static size_t
bell_pollfds(const struct sock *s, enum sk_result want, struct pollfd *fds)
{
	const struct latch *latch = s->priv;

	(void)want;
	fds[0] = (struct pollfd){ .fd = latch->fd, .events = POLLIN };
	return 1;
}

static const struct transport transport_bell = {
	.try_recv = bell_try_recv,
	.pollfds = bell_pollfds,
};

struct sock *
sock_bell(struct latch *latch, enum sk_mode mode, struct err *e)
{
	struct sock *s = sock_make(&transport_bell, -1, mode, "", e);

	if (s != NULL)
		s->priv = latch;
	return s;
}
