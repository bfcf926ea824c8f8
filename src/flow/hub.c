/* The hub: what is kept for whom. */
#include "flow/hub_impl.h"

#include <stdlib.h>

#include "base/clock.h"

enum { SECOND_MS = 1000 };	/* in which a slow client takes the bound */

bool
hub_publish(struct hub *h, const struct hub_client *origin,
    const char *data, size_t len)
{
	struct hub_client *c;
	struct chunk *chunk;
	size_t readers = h->count;

	if (origin != NULL && origin->linked)
		readers--;
	if (readers == 0)
		return true;
	chunk = chunks_add(&h->backlog, data, len, origin, readers);
	if (chunk == NULL)
		return false;
	for (c = h->clients; c != NULL; c = c->next)
		if (c != origin && c->at == NULL) {
			c->at = chunk;
			c->offset = 0;
			stage_wake(&c->client.stage, HUB_OUT);
		}
	return true;
}

static void
drop_if_slow(struct hub_client *c, int64_t now)
{
	if (c->held_ns == 0) {
		c->held_ns = now;
		c->held_sent = c->sent;
	}
	if (now < c->held_ns + SECOND_MS * CLOCK_MS)
		return;
	if (c->sent - c->held_sent < HUB_BOUND) {
		c->gone = true;
		stage_news(&c->client.stage);
	}
	c->held_ns = 0;
}

bool
hub_has_room(struct hub *h)
{
	int64_t now;
	struct hub_client *c;

	if (h->backlog.bytes < HUB_BOUND)
		return true;
	if (h->count == 1 && !h->config->broker)
		return false;
	now = clock_now_ns();
	h->held_up = true;
	for (c = h->clients; c != NULL; c = c->next)
		if (c->at != NULL && h->backlog.added - c->at->position >=
		    HUB_BOUND / 2)
			drop_if_slow(c, now);
	return false;
}

/* Those who want to say something. */
static void
wake_clients(struct hub *h)
{
	struct hub_client *c;

	if (!h->clients_wait)
		return;
	h->clients_wait = false;
	for (c = h->clients; c != NULL; c = c->next)
		stage_wake(&c->client.stage, HUB_IN);
}

void
hub_backlog_shrank(struct hub *h)
{
	struct hub_client *c;

	if (h->backlog.bytes > HUB_BOUND / 2)
		return;
	if (h->source_waits && h->source_runs)
		stage_wake(&h->source_stage, 0);
	h->source_waits = false;
	if (h->held_up) {
		h->held_up = false;
		for (c = h->clients; c != NULL; c = c->next)
			c->held_ns = 0;
	}
	if (h->config->broker)
		wake_clients(h);
}

void
hub_output_shrank(struct hub *h)
{
	if (h->output.bytes <= HUB_BOUND / 2)
		wake_clients(h);
}

void
hub_end_input(struct hub *h)
{
	struct hub_client *c;

	h->input_ended_ns = clock_now_ns();
	for (c = h->clients; c != NULL; c = c->next)
		stage_wake(&c->client.stage, HUB_OUT);
}

void
hub_advance(struct hub *h, struct hub_client *c)
{
	struct chunk *done = c->at;

	c->at = chunk_for(done->next, c);
	c->offset = 0;
	c->sent += sizeof(*done) + done->len;
	chunks_release(&h->backlog, done);
	hub_backlog_shrank(h);
}

void
hub_link(struct hub *h, struct hub_client *c)
{
	hub_lock(h);
	c->next = h->clients;
	if (c->next != NULL)
		c->next->previous = c;
	h->clients = c;
	h->count++;
	c->linked = true;
	hub_backlog_shrank(h);
	hub_unlock(h);
}

void
hub_unlink(struct hub *h, struct hub_client *c)
{
	hub_lock(h);
	if (c->linked) {
		while (c->at != NULL)
			hub_advance(h, c);
		if (c->previous != NULL)
			c->previous->next = c->next;
		else
			h->clients = c->next;
		if (c->next != NULL)
			c->next->previous = c->previous;
		h->count--;
		c->linked = false;
		hub_backlog_shrank(h);
	}
	hub_unlock(h);
}

struct hub *
hub_new(const struct hub_config *config, struct sock *in, struct sock *out,
    struct err *e)
{
	struct hub *h = calloc(1, sizeof(*h));

	if (h == NULL || (h->scratch = malloc(HUB_READ)) == NULL) {
		err_no_memory(e);
		free(h);
		return NULL;
	}
	h->config = config;
	h->in = in;
	h->out = out;
	h->in_is_file = in != NULL && sock_is_file(in);
	h->out_is_file = out != NULL && sock_is_file(out);
	(void)pthread_mutex_init(&h->lock, NULL);
	return h;
}

void
hub_free(struct hub *h)
{
	if (h == NULL)
		return;
	hub_ends_close(h);
	chunks_free(&h->backlog);
	chunks_free(&h->output);
	(void)pthread_mutex_destroy(&h->lock);
	free(h->scratch);
	free(h);
}
