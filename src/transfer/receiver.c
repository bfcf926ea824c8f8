/* The receiving side of a transfer: frames, the beginning, the end. */
#include "transfer/receiver_impl.h"

#include <stdlib.h>
#include <string.h>

static enum sk_result
greet(struct receiver *v, struct err *e)
{
	enum sk_result r = party_greet(&v->party, e);

	if (r == SK_OK)
		v->phase = AWAIT_BEGIN;
	return r;
}

static enum sk_result
take_begin(struct receiver *v, const struct frame *f, struct err *e)
{
	const struct saying go = { .type = WIRE_GO };
	struct wire_begin begin;

	if (!wire_get_begin(f->payload, f->len, &begin))
		return party_unexpected(&v->party, e);
	if (!place_admits(v->place, begin.shape, e))
		return SK_ERROR;
	atomic_store(&v->party.status->total, begin.bytes);
	v->party.result->began = true;
	v->phase = TAKING;
	v->shape = begin.shape;
	return receiver_say(v, &go, e) ? SK_OK : SK_ERROR;
}

static void
fill_result(struct receiver *v)
{
	struct transfer_result *result = v->party.result;
	struct transfer_status *status = v->party.status;

	result->files = atomic_load(&status->files);
	result->bytes = v->taken;
	result->there = atomic_load(&status->there);
	memcpy(result->digest, v->shape == WIRE_TREE ? v->chain : v->last,
	    DIGEST_SIZE);
}

static enum sk_result
take_end(struct receiver *v, const struct frame *f, struct err *e)
{
	struct wire_verdict verdict = { .entries = v->tail };
	const struct saying what = { .type = WIRE_VERDICT,
	    .verdict = &verdict };
	struct party *p = &v->party;
	struct err why = { 0 };
	struct wire_end end;

	if (!wire_get_end(f->payload, f->len, &end) || v->head != v->tail ||
	    end.entries != v->tail || end.failed != v->dropped ||
	    (v->shape != WIRE_TREE && v->tail + end.missing != 1))
		return party_unexpected(p, e);
	if (!place_leave(v->place, NULL, &why)) {
		v->failed++;
		party_entry_failed(p, &why);
	}
	if (end.missing > 0) {
		err_set(&why, ERR_PEER, 0, sock_name(p->channel.peer),
		    "could not read %llu of what it was to send",
		    (unsigned long long)end.missing);
		party_entry_failed(p, &why);
	}
	if (v->failed == 0 && v->dropped == 0 && (end.bytes != v->taken ||
	    memcmp(end.digest, v->chain, DIGEST_SIZE) != 0)) {
		err_set(&why, ERR_PEER, 0, sock_name(p->channel.peer),
		    "what arrived is not what was sent: the digests of the "
		    "transfer differ");
		v->failed++;
		party_entry_failed(p, &why);
	}
	verdict.failed = v->failed;
	memcpy(verdict.digest, v->chain, DIGEST_SIZE);
	fill_result(v);
	v->phase = AWAIT_BYE;
	return receiver_say(v, &what, e) ? SK_OK : SK_ERROR;
}

static const struct handler {
	enum wire_type type;
	enum phase phase;
	enum sk_result (*take)(struct receiver *, const struct frame *,
	    struct err *);
} handlers[] = {
	{ WIRE_BEGIN, AWAIT_BEGIN, take_begin },
	{ WIRE_OFFER, TAKING, receiver_take_offer },
	{ WIRE_FROM, TAKING, receiver_take_from },
	{ WIRE_DATA, TAKING, receiver_take_data },
	{ WIRE_HOLE, TAKING, receiver_take_hole },
	{ WIRE_CLOSE, TAKING, receiver_take_close },
	{ WIRE_DROP, TAKING, receiver_take_drop },
	{ WIRE_END, TAKING, take_end },
};

static enum sk_result
take_frame(struct receiver *v, struct err *e)
{
	struct party *p = &v->party;
	struct frame f;
	enum sk_result r;
	size_t i;

	r = channel_next(&p->channel, &f, e);
	if (r == SK_EOF) {
		if (v->phase == AWAIT_END)
			return SK_EOF;
		err_set(e, ERR_BROKEN, 0, sock_name(p->channel.peer),
		    "ended before everything had arrived");
		return SK_ERROR;
	}
	if (r != SK_OK)
		return r;
	if (f.type == WIRE_KEEPALIVE)
		return SK_OK;
	if (f.type == WIRE_ABORT)
		return party_take_abort(p, &f, e);
	if (f.type == WIRE_BYE && v->phase == AWAIT_BYE) {
		v->phase = AWAIT_END;
		party_done(p);
		return SK_OK;
	}
	for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].type == f.type &&
		    handlers[i].phase == v->phase) {
			p->in.side = SK_OUT;
			return handlers[i].take(v, &f, e);
		}
	return party_unexpected(p, e);
}

static enum sk_result
receive(void *side, struct err *e)
{
	struct receiver *v = side;

	if (v->phase == AWAIT_PREAMBLE)
		return greet(v, e);
	if (v->phase == CHECKING)
		return receiver_check(v, e);
	if (v->phase == FINISHING)
		return receiver_finish(v, e);
	if (v->zeros_left > 0)
		return receiver_write_zeros(v, e);
	return take_frame(v, e);
}

static const struct party_side receiver_side = {
	.peer = WIRE_SENDER, .receive = receive, .produce = receiver_produce,
};

/* It comes first, whatever else there will be to say. */
static void
put_greeting(struct party *p)
{
	const struct wire_preamble ours = { .version = WIRE_VERSION,
	    .silence_ms = party_silence_ms(p) };

	wire_put_preamble(channel_end(&p->channel), WIRE_RECEIVER, &ours);
	channel_put(&p->channel, WIRE_PREAMBLE);
}

enum sk_result
transfer_receive(const struct transfer_config *config, struct place *place,
    struct sock **peer, struct transfer_status *status,
    struct transfer_result *result, struct err *e)
{
	struct receiver *v = calloc(1, sizeof(*v));
	enum sk_result r = SK_ERROR;
	struct sock *out = place_output(place);

	if (v == NULL) {
		err_no_memory(e);
		return SK_ERROR;
	}
	v->place = place;
	if (party_open(&v->party, &receiver_side, v, config, *peer, status,
	    result, e)) {
		v->party.stage.socks[2] = out;
		if (out != NULL)
			v->party.output_fd = sock_watch_fd(out);
		put_greeting(&v->party);
		r = party_run(&v->party, e);
	}
	for (; v->head < v->tail; v->head++)
		receiver_release_item(receiver_item(v, v->head));
	place_forget(place);
	party_close(&v->party, peer);
	free(v->queue);
	free(v);
	return r;
}
