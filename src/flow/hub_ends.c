/* The two ends of a hub: the input that is read for all, and the output. */
#include "flow/hub_impl.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"

/* The source: waits while nobody is there to hear, or the backlog is full. */
static bool
may_read(struct hub *h)
{
	int64_t wake_ns = CLOCK_NEVER;
	bool room = false;

	hub_lock(h);
	if (h->count > 0) {
		room = hub_has_room(h);
		wake_ns = clock_now_ns() + HUB_LOOK_MS * CLOCK_MS;
	}
	if (!room) {
		h->source_waits = true;
		(void)leg_sleep(&h->source_leg, wake_ns);
	}
	hub_unlock(h);
	return room;
}

static enum sk_result
step_source(struct leg *leg, struct err *e)
{
	struct hub *h = leg->owner;
	int64_t delay = h->config->line_delay_ns, now = 0;
	const char *data;
	enum sk_result r;
	size_t len;
	bool ok, nobody;

	if (delay > 0 && (now = clock_now_ns()) < h->not_before_ns)
		return leg_sleep(leg, h->not_before_ns);
	if (!may_read(h))
		return SK_WANT_READ;
	r = pump_read(&h->source_pump, &data, &len, e);
	leg->waits = h->in;
	leg->side = SK_IN;
	if (r != SK_OK)
		return r;
	hub_lock(h);
	nobody = h->count == 0;
	ok = hub_publish(h, NULL, data, len);
	h->source_waits = nobody;
	hub_unlock(h);
	/* They left meanwhile: it is kept for the next one. */
	if (nobody)
		return leg_sleep(leg, CLOCK_NEVER);
	if (!ok) {
		err_no_memory(e);
		return SK_ERROR;
	}
	if (delay > 0 && len > 0 && data[len - 1] == '\n')
		h->not_before_ns = clock_after_ns(now, delay);
	pump_taken(&h->source_pump, len);
	return SK_OK;
}

static void
source_over(struct run *run, enum sk_result r, struct err *e)
{
	struct hub *h = run->owner;

	hub_lock(h);
	h->source_runs = false;
	/* Cut off or failed, it has no end that clients could be told. */
	if (r == SK_OK)
		hub_end_input(h);
	hub_unlock(h);
	if (r == SK_ERROR)
		serve_fail(h->server, e);
}

/* The sink. */

static enum sk_result
step_sink(struct leg *leg, struct err *e)
{
	struct hub *h = leg->owner;
	struct chunk *c;
	enum sk_result r;
	size_t put;
	bool ends;

	hub_lock(h);
	c = h->output.first;
	ends = h->output_ends;
	hub_unlock(h);
	if (c == NULL && !ends)
		return leg_sleep(leg, CLOCK_NEVER);
	leg->waits = h->out;
	leg->side = SK_OUT;
	if (c == NULL && !atomic_exchange(&h->sink_shuts, true))
		return SK_OK;
	if (c == NULL) {
		r = sock_shutdown_write(h->out, e);
		return r == SK_OK ? SK_EOF : r;
	}
	r = sock_send(h->out, c->data + h->sink_offset,
	    c->len - h->sink_offset, &put, e);
	if (r != SK_OK)
		return r;
	h->sink_offset += put;
	if (h->sink_offset < c->len)
		return SK_OK;
	h->sink_offset = 0;
	hub_lock(h);
	chunks_release(&h->output, c);
	hub_output_shrank(h);
	hub_unlock(h);
	return SK_OK;
}

static enum verdict
judge_sink(struct stage *stage, int64_t *wake, struct err *e)
{
	struct hub *h = stage->owner;
	struct leg *leg = &h->sink_leg;

	(void)wake;
	if (leg->state == LEG_FAILED) {
		leg_take_error(leg, e);
		return VERDICT_FAIL;
	}
	if (h->reader_gone && leg->state == LEG_RUNNING) {
		err_set(e, ERR_LOCAL, EPIPE, "standard output", "%s", "");
		e->quiet = true;
		return VERDICT_FAIL;
	}
	return leg->state == LEG_RUNNING ? VERDICT_GO_ON : VERDICT_FINISH;
}

static void
watched_sink(const struct stage *stage, struct pollfd *fds)
{
	const struct hub *h = stage->owner;

	fds[0] = (struct pollfd){ .fd = atomic_load(&h->sink_shuts) ||
	    h->reader_gone ? -1 : h->output_fd };
}

static void
event_sink(struct stage *stage, int fd, short revents)
{
	struct hub *h = stage->owner;

	(void)fd;
	/* Once it is shut, the number may be somebody else's. */
	if ((revents & (POLLERR | POLLHUP | POLLNVAL)) &&
	    !atomic_load(&h->sink_shuts))
		h->reader_gone = true;
}

static const struct judge sink_judge = {
	judge_sink, watched_sink, event_sink
};

static void
sink_over(struct run *run, enum sk_result r, struct err *e)
{
	struct hub *h = run->owner;

	hub_lock(h);
	h->sink_runs = false;
	hub_unlock(h);
	if (r == SK_ERROR)
		serve_fail(h->server, e);
	else if (r == SK_OK)
		serve_finish(h->server);
}

/* Nobody else is to come: what was said is still to be written. */
void
hub_finish(void *hub, struct server *server)
{
	struct hub *h = hub;
	bool runs;

	hub_lock(h);
	runs = h->sink_runs;
	h->output_ends = true;
	if (runs)
		stage_wake(&h->sink_stage, 0);
	hub_unlock(h);
	if (!runs)
		serve_finish(server);
}

static void
init_run(struct hub *h, struct run *run, struct stage *stage,
    void (*over)(struct run *, enum sk_result, struct err *))
{
	*run = (struct run){ .stage = stage, .owner = h, .over = over,
	    .mode = (unsigned char)h->config->mode };
	stage->run = run;
}

void
hub_begun(void *hub, struct server *server)
{
	struct hub *h = hub;
	struct err e = { .code = ERR_NONE };
	bool ok = true;

	h->server = server;
	if (h->out != NULL) {
		stage_init_single(&h->sink_stage, &h->sink_leg, h, step_sink);
		h->sink_stage.judge = &sink_judge;
		h->sink_stage.socks[0] = h->out;
		init_run(h, &h->sink, &h->sink_stage, sink_over);
		h->output_fd = sock_watch_fd(h->out);
		h->sink_runs = ok = serve_add(server, &h->sink, &e);
	}
	if (ok && h->in != NULL && !h->in_is_file) {
		pump_init(&h->source_pump, h->in, NULL);
		h->source_pump.unit = h->config->unit;
		h->source_pump.crlf = h->config->crlf;
		h->source_pump.size = PUMP_BUFFER_SMALL;
		if (h->config->line_delay_ns > 0 &&
		    h->config->unit == PUMP_STREAM)
			h->source_pump.line_delay_ns = 1;
		stage_init_single(&h->source_stage, &h->source_leg, h,
		    step_source);
		h->source_stage.socks[0] = h->in;
		init_run(h, &h->source, &h->source_stage, source_over);
		h->source.single = true;
		h->source_runs = ok = serve_add(server, &h->source, &e);
	}
	if (!ok)
		serve_fail(server, &e);
}

void
hub_ends_close(struct hub *h)
{
	pump_release(&h->source_pump);
}
