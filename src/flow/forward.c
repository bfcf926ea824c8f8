#include "flow/forward.h"

#include "base/clock.h"

enum { LATER_MS = 100 };

enum phase {
	DIALING,
	RELAYING,
	CLOSING,
};

struct forward_client {
	struct client client;
	struct sock *upstream;
	struct relay *relay;
	enum phase phase;
};

/* The limits of the client's run are those of its connection, too. */
static int64_t
dial_deadline(const struct forward_config *f)
{
	return f->connect_ns < 0 ? f->relay.deadline_ns :
	    clock_min_ns(f->relay.deadline_ns,
	    clock_after_ns(clock_now_ns(), f->connect_ns));
}

static bool
make_upstream(struct forward_client *c, struct err *e)
{
	const struct forward_config *f = c->client.context;

	c->upstream = sock_new(&f->addr, &f->sock, e);
	if (c->upstream == NULL)
		return false;
	sock_set_deadline(c->upstream, dial_deadline(f));
	c->client.stage.socks[0] = c->upstream;
	return true;
}

/* Out of descriptors: others have more than their share for a moment. */
static enum sk_result
try_later(struct forward_client *c, struct leg *leg, struct err *e)
{
	err_clear(e);
	c->client.stage.socks[0] = NULL;
	sock_abort(&c->upstream);
	return leg_sleep(leg, clock_now_ns() + LATER_MS * CLOCK_MS);
}

static enum sk_result
step_dial(struct leg *leg, struct err *e)
{
	struct forward_client *c = leg->owner;
	enum sk_result r;

	if (c->upstream == NULL && !make_upstream(c, e))
		return SK_ERROR;
	leg->waits = c->upstream;
	leg->side = SK_OUT;
	r = sock_connect(c->upstream, e);
	if (r == SK_ERROR && e->code == ERR_LOCAL &&
	    err_is_exhausted(e->sys))
		return try_later(c, leg, e);
	if (r == SK_OK)
		r = sock_handshake(c->upstream, e);
	if (r == SK_OK)
		return SK_EOF;
	if (r != SK_TIMEOUT)
		return r;
	err_set(e, ERR_TIMEOUT, 0, sock_name(c->upstream),
	    "not connected within --connect-timeout");
	return SK_ERROR;
}

static struct stage *
begin(struct client *client, struct err *e)
{
	struct forward_client *c = (struct forward_client *)client;

	c->phase = DIALING;
	stage_init_single(&client->stage, &client->legs[0], c, step_dial);
	return make_upstream(c, e) ? &client->stage : NULL;
}

static struct stage *
begin_relay(struct forward_client *c, enum sk_result *r, struct err *e)
{
	const struct forward_config *f = c->client.context;

	c->relay = relay_new(&f->relay, &c->upstream, c->upstream,
	    &c->client.peer, e);
	if (c->relay == NULL) {
		*r = SK_ERROR;
		return NULL;
	}
	c->phase = RELAYING;
	return relay_stage(c->relay);
}

static struct stage *
next(struct client *client, struct stage *ended, enum sk_result *r,
    struct err *e)
{
	struct forward_client *c = (struct forward_client *)client;

	(void)ended;
	if (*r != SK_OK)
		return NULL;
	switch (c->phase) {
	case DIALING:
		return begin_relay(c, r, e);
	case RELAYING:
		c->phase = CLOSING;
		return relay_closing(c->relay);
	case CLOSING:
		break;
	}
	return NULL;
}

static void
end(struct client *client)
{
	struct forward_client *c = (struct forward_client *)client;

	relay_free(c->relay);
	sock_abort(&c->upstream);
}

const struct service forward_service = {
	.client_size = sizeof(struct forward_client),
	.fds = 1,
	.brief_fds = 2,
	.begin = begin,
	.next = next,
	.end = end,
};
