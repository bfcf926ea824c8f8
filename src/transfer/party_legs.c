/* The legs of a party: greetings, keep-alives, aborts. */
#include "transfer/party_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum {
	/* A keep-alive is due after a third of what the peer bears... */
	KEEPALIVE_PARTS = 3,
	/* ...and so often at least. */
	KEEPALIVE_MAX_MS = 20 * 1000,
	KEEPALIVE_MIN_MS = 50,
	/* What a leg does before the other one has its turn. */
	STEPS = 16,
	/* What is worth waking the out leg for, while more comes in. */
	RINGS_MAX = 128,
	/* Whoever speaks the protocol greets at once. */
	GREETING_LIMIT_MS = 10 * 1000,
};

uint32_t
party_silence_ms(const struct party *p)
{
	int64_t ms = p->config->silence_ns / CLOCK_MS;

	if (p->config->silence_ns < 0)
		return 0;
	return (uint32_t)clock_min_ns(ms > 0 ? ms : 1, UINT32_MAX);
}

int64_t
party_greeting_ns(const struct transfer_config *config)
{
	int64_t limit = GREETING_LIMIT_MS * CLOCK_MS;

	return config->silence_ns < 0 ? limit :
	    clock_min_ns(limit, config->silence_ns);
}

enum sk_result
party_greet(struct party *p, struct err *e)
{
	struct wire_preamble peer;
	enum sk_result r;

	r = channel_greeting(&p->channel, &peer, e);
	(void)pthread_mutex_lock(&p->lock);
	p->kin = r == SK_OK || p->channel.resembles;
	(void)pthread_mutex_unlock(&p->lock);
	if (r == SK_TIMEOUT) {
		err_set(e, ERR_PEER, 0, sock_name(p->channel.peer),
		    "the peer does not speak haul's transfer protocol; use "
		    "--raw (it says nothing)");
		return SK_ERROR;
	}
	if (r != SK_OK)
		return r;
	/* A receiver tells the highest; a sender the one that it will speak. */
	if (peer.version < WIRE_VERSION ||
	    (peer.version > WIRE_VERSION && p->channel.from == WIRE_SENDER)) {
		err_set(e, ERR_PEER, 0, sock_name(p->channel.peer),
		    "speaks version %u of the transfer protocol, and not %d",
		    peer.version, WIRE_VERSION);
		return SK_ERROR;
	}
	(void)pthread_mutex_lock(&p->lock);
	p->peer_silence_ms = peer.silence_ms;
	p->greeted = true;
	(void)pthread_mutex_unlock(&p->lock);
	p->channel.silence_ns = p->config->silence_ns;
	party_ring(p);
	return SK_OK;
}

int64_t
party_keepalive_ns(const struct party *p)
{
	int64_t every = KEEPALIVE_MAX_MS;

	if (p->peer_silence_ms != 0)
		every = clock_min_ns(every,
		    p->peer_silence_ms / KEEPALIVE_PARTS);
	if (every < KEEPALIVE_MIN_MS)
		every = KEEPALIVE_MIN_MS;
	return p->channel.sent_ns + every * CLOCK_MS;
}

void
party_keep_alive(struct party *p)
{
	struct channel *c = &p->channel;

	if (channel_pending(c) == 0 &&
	    clock_now_ns() >= party_keepalive_ns(p))
		channel_put(c, wire_put_empty(channel_end(c),
		    WIRE_KEEPALIVE));
}

enum sk_result
party_wait(struct party *p, int64_t wake_ns, struct err *e)
{
	enum sk_result r;
	size_t got;

	p->out.waits = p->bell;
	p->out.side = SK_IN;
	sock_set_deadline(p->bell, wake_ns);
	r = sock_recv(p->bell, NULL, 0, &got, e);
	return r == SK_TIMEOUT ? SK_OK : r;
}

