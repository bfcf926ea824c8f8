/* From a session to connected sockets, and through a relay. */
#include "cli/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/intr.h"
#include "base/log.h"
#include "flow/serve.h"
#include "cli/ready.h"
#include "sock/activate.h"

enum {
	RETRY_FIRST_MS = 50,
	RETRY_LAST_MS = 1000,
	RETRY_GRACE_MS = 250,	/* for the last try, at the very end */
};

/* Which limit was it that an established deadline stood for? */
static enum sk_result
time_is_up(const struct session *s, const char *who, const char *option,
    struct err *e)
{
	if (clock_now_ns() >= s->deadline_ns)
		option = "the run has taken its --timeout";
	err_set(e, ERR_TIMEOUT, 0, who, "%s", option);
	return SK_ERROR;
}

/* A call that was made in either mode, until it has an outcome. */
static enum sk_result
complete(struct sock *s, enum sk_result (*call)(struct sock *, struct err *),
    struct err *e)
{
	enum sk_result r;

	do {
		r = call(s, e);
		if (r != SK_WANT_READ && r != SK_WANT_WRITE)
			break;
		r = sock_wait(s, SK_OUT, r);
	} while (r == SK_OK);
	return r;
}

static enum sk_result
connect_once(struct session *s, int64_t deadline_ns, struct sock **peer,
    struct err *e)
{
	enum sk_result r;

	*peer = sock_new(&s->addr, &s->config, e);
	if (*peer == NULL)
		return SK_ERROR;
	sock_set_deadline(*peer, deadline_ns);
	r = complete(*peer, sock_connect, e);
	if (r == SK_OK)
		r = complete(*peer, sock_handshake, e);
	if (r != SK_OK)
		sock_abort(peer);
	return r;
}

static bool
is_worth_retrying(enum sk_result r, const struct err *e)
{
	return r == SK_TIMEOUT || (r == SK_ERROR &&
	    (e->code == ERR_CONNECT || e->code == ERR_RESOLVE));
}

/* The deadline of one try that begins now. */
static int64_t
try_deadline(const struct session *s, int64_t now, int64_t retry_end)
{
	int64_t deadline = s->deadline_ns;

	if (s->common->time.connect_ns >= 0)
		deadline = clock_min_ns(deadline, clock_after_ns(now,
		    s->common->time.connect_ns));
	if (retry_end == CLOCK_NEVER)
		return deadline;
	if (retry_end < now + RETRY_GRACE_MS * CLOCK_MS)
		retry_end = now + RETRY_GRACE_MS * CLOCK_MS;
	return clock_min_ns(deadline, retry_end);
}

/* Wait before the next try. False: there is no next one. */
static bool
back_off(const struct session *s, int64_t *delay_ns, int64_t retry_end)
{
	int64_t now = clock_now_ns(), wake;

	if (now >= retry_end || now >= s->deadline_ns)
		return false;
	wake = clock_min_ns(clock_min_ns(now + *delay_ns, retry_end),
	    s->deadline_ns);
	*delay_ns = clock_min_ns(*delay_ns * 2, RETRY_LAST_MS * CLOCK_MS);
	return intr_sleep(wake);
}

static enum sk_result
session_connect(struct session *s, int64_t retry_end, struct sock **peer,
    struct err *e)
{
	int64_t delay_ns = RETRY_FIRST_MS * CLOCK_MS;
	bool retries = retry_end != CLOCK_NEVER;
	char name[ADDR_NAME_MAX], why[ERR_TEXT_MAX * 2];
	enum sk_result r;

	for (;;) {
		r = connect_once(s, try_deadline(s, clock_now_ns(),
		    retry_end), peer, e);
		if (!retries || !is_worth_retrying(r, e) ||
		    !back_off(s, &delay_ns, retry_end))
			break;
		log_verbose("%s; trying again", r == SK_TIMEOUT ?
		    addr_name(&s->addr, name) :
		    err_format(e, why, sizeof(why)));
		err_clear(e);
	}
	if (intr_signal() != 0 && r != SK_OK)
		return SK_INTERRUPTED;
	if (r == SK_TIMEOUT)
		return time_is_up(s, addr_name(&s->addr, name), retries &&
		    clock_now_ns() >= retry_end ?
		    "not connected within --retry-for" :
		    "not connected within --connect-timeout", e);
	if (r == SK_OK)
		log_verbose("connected to %s", sock_name(*peer));
	return r;
}

/* From now on, D (-1: any time) is what a call of the listener may take. */
static void
limit_waiting(const struct session *s, struct sock *listener,
    int64_t duration_ns)
{
	int64_t limit = duration_ns < 0 ? CLOCK_NEVER :
	    clock_after_ns(clock_now_ns(), duration_ns);

	sock_set_deadline(listener, clock_min_ns(limit, s->deadline_ns));
}

