/* The clients of a hub. */
#include "flow/hub_impl.h"

#include <stdlib.h>

#include "base/clock.h"

enum {
	SENDS = 16,		/* in one turn */
	LITTLE = 4096,		/* what is written without the sink */
	VANISHED_SEC = 30,	/* who has ended and says nothing is asked */
};

/* What the out leg of a client is at. */
enum out_phase {
	GIVING,
	SHUTTING,
	SETTLING,
};

/* Whether anything is ever said to clients. */
static bool
is_told(const struct hub *h)
{
	return h->in != NULL || h->config->broker;
}

/* Whether there is one leg, which the judge need not watch. */
static bool
is_single(const void *context)
{
	const struct hub *h = context;

	return !is_told(h) && h->config->idle_ns < 0;
}

/* From a client. */

static void
touch(struct hub_client *c)
{
	atomic_store(&c->moved_ns, clock_now_ns());
}

/* Whether there is room for what a client may say; or the leg sleeps. */
static bool
may_say(struct hub *h, struct hub_client *c)
{
	bool room = true;

	hub_lock(h);
	if (h->config->broker)
		room = hub_has_room(h);
	else if (h->out != NULL)
		room = h->output.bytes < HUB_BOUND;
	if (!room) {
		h->clients_wait = true;
		(void)leg_sleep(&c->client.legs[HUB_IN], clock_now_ns() +
		    HUB_LOOK_MS * CLOCK_MS);
	}
	hub_unlock(h);
	return room;
}

/*
 * A little for a file, with nothing before it: not worth waking the sink. What
 * cannot be written is left to it, with its reason. The bytes written.
 */
static size_t
write_through(struct hub *h, const char *data, size_t len)
{
	struct err e = { .code = ERR_NONE };
	size_t put = 0;

	if (!h->out_is_file || !h->sink_runs || h->output.first != NULL ||
	    len > LITTLE)
		return 0;
	(void)sock_send(h->out, data, len, &put, &e);
	err_clear(&e);
	return put;
}

/* What a client has said. */
static enum sk_result
hear(struct hub *h, struct hub_client *c, const char *data, size_t len,
    struct err *e)
{
	size_t put;
	bool ok = true;

	c->said = true;
	touch(c);
	hub_lock(h);
	if (h->config->broker)
		ok = hub_publish(h, c, data, len);
	else if (h->out != NULL && len > 0 &&
	    (put = write_through(h, data, len)) < len) {
		ok = chunks_add(&h->output, data + put, len - put, NULL,
		    1) != NULL;
		if (h->sink_runs)
			stage_wake(&h->sink_stage, 0);
	}
	hub_unlock(h);
	if (!ok)
		err_no_memory(e);
	return ok ? SK_OK : SK_ERROR;
}

/*
 * The peer has ended its direction. Whether it is still there to listen cannot
 * be seen from here, so it is asked once in a while.
 */
static void
peer_ended(struct hub *h, struct hub_client *c)
{
	touch(c);
	/* One that is only heard is through. */
	if (!is_told(h))
		return;
	sock_set_patience(c->client.peer, VANISHED_SEC * CLOCK_SEC, 0);
	hub_lock(h);
	c->ended = true;
	hub_unlock(h);
}

static enum sk_result
step_in(struct leg *leg, struct err *e)
{
	struct hub_client *c = leg->owner;
	struct hub *h = c->client.context;
	char *buf = h->config->mode == SK_BLOCKING ? c->buf : h->scratch;
	enum sk_result r;
	size_t got;

	if (!may_say(h, c))
		return SK_WANT_READ;
	leg->waits = c->client.peer;
	leg->side = SK_IN;
	r = sock_recv(c->client.peer, buf, HUB_READ, &got, e);
	if (r == SK_OK)
		return hear(h, c, buf, got, e);
	if (r == SK_EOF)
		peer_ended(h, c);
	/* The judge has news, that is all: there is no deadline. */
	return r == SK_TIMEOUT ? SK_OK : r;
}

/* To a client. */

