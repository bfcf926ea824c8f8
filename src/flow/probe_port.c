/* Trying one port after the other. */
#include "flow/probe_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sock/lookup.h"

enum { DATAGRAM_MAX = 65536, STREAM_CHUNK = 4096 };

/* The next port that is to be tried; NULL: there is none. */
static struct port_result *
claim(struct probe *p)
{
	struct port_result *r = NULL;

	(void)pthread_mutex_lock(&p->lock);
	while (r == NULL && p->next < p->count) {
		r = &p->results[p->next++];
		if (probe_wanted(p, (enum probe_state)r->state))
			r = NULL;
		else if (r->host->failed != PROBE_UNTRIED) {
			r->state = (unsigned char)r->host->failed;
			r = NULL;
		}
	}
	if (p->next == p->count)
		(void)probe_tell(p);
	(void)pthread_mutex_unlock(&p->lock);
	return r;
}

/*
 * Look for what is expected, which may come in parts (Knuth, Morris, Pratt):
 * matched is how much of its beginning has just come. Where it goes on with
 * another byte, as much of it has come as is both a beginning and the end of
 * that, which is what borders tells.
 */
static bool
matches(struct prober *pr, const char *buf, size_t len)
{
	const struct probe_config *c = pr->probe->config;
	size_t i, m = pr->matched;

	for (i = 0; i < len && m < c->expect_len; i++) {
		while (m > 0 && c->expect[m] != buf[i])
			m = pr->probe->borders[m];
		m += c->expect[m] == buf[i];
	}
	pr->matched = m;
	return m == c->expect_len;
}

/* The address that has answered, where it is not the first one. */
static void
note_answer(struct prober *pr)
{
	struct port_result *r = pr->result;
	struct sock_ends ends;

	if (r->host->direct)
		return;
	sock_get_ends(pr->sock, &ends);
	if (strcmp(ends.peer_host, r->host->name) == 0)
		return;
	free(r->answered);
	r->answered = strdup(ends.peer_host);
}

static void
note_silence(const struct prober *pr, struct err *e)
{
	const struct probe_config *c = pr->probe->config;
	const char *what = "not connected";
	char within[32];

	if (pr->phase != PHASE_CONNECT && pr->phase != PHASE_HANDSHAKE)
		what = c->expect_len > 0 ? "has not sent what is expected" :
		    "no answer";
	err_set(e, ERR_TIMEOUT, 0, sock_name(pr->sock),
	    "%s within %s (%s)", what, c->try_option,
	    probe_duration(c->try_ns, within));
}

/* The result of a try. SK_ERROR: no other would do better. */
static enum sk_result
conclude(struct prober *pr, enum sk_result r, struct err *e)
{
	struct probe *p = pr->probe;
	enum probe_state state = PROBE_CLOSED;
	bool told;

	if (r == SK_ERROR && e->code != ERR_CONNECT &&
	    e->code != ERR_BROKEN && e->code != ERR_RESOLVE &&
	    e->code != ERR_TIMEOUT)
		return r;
	if (r == SK_TIMEOUT)
		note_silence(pr, e);
	if (r == SK_OK) {
		state = PROBE_OPEN;
		note_answer(pr);
	} else if (e->code == ERR_TIMEOUT || e->sys == ETIMEDOUT)
		state = PROBE_SILENT;
	else if (e->code == ERR_RESOLVE)
		state = PROBE_NAMELESS;
	(void)pthread_mutex_lock(&p->lock);
	pr->result->state = (unsigned char)state;
	if (pr->result->host->count == 1)
		err_move(&pr->result->host->why, e);
	told = probe_tell(p);
	(void)pthread_mutex_unlock(&p->lock);
	err_clear(e);
	if (told)
		return SK_EOF;
	err_no_memory(e);
	return SK_ERROR;
}

static enum sk_result
try_connect(struct prober *pr, struct err *e)
{
	enum sk_result r;

	r = sock_connect(pr->sock, e);
	/* On this machine the answer is there at once. */
	if (r == SK_WANT_WRITE && !pr->waited)
		r = sock_connect(pr->sock, e);
	if (r == SK_OK)
		pr->phase = PHASE_HANDSHAKE;
	return r;
}

