#include "fault.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "sock/impl.h"
#include "tap.h"

enum {
	PERCENT = 100,
	DELAY_MAX_US = 1000,
};

struct fault {
	struct sock *inner;
	struct fault_config config;
	/* Each side has its own, as each can have a thread of its own. */
	struct fault_side {
		uint64_t random, bytes, faults;
	} side[SK_SIDES];
};

static uint64_t
below(struct fault_side *side, uint64_t limit)
{
	return tap_random(&side->random) % limit;
}

static bool
strikes(struct fault *f, struct fault_side *side)
{
	if (below(side, PERCENT) >= (uint64_t)f->config.percent)
		return false;
	side->faults++;
	return true;
}

/* Half of the faults put the call off; the want comes true by itself. */
static bool
puts_off(struct sock *s, enum sk_side which)
{
	struct fault *f = s->priv;
	struct fault_side *side = &f->side[which];
	int64_t delay_us;

	if (!strikes(f, side) || below(side, 2) == 0)
		return false;
	delay_us = 1 + (int64_t)below(side, DELAY_MAX_US);
	sock_pause(s, which, clock_now_ns() + delay_us * 1000, true);
	return true;
}

static size_t
shorten(struct sock *s, enum sk_side which, size_t len)
{
	struct fault *f = s->priv;
	struct fault_side *side = &f->side[which];

	if (s->tr->datagram || len < 2 || !strikes(f, side))
		return len;
	/* Now and then very short, else anything. */
	if (below(side, 4) == 0)
		return 1 + (size_t)below(side, 3) % (len - 1);
	return 1 + (size_t)below(side, len - 1);
}

/* How far the next call may go; false: the connection breaks now. */
static bool
limit(struct sock *s, enum sk_side which, size_t *len, struct err *e)
{
	struct fault *f = s->priv;
	uint64_t left;

	if (!f->config.breaks)
		return true;
	left = f->config.break_after - f->side[which].bytes;
	if (left == 0) {
		err_set(e, ERR_BROKEN, ECONNRESET, s->name, "%s",
		    which == SK_IN ? "receiving" : "sending");
		return false;
	}
	if (*len > left)
		*len = (size_t)left;
	return true;
}

/* What the inner call wants is what the outer one wants. */
static enum sk_result
pass_on(struct sock *s, enum sk_side side, enum sk_result r)
{
	struct fault *f = s->priv;

	if (r == SK_WANT_READ || r == SK_WANT_WRITE)
		sock_pause(s, side, f->inner->pause_ns[side],
		    f->inner->pause_only[side]);
	return r;
}

static enum sk_result
fault_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	struct fault *f = s->priv;
	enum sk_result r;

	if (puts_off(s, SK_IN))
		return SK_WANT_READ;
	len = shorten(s, SK_IN, len);
	if (!limit(s, SK_IN, &len, e))
		return SK_ERROR;
	r = sock_recv(f->inner, buf, len, got, e);
	f->side[SK_IN].bytes += *got;
	return pass_on(s, SK_IN, r);
}

static enum sk_result
fault_try_send(struct sock *s, const void *buf, size_t len, size_t *put,
    struct err *e)
{
	struct fault *f = s->priv;
	enum sk_result r;

	if (puts_off(s, SK_OUT))
		return SK_WANT_WRITE;
	len = shorten(s, SK_OUT, len);
	if (!limit(s, SK_OUT, &len, e))
		return SK_ERROR;
	r = sock_send(f->inner, buf, len, put, e);
	f->side[SK_OUT].bytes += *put;
	return pass_on(s, SK_OUT, r);
}

static enum sk_result
fault_try_shutdown(struct sock *s, struct err *e)
{
	struct fault *f = s->priv;

	if (puts_off(s, SK_OUT))
		return SK_WANT_WRITE;
	return pass_on(s, SK_OUT, sock_shutdown_write(f->inner, e));
}

static enum sk_result
fault_try_drain(struct sock *s, struct err *e)
{
	struct fault *f = s->priv;

	if (puts_off(s, SK_OUT))
		return SK_WANT_WRITE;
	return pass_on(s, SK_OUT, sock_drain(f->inner, e));
}

static size_t
fault_pollfds(const struct sock *s, enum sk_result want, struct pollfd *fds)
{
	const struct fault *f = s->priv;

	return sock_pollfds(f->inner, want == SK_WANT_READ ? SK_IN : SK_OUT,
	    want, fds);
}

/* sock_close has disarmed s: then the inner one is closed in order as well. */
static void
fault_release(struct sock *s)
{
	struct fault *f = s->priv;
	struct err e = { 0 };

	if (!s->armed)
		(void)sock_disarm(f->inner, &e);
	err_clear(&e);
	sock_abort(&f->inner);
	free(f);
}

static const struct transport transport_fault = {
	.try_recv = fault_try_recv,
	.try_send = fault_try_send,
	.try_shutdown = fault_try_shutdown,
	.try_drain = fault_try_drain,
	.pollfds = fault_pollfds,
	.release = fault_release,
};

static const struct transport transport_fault_datagram = {
	.datagram = true,
	.try_recv = fault_try_recv,
	.try_send = fault_try_send,
	.try_shutdown = fault_try_shutdown,
	.try_drain = fault_try_drain,
	.pollfds = fault_pollfds,
	.release = fault_release,
};

struct sock *
fault_wrap(struct sock *inner, enum sk_mode mode,
    const struct fault_config *config, struct err *e)
{
	struct fault *f = calloc(1, sizeof(*f));
	struct sock *s;
	uint64_t seed = config->seed;

	if (f == NULL) {
		err_no_memory(e);
		sock_abort(&inner);
		return NULL;
	}
	s = sock_make(inner->tr->datagram ? &transport_fault_datagram :
	    &transport_fault, -1, mode, inner->name, e);
	if (s == NULL) {
		sock_abort(&inner);
		free(f);
		return NULL;
	}
	sock_set_mode(inner, SK_NONBLOCKING);
	f->inner = inner;
	f->config = *config;
	f->side[SK_IN].random = tap_random(&seed);
	f->side[SK_OUT].random = tap_random(&seed);
	s->priv = f;
	s->family = inner->family;
	s->armed = inner->armed;
	return s;
}

uint64_t
fault_count(const struct sock *s)
{
	const struct fault *f = s->priv;

	return f->side[SK_IN].faults + f->side[SK_OUT].faults;
}