static void
put_abort(struct party *p)
{
	struct wire_reason r = { .code = ERR_PEER };
	char text[ERR_WHO_MAX + ERR_TEXT_MAX + 128];

	(void)pthread_mutex_lock(&p->lock);
	r.code = p->reason.code;
	/* A reason of a peer's is named after it: it knows its name. */
	if (strcmp(p->reason.who, sock_name(p->channel.peer)) == 0)
		(void)snprintf(text, sizeof(text), "%s", p->reason.text);
	else
		(void)err_format(&p->reason, text, sizeof(text));
	(void)pthread_mutex_unlock(&p->lock);
	r.text = text;
	r.text_len = strlen(text);
	channel_put(&p->channel, wire_put_reason(channel_end(&p->channel),
	    WIRE_ABORT, &r));
	p->abort_put = true;
}

/* Whole frames, then ABORT if it is ours to say, then our end. */
static enum sk_result
step_end(struct party *p, enum party_end end, struct err *e)
{
	enum sk_result r;

	r = channel_flush(&p->channel, e);
	if (r != SK_OK)
		return r;
	if (end == PARTY_ABORTING && !p->abort_put && !p->mute) {
		put_abort(p);
		return SK_OK;
	}
	/* Whoever speaks another protocol has not been served: no end. */
	if (!party_is_kin(p))
		return SK_EOF;
	r = sock_shutdown_write(p->channel.peer, e);
	return r == SK_OK ? SK_EOF : r;
}

static enum sk_result
step_out_once(struct leg *leg, struct err *e)
{
	struct party *p = leg->owner;
	const struct party_side *side = p->side;
	enum party_end end = party_state(p);
	enum sk_result r;

	leg->waits = p->channel.peer;
	leg->side = SK_OUT;
	if (end != PARTY_GOING_ON)
		return step_end(p, end, e);
	/* What has begun to go out goes out. */
	if (channel_pending(&p->channel) >= CHANNEL_BUFFER ||
	    channel_is_going_out(&p->channel))
		return channel_flush(&p->channel, e);
	r = side->produce(p->owner, e);
	if (r == SK_ERROR && e->code != ERR_BROKEN) {
		party_abort(p, e);
		return SK_OK;
	}
	return r;
}

enum sk_result
party_step_out(struct leg *leg, struct err *e)
{
	enum sk_result r = SK_OK;
	int i;

	for (i = 0; i < STEPS && r == SK_OK; i++)
		r = step_out_once(leg, e);
	return r;
}

void
party_renew_patience(struct party *p)
{
	int64_t now = clock_now_ns();

	if (p->config->silence_ns < 0 || now < p->renew_ns)
		return;
	p->renew_ns = now + clock_min_ns(CLOCK_SEC,
	    p->config->silence_ns / KEEPALIVE_PARTS);
	sock_set_patience(p->channel.peer, p->config->silence_ns,
	    now - p->begin_ns);
}

void
party_ring_soon(struct party *p)
{
	if (++p->ring_due < RINGS_MAX)
		return;
	p->ring_due = 0;
	party_ring(p);
}

/* After an abort, whatever still comes is of no use. */
static enum sk_result
step_in_once(struct leg *leg, struct err *e)
{
	struct party *p = leg->owner;
	const struct party_side *side = p->side;
	enum party_end end = party_state(p);
	enum sk_result r;

	leg->waits = p->channel.peer;
	leg->side = SK_IN;
	if (end == PARTY_ABORTING || end == PARTY_ABORTED) {
		r = channel_discard(&p->channel, e);
		if (r != SK_ERROR)
			return r;
		/* There is nobody left to part from in order. */
		p->broken = true;
		err_clear(e);
		return SK_EOF;
	}
	if (p->ring_due > 0 && !channel_has_frame(&p->channel)) {
		p->ring_due = 0;
		party_ring(p);
	}
	r = side->receive(p->owner, e);
	/* What the peer did wrong, or we could not do, is told to it. */
	if (r == SK_ERROR && e->code != ERR_BROKEN) {
		party_abort(p, e);
		return SK_OK;
	}
	if (r == SK_OK)
		party_renew_patience(p);
	return r;
}

enum sk_result
party_step_in(struct leg *leg, struct err *e)
{
	struct party *p = leg->owner;
	enum sk_result r = SK_OK;
	int i;

	p->yields = false;
	for (i = 0; i < STEPS && r == SK_OK && !p->yields; i++)
		r = step_in_once(leg, e);
	return r;
}