static enum sk_result
try_handshake(struct prober *pr, struct err *e)
{
	const struct probe_config *c = pr->probe->config;
	int64_t now;
	enum sk_result r;

	r = sock_handshake(pr->sock, e);
	if (r != SK_OK)
		return r;
	now = clock_now_ns();
	pr->hold_end_ns = clock_after_ns(now, c->hold_ns);
	if (!sock_is_datagram(pr->sock))
		pr->phase = c->hold_ns > 0 || c->expect_len > 0 ? PHASE_HEAR :
		    PHASE_DONE;
	else
		pr->phase = pr->result->port > 0 ? PHASE_ASK : PHASE_DONE;
	return SK_OK;
}

static enum sk_result
ask(struct prober *pr, struct err *e)
{
	int64_t now = clock_now_ns();
	enum sk_result r;
	size_t put;

	r = sock_send(pr->sock, "", 0, &put, e);
	if (r != SK_OK)
		return r;
	sock_set_deadline(pr->sock, pr->asked ? pr->limit_ns :
	    now + (pr->limit_ns - now) / 2);
	pr->phase = PHASE_HEAR;
	return SK_OK;
}

static enum sk_result
hear_datagram(struct prober *pr, struct err *e)
{
	char *buf = malloc(DATAGRAM_MAX);
	enum sk_result r;
	size_t got = 0;

	if (buf == NULL) {
		err_no_memory(e);
		return SK_ERROR;
	}
	r = sock_recv(pr->sock, buf, DATAGRAM_MAX, &got, e);
	pr->matched = 0;
	if (r == SK_OK && matches(pr, buf, got))
		pr->phase = PHASE_DONE;
	else if (r == SK_TIMEOUT && !pr->asked) {
		pr->asked = true;
		sock_set_deadline(pr->sock, pr->limit_ns);
		pr->phase = PHASE_ASK;
		r = SK_OK;
	}
	free(buf);
	return r;
}

static enum sk_result
hear_stream(struct prober *pr, struct err *e)
{
	const struct probe_config *c = pr->probe->config;
	bool heard = pr->matched == c->expect_len;
	int64_t end = heard ? pr->hold_end_ns : pr->limit_ns;
	char buf[STREAM_CHUNK];
	enum sk_result r;
	size_t got = 0;

	sock_set_deadline(pr->sock, clock_min_ns(end, c->deadline_ns));
	r = clock_now_ns() < end ? sock_recv(pr->sock, buf, sizeof(buf), &got,
	    e) : SK_TIMEOUT;
	if (r == SK_EOF) {
		err_set(e, ERR_CONNECT, 0, sock_name(pr->sock), heard ?
		    "closed the connection within --hold-for" :
		    "closed the connection before it sent what is expected");
		r = SK_ERROR;
	}
	if (r == SK_OK)
		(void)matches(pr, buf, got);
	if (r == SK_TIMEOUT && heard && clock_now_ns() >= end) {
		pr->phase = PHASE_DONE;
		r = SK_OK;
	}
	if (pr->matched == c->expect_len && c->hold_ns == 0 && r == SK_OK)
		pr->phase = PHASE_DONE;
	return r;
}

static enum sk_result
hear(struct prober *pr, struct err *e)
{
	return sock_is_datagram(pr->sock) ? hear_datagram(pr, e) :
	    hear_stream(pr, e);
}

static enum sk_result
step(struct leg *leg, struct err *e)
{
	static const struct {
		enum sk_result (*go)(struct prober *, struct err *);
		enum sk_side side;
	} phases[] = {
		[PHASE_CONNECT] = { try_connect, SK_OUT },
		[PHASE_HANDSHAKE] = { try_handshake, SK_OUT },
		[PHASE_ASK] = { ask, SK_OUT },
		[PHASE_HEAR] = { hear, SK_IN },
	};
	struct prober *pr = leg->owner;
	enum probe_phase phase;
	enum sk_result r;

	do {
		phase = pr->phase;
		r = phases[phase].go(pr, e);
	} while (r == SK_OK && pr->phase != PHASE_DONE && pr->phase != phase);
	leg->waits = pr->sock;
	leg->side = (unsigned char)phases[phase].side;
	if (r == SK_WANT_READ || r == SK_WANT_WRITE) {
		if (!pr->waited)
			probe_go_on(pr->probe);
		pr->waited = true;
		return r;
	}
	if (r == SK_INTERRUPTED || (r == SK_OK && pr->phase != PHASE_DONE))
		return r;
	return conclude(pr, r, e);
}