enum sk_result
session_listen(struct session *s, struct sock **listener, struct err *e)
{
	enum sk_result r;

	r = access_resolve(s->access, s->config.numeric, s->deadline_ns, e);
	if (r == SK_TIMEOUT)
		return time_is_up(s, "", "", e);
	if (r != SK_OK)
		return r;
	*listener = s->inherits ? sock_activated(&s->config, e) :
	    sock_new(&s->addr, &s->config, e);
	if (*listener == NULL)
		return SK_ERROR;
	limit_waiting(s, *listener, s->common->time.accept_ns);
	r = s->inherits ? SK_OK : complete(*listener, sock_listen, e);
	if (r == SK_TIMEOUT)
		r = time_is_up(s, sock_name(*listener),
		    "not looked up within --accept-timeout", e);
	if (r == SK_OK && !ready_announce(s->bind, *listener,
	    s->addr.kind == ADDR_INET && strcmp(s->addr.port, "0") == 0, e))
		r = SK_ERROR;
	if (r != SK_OK)
		sock_abort(listener);
	return r;
}

/* What comes before the data: a PROXY header, and whether it may come. */
static enum sk_result
admit(struct session *s, struct sock **peer, struct err *e)
{
	enum sk_result r;

	sock_set_deadline(*peer, clock_min_ns(s->deadline_ns,
	    clock_now_ns() + SERVE_HANDSHAKE_MS * CLOCK_MS));
	r = complete(*peer, sock_handshake, e);
	if (r == SK_TIMEOUT && clock_now_ns() < s->deadline_ns)
		r = time_is_up(s, sock_name(*peer),
		    "no PROXY header within 5 s", e);
	if (r == SK_OK && access_permits(s->access, *peer)) {
		sock_set_deadline(*peer, s->deadline_ns);
		return SK_OK;
	}
	if (r == SK_OK)
		log_verbose("refused %s", sock_name(*peer));
	else if (r == SK_ERROR)
		session_tell(e);
	sock_abort(peer);
	return r == SK_INTERRUPTED ? r : SK_ERROR;
}

/* The next one who may come. */
static enum sk_result
accept_one(struct session *s, struct sock **peer, struct err *e)
{
	enum sk_result r;

	do {
		do {
			r = sock_accept(s->listener, peer, e);
			if (r != SK_WANT_READ && r != SK_WANT_WRITE)
				break;
			r = sock_wait(s->listener, SK_IN, r);
		} while (r == SK_OK);
		if (r != SK_OK)
			return r;
		r = admit(s, peer, e);
	} while (r == SK_ERROR && clock_now_ns() < s->deadline_ns);
	if (r == SK_OK)
		log_verbose("connection from %s", sock_name(*peer));
	return r == SK_ERROR ? SK_TIMEOUT : r;
}

enum sk_result
session_await_datagram(struct session *s, struct sock *listener,
    struct err *e)
{
	enum sk_result r;

	if (s->common->time.accept_ns < 0)
		return SK_OK;
	r = sock_wait(listener, SK_IN, SK_WANT_READ);
	if (r == SK_TIMEOUT)
		return time_is_up(s, sock_name(listener),
		    "no datagram within --accept-timeout", e);
	return r;
}

enum sk_result
session_establish(struct session *s, struct sock **peer, struct err *e)
{
	enum sk_result r;

	if (!s->listens)
		return session_connect(s, s->dial->retry_ns < 0 ?
		    CLOCK_NEVER : clock_after_ns(clock_now_ns(),
		    s->dial->retry_ns), peer, e);
	if (s->listener == NULL) {
		r = session_listen(s, &s->listener, e);
		if (r != SK_OK)
			return r;
	} else
		limit_waiting(s, s->listener, s->common->time.accept_ns);
	r = accept_one(s, peer, e);
	if (r == SK_TIMEOUT)
		r = time_is_up(s, sock_name(s->listener),
		    "no connection within --accept-timeout", e);
	if (!s->stays)
		session_end(s);
	return r;
}

enum sk_result
session_resume(struct session *s, int64_t until_ns, struct sock **peer,
    struct err *e)
{
	if (!s->listens)
		return session_connect(s, until_ns, peer, e);
	sock_set_deadline(s->listener, clock_min_ns(until_ns,
	    s->deadline_ns));
	return accept_one(s, peer, e);
}

void
session_end(struct session *s)
{
	sock_abort(&s->listener);
}

enum pump_unit
session_unit(enum datagram_unit unit, const struct sock *in)
{
	if (unit == DATAGRAM_LINE)
		return PUMP_LINE;
	if (unit == DATAGRAM_CHUNK || !sock_is_terminal(in))
		return PUMP_CHUNK;
	return PUMP_LINE;
}

static void
tell_refusal(const struct err *refusal)
{
	char text[ERR_WHO_MAX + ERR_TEXT_MAX];

	log_error("%s", err_format(refusal, text, sizeof(text)));
}

bool
session_no_move(void)
{
	const char *off = getenv("HAUL_NO_ZEROCOPY");

	return off != NULL && *off != '\0' && strcmp(off, "0") != 0;
}

enum sk_result
session_relay(struct session *s, struct relay_config *config,
    struct sock *in, struct sock *out, struct sock **peer, struct err *e)
{
	struct relay_counts counts = { 0 };
	enum sk_result r;

	config->mode = s->mode;
	config->idle_ns = s->common->time.idle_ns;
	config->deadline_ns = s->deadline_ns;
	config->no_move = session_no_move();
	config->on_refusal = tell_refusal;
	r = relay_run(config, in, out, peer, &counts, e);
	sock_abort(peer);
	log_verbose("sent %llu bytes, received %llu bytes",
	    (unsigned long long)counts.sent,
	    (unsigned long long)counts.received);
	return r;
}