/* One send; SK_EOF: there is nothing more. */
static enum sk_result
give(struct hub *h, struct hub_client *c, struct err *e)
{
	struct leg *leg = &c->client.legs[HUB_OUT];
	struct chunk *chunk;
	enum sk_result r;
	size_t put;
	bool ended;

	hub_lock(h);
	chunk = c->at;
	ended = h->input_ended_ns != 0;
	hub_unlock(h);
	if (chunk == NULL)
		return ended ? SK_EOF : leg_sleep(leg, CLOCK_NEVER);
	leg->waits = c->client.peer;
	leg->side = SK_OUT;
	r = sock_send(c->client.peer, chunk->data + c->offset,
	    chunk->len - c->offset, &put, e);
	if (r != SK_OK)
		return r;
	touch(c);
	hub_lock(h);
	c->offset += put;
	if (c->offset == chunk->len)
		hub_advance(h, c);
	hub_unlock(h);
	return SK_OK;
}

/* The same from a file of its own. */
static enum sk_result
give_file(struct hub_client *c, struct err *e)
{
	struct leg *leg = &c->client.legs[HUB_OUT];
	enum sk_result r;

	r = pump_step(c->file, HUB_BOUND, e);
	leg->waits = c->file->waits;
	leg->side = (unsigned char)c->file->side;
	if (r == SK_WANT_READ || r == SK_WANT_WRITE)
		pump_rest(c->file);
	return r;
}

static enum sk_result
shut(struct hub *h, struct hub_client *c, struct err *e)
{
	enum sk_result r = SK_OK;

	c->client.legs[HUB_OUT].waits = c->client.peer;
	c->client.legs[HUB_OUT].side = SK_OUT;
	if (c->phase == SHUTTING) {
		if (!h->config->hold)
			r = sock_shutdown_write(c->client.peer, e);
		if (r != SK_OK)
			return r;
		c->phase = SETTLING;
	}
	r = sock_drain(c->client.peer, e);
	return r == SK_OK ? SK_EOF : r;
}

static enum sk_result
step_out(struct leg *leg, struct err *e)
{
	struct hub_client *c = leg->owner;
	struct hub *h = c->client.context;
	enum sk_result r = SK_OK;
	int i;

	if (c->file != NULL)
		return give_file(c, e);
	for (i = 0; i < SENDS && r == SK_OK && c->phase == GIVING; i++) {
		r = give(h, c, e);
		if (r == SK_EOF)
			c->phase = SHUTTING;
	}
	return c->phase == GIVING ? r : shut(h, c, e);
}

/* A client from its beginning to its end. */

static int64_t
last_moved_ns(struct hub_client *c)
{
	int64_t moved = atomic_load(&c->moved_ns), file = 0;

	if (c->file != NULL)
		file = atomic_load(&c->file->moved_ns);
	return file > moved ? file : moved;
}

static enum verdict
judge_time(const struct hub *h, struct hub_client *c, int64_t *wake,
    struct err *e)
{
	const struct hub_config *config = h->config;
	int64_t now = clock_now_ns(), end;

	if (config->linger_ns >= 0 && h->input_ended_ns != 0 &&
	    c->client.legs[HUB_OUT].state == LEG_ENDED) {
		end = clock_after_ns(h->input_ended_ns, config->linger_ns);
		if (now >= end)
			return VERDICT_FINISH;
		*wake = clock_min_ns(*wake, end);
	}
	if (config->idle_ns < 0)
		return VERDICT_GO_ON;
	end = clock_after_ns(last_moved_ns(c), config->idle_ns);
	*wake = clock_min_ns(*wake, end);
	if (now < end)
		return VERDICT_GO_ON;
	if (config->idle_ends)
		return VERDICT_FINISH;
	err_set(e, ERR_TIMEOUT, 0, c->client.name,
	    "nothing moved for the --idle-timeout");
	return VERDICT_FAIL;
}

static bool
is_over(const struct leg *leg)
{
	return leg->state == LEG_ENDED || leg->state == LEG_ABSENT;
}

/* With the lock held. */
static enum verdict
judge_client(struct hub *h, struct hub_client *c, int64_t *wake,
    struct err *e)
{
	struct leg *in = &c->client.legs[HUB_IN];
	struct leg *out = &c->client.legs[HUB_OUT];

	/* Whoever has said all it had to, and does not listen, has left. */
	if (out->state == LEG_FAILED && (in->state != LEG_RUNNING ||
	    out->err == NULL || out->err->code != ERR_BROKEN)) {
		leg_take_error(out, e);
		e->quiet = in->state == LEG_ENDED && e->code == ERR_BROKEN;
		return VERDICT_FAIL;
	}
	if (c->gone) {
		err_set(e, ERR_BROKEN, 0, c->client.name,
		    "dropped: it does not read, and others wait");
		return VERDICT_FAIL;
	}
	if (in->state == LEG_FAILED) {
		leg_take_error(in, e);
		return VERDICT_FAIL;
	}
	if (is_over(out) && (is_over(in) || h->config->send_only))
		return VERDICT_FINISH;
	if (in->state == LEG_ENDED && ((c->yields && c->at == NULL) ||
	    (h->in != NULL && sock_is_terminal(h->in))))
		return VERDICT_FINISH;
	return judge_time(h, c, wake, e);
}