static struct sock *
open_sock(const struct prober *pr, struct err *e)
{
	const struct probe_config *c = pr->probe->config;
	const struct probe_host *h = pr->result->host;
	struct sock_config config = *c->sock;
	struct addr a = h->target->addr;

	config.mode = c->mode;
	config.brief = h->count > 1;
	if (pr->result->port > 0)
		(void)snprintf(a.port, sizeof(a.port), "%u",
		    (unsigned)pr->result->port);
	if (!h->direct)
		config.known = sock_found(h->lookup);
	return sock_new(&a, &config, e);
}

/* An open one is left in order, as nothing is missing. */
void
prober_leave(struct prober *pr)
{
	struct err ignored = { .code = ERR_NONE };

	if (pr->sock == NULL)
		return;
	if (pr->phase == PHASE_DONE) {
		sock_set_mode(pr->sock, SK_NONBLOCKING);
		(void)sock_close(&pr->sock, &ignored);
		err_clear(&ignored);
	}
	sock_abort(&pr->sock);
}

/* A stage of its own for the next port. False: there is none, or *r. */
static bool
open_next(struct prober *pr, enum sk_result *r, struct err *e)
{
	pr->result = claim(pr->probe);
	if (pr->result == NULL)
		return false;
	pr->sock = open_sock(pr, e);
	if (pr->sock == NULL) {
		*r = SK_ERROR;
		return false;
	}
	pr->phase = PHASE_CONNECT;
	pr->waited = pr->asked = false;
	pr->matched = 0;
	pr->limit_ns = probe_limit_ns(pr->probe, pr->result->host->took_ns);
	sock_set_deadline(pr->sock, pr->limit_ns);
	stage_init_single(&pr->stage, &pr->leg, pr, step);
	pr->stage.socks[0] = pr->sock;
	return true;
}

static struct stage *
next(struct run *r, enum sk_result *result, struct err *e)
{
	struct prober *pr = r->owner;

	prober_leave(pr);
	return *result == SK_OK && open_next(pr, result, e) ? &pr->stage :
	    NULL;
}

bool
prober_try_once(struct prober *pr, struct probe *p, enum sk_result *r,
    struct err *e)
{
	pr->probe = p;
	*r = SK_OK;
	if (!open_next(pr, r, e))
		return true;
	sock_set_mode(pr->sock, SK_NONBLOCKING);
	*r = step(&pr->leg, e);
	if (*r == SK_OK || *r == SK_WANT_READ || *r == SK_WANT_WRITE) {
		sock_set_mode(pr->sock, p->config->mode);
		return false;
	}
	prober_leave(pr);
	if (*r == SK_EOF)
		*r = SK_OK;
	return true;
}

/* The first stage has nothing to do but to end. */
static enum sk_result
begin(struct leg *leg, struct err *e)
{
	(void)leg;
	(void)e;
	return SK_EOF;
}

static void
over(struct run *r, enum sk_result result, struct err *e)
{
	struct prober *pr = r->owner;
	struct probe *p = pr->probe;

	if (result == SK_ERROR)
		probe_failed(p, e);
	if (--p->left == 0)
		lines_finish(&p->lines);
}

bool
prober_start(struct prober *pr, struct probe *p, struct err *e)
{
	pr->probe = p;
	if (pr->sock == NULL)
		stage_init_single(&pr->stage, &pr->leg, pr, begin);
	pr->run = (struct run){ .stage = &pr->stage, .owner = pr,
	    .single = true, .next = next,
	    .mode = (unsigned char)p->config->mode,
	    .over = over };
	if (!runner_add(p->runner, &pr->run, e))
		return false;
	p->started++;
	p->left++;
	return true;
}
