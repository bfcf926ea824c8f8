#include "flow/relay_impl.h"

#include <stdlib.h>

#include "base/clock.h"

enum { STEP_BUDGET = 1024 * 1024 };

static enum sk_result
step(struct leg *leg, struct err *e)
{
	struct way *way = leg->owner;
	enum sk_result r;

	r = pump_step(&way->pump, STEP_BUDGET, e);
	leg->waits = way->pump.waits;
	leg->side = (unsigned char)way->pump.side;
	if (r == SK_WANT_READ || r == SK_WANT_WRITE)
		pump_rest(&way->pump);
	return r;
}

static void
init_way(struct relay *r, struct way *way, struct sock *from,
    struct sock *to)
{
	leg_init(&way->leg, way, step);
	pump_init(&way->pump, from, to);
	way->pump.no_move = r->config->no_move;
	way->pump.stage = &r->stage;
	if (r->config->joined)
		way->pump.size = PUMP_BUFFER_SMALL;
	/* Between two connections a refusal is an error of either. */
	if (sock_is_datagram(r->peer) && !r->config->send_only &&
	    !r->config->joined)
		way->pump.refusal = &r->refusal;
}

/*
 * The direction towards the peer is up: from our input, with what the user
 * asked for. Where our end is a connection, a datagram stays one.
 */
static void
init_up(struct relay *r)
{
	const struct relay_config *c = r->config;
	struct pump *up = &r->up.pump;

	init_way(r, &r->up, r->in, r->peer);
	up->unit = sock_is_datagram(r->peer) ? c->unit : PUMP_STREAM;
	up->crlf = c->crlf;
	up->hold = c->hold;
	up->line_delay_ns = c->line_delay_ns;
}

struct relay *
relay_new(const struct relay_config *config, struct sock **in,
    struct sock *out, struct sock **peer, struct err *e)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		err_no_memory(e);
		return NULL;
	}
	r->config = config;
	r->in_owner = in;
	r->peer_owner = peer;
	r->in = *in;
	r->out = out;
	r->peer = *peer;
	r->output_fd = out != NULL ? sock_watch_fd(out) : -1;
	r->peer_fd = sock_peer_fd(*peer);
	r->stage.owner = r;
	r->stage.judge = &relay_judge;
	r->stage.legs[UP] = &r->up.leg;
	r->stage.legs[DOWN] = &r->down.leg;
	r->stage.socks[0] = *in;
	r->stage.socks[1] = out;
	r->stage.socks[2] = *peer;
	sock_set_deadline(*peer, CLOCK_NEVER);
	if (config->joined)
		sock_set_deadline(*in, CLOCK_NEVER);
	if (*in != NULL)
		init_up(r);
	if (out != NULL)
		init_way(r, &r->down, *peer, out);
	if (out != NULL && sock_is_datagram(out))
		r->down.pump.unit = PUMP_CHUNK;
	r->down.pump.lossy = config->command;
	return r;
}

struct stage *
relay_stage(struct relay *r)
{
	return &r->stage;
}

void
relay_free(struct relay *r)
{
	if (r == NULL)
		return;
	pump_release(&r->up.pump);
	pump_release(&r->down.pump);
	free(r);
}

/* Close one connection in order; an error of ours is that of the relay. */
static enum sk_result
close_one(struct relay *r, struct sock **s, struct err *e)
{
	struct leg *leg = r->stage.legs[0];
	enum sk_result result;

	if (*s == NULL)
		return SK_EOF;
	leg->waits = *s;
	leg->side = SK_OUT;
	sock_set_deadline(*s, r->config->deadline_ns);
	result = sock_close(s, e);
	if (result != SK_TIMEOUT)
		return result == SK_OK ? SK_EOF : result;
	(void)relay_fail_time(r, "the run has taken its --timeout", e);
	return SK_ERROR;
}

static enum sk_result
step_closing(struct leg *leg, struct err *e)
{
	struct relay *r = leg->owner;
	enum sk_result result;

	result = close_one(r, r->peer_owner, e);
	if (result == SK_EOF) {
		r->stage.socks[0] = NULL;
		if (r->config->joined)
			result = close_one(r, r->in_owner, e);
	}
	if (result == SK_EOF)
		r->stage.socks[1] = NULL;
	return result;
}

struct stage *
relay_closing(struct relay *r)
{
	pump_release(&r->up.pump);
	pump_release(&r->down.pump);
	stage_init_single(&r->stage, &r->up.leg, r, step_closing);
	r->stage.socks[0] = r->peer;
	if (r->config->joined)
		r->stage.socks[1] = r->in;
	return &r->stage;
}

/* A relay as a run of its own. */
static struct stage *
next(struct run *run, enum sk_result *result, struct err *e)
{
	struct relay *r = run->owner;

	(void)e;
	return *result == SK_OK && r->stage.judge != NULL ?
	    relay_closing(r) : NULL;
}

static uint64_t
bytes_of(const struct way *way)
{
	return atomic_load(&way->pump.bytes);
}

enum sk_result
relay_run(const struct relay_config *config, struct sock *in,
    struct sock *out, struct sock **peer, struct relay_counts *counts,
    struct err *e)
{
	struct relay *r = relay_new(config, &in, out, peer, e);
	struct latch stop = LATCH_CLOSED;
	enum sk_result result = SK_ERROR;
	struct run run = { .mode = (unsigned char)config->mode,
	    .next = next };

	if (r == NULL)
		return SK_ERROR;
	run.owner = r;
	run.stage = &r->stage;
	/* What wakes a thread that reads a terminal. */
	if (in != NULL && !latch_open(&stop, e))
		goto out;
	if (in != NULL)
		sock_set_stop(in, &stop);
	result = run_alone(&run, e);
	if (in != NULL)
		sock_set_stop(in, NULL);
	counts->sent = bytes_of(&r->up);
	counts->received = bytes_of(&r->down);
out:
	latch_close(&stop);
	relay_free(r);
	return result;
}