static enum verdict
judge(struct stage *stage, int64_t *wake, struct err *e)
{
	struct hub_client *c = stage->owner;
	struct hub *h = c->client.context;
	enum verdict v;

	hub_lock(h);
	v = judge_client(h, c, wake, e);
	hub_unlock(h);
	return v;
}

static const struct judge hub_judge = { .judge = judge };

static bool
open_file(struct hub *h, struct hub_client *c, struct err *e)
{
	c->file = malloc(sizeof(*c->file));
	c->file_sock = sock_stdin_again(h->config->mode, e);
	if (c->file == NULL)
		err_no_memory(e);
	if (c->file == NULL || c->file_sock == NULL)
		return false;
	pump_init(c->file, c->file_sock, c->client.peer);
	c->file->unit = h->config->unit;
	c->file->crlf = h->config->crlf;
	c->file->hold = h->config->hold;
	c->file->no_move = h->config->no_move;
	c->file->line_delay_ns = h->config->line_delay_ns;
	c->file->size = PUMP_BUFFER_SMALL;
	return true;
}

static struct stage *
begin(struct client *client, struct err *e)
{
	struct hub_client *c = (struct hub_client *)client;
	struct hub *h = client->context;
	struct stage *s = &client->stage;

	if (h->config->mode == SK_BLOCKING &&
	    (c->buf = malloc(HUB_READ)) == NULL) {
		err_no_memory(e);
		return NULL;
	}
	if (h->in_is_file && !open_file(h, c, e))
		return NULL;
	leg_init(&client->legs[HUB_IN], c, step_in);
	leg_init(&client->legs[HUB_OUT], c, step_out);
	if (!is_told(h))
		client->legs[HUB_OUT].state = LEG_ABSENT;
	if (is_single(h))
		s->nudged = client->peer;
	s->owner = c;
	s->judge = &hub_judge;
	s->legs[HUB_IN] = &client->legs[HUB_IN];
	s->legs[HUB_OUT] = &client->legs[HUB_OUT];
	s->socks[0] = client->peer;
	s->run = &client->run;
	touch(c);
	hub_link(h, c);
	return s;
}

static enum sk_result
step_closing(struct leg *leg, struct err *e)
{
	struct hub_client *c = leg->owner;
	enum sk_result r;

	leg->waits = c->client.peer;
	leg->side = SK_OUT;
	r = sock_close(&c->client.peer, e);
	if (r == SK_OK)
		c->client.stage.socks[0] = NULL;
	return r == SK_OK ? SK_EOF : r;
}

static struct stage *
next(struct client *client, struct stage *ended, enum sk_result *r,
    struct err *e)
{
	struct hub_client *c = (struct hub_client *)client;
	const struct hub *h = client->context;

	(void)ended;
	(void)e;
	hub_unlink(client->context, c);
	if (*r != SK_OK || c->closing)
		return NULL;
	c->closing = true;
	stage_init_single(&client->stage, &client->legs[HUB_IN], c,
	    step_closing);
	client->stage.socks[0] = client->peer;
	sock_set_deadline(client->peer, h->config->deadline_ns);
	return &client->stage;
}

static void
end(struct client *client)
{
	struct hub_client *c = (struct hub_client *)client;

	hub_unlink(client->context, c);
	if (c->file != NULL)
		pump_release(c->file);
	free(c->file);
	sock_abort(&c->file_sock);
	free(c->buf);
}

/* Who has ended its direction and has had everything may go. */
static bool
yield(struct client *client)
{
	struct hub_client *c = (struct hub_client *)client;
	struct hub *h = client->context;
	bool yields;

	hub_lock(h);
	yields = c->linked && c->ended && c->at == NULL && !c->yields;
	if (yields) {
		c->yields = true;
		stage_news(&client->stage);
	}
	hub_unlock(h);
	return yields;
}

const struct service hub_service = {
	.client_size = sizeof(struct hub_client),
	.single = is_single,
	.hears = true,
	.begin = begin,
	.next = next,
	.end = end,
	.finish = hub_finish,
	.yield = yield,
};
