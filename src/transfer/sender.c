/* The sending side of a transfer: what is offered, the beginning, the end. */
#include "transfer/sender_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum {
	SMALL_FLUSH = 64 * 1024,
	/* Entries that are counted before they are sent, at any rate. */
	COUNTED = 1000,
	/* The receiver waits meanwhile. */
	COUNTING_MS = 2000,
};

struct item *
sender_item(struct sender *s, uint64_t i)
{
	return &s->items[i % WIRE_WINDOW];
}

bool
sender_is_file(const struct item *item)
{
	return item->entry.kind == WIRE_KIND_FILE ||
	    item->entry.kind == WIRE_KIND_STREAM;
}

void
sender_lock(struct sender *s)
{
	(void)pthread_mutex_lock(&s->party.lock);
}

void
sender_unlock(struct sender *s)
{
	(void)pthread_mutex_unlock(&s->party.lock);
}

/* Whether what is awaited has come. */
bool
sender_has(struct sender *s, const bool *flag)
{
	bool come;

	sender_lock(s);
	come = *flag;
	sender_unlock(s);
	return come;
}

/* Wait for the in leg; what is in the buffer has to go out before. */
enum sk_result
sender_wait(struct sender *s, struct err *e)
{
	struct party *p = &s->party;

	if (p->mute)
		return party_wait(p, CLOCK_NEVER, e);
	party_keep_alive(p);
	if (channel_pending(&p->channel) > 0)
		return channel_flush(&p->channel, e);
	return party_wait(p, party_keepalive_ns(p), e);
}

/* Offers. */

static void
to_offer(const struct entry *n, struct wire_offer *o)
{
	*o = (struct wire_offer){ .kind = n->kind, .mode = n->mode,
	    .mtime_s = n->mtime_s, .mtime_ns = n->mtime_ns,
	    .size = n->size, .stored = n->stored, .name = n->name,
	    .name_len = strlen(n->name) };
	if (n->target != NULL) {
		o->target = n->target;
		o->target_len = strlen(n->target);
	}
}

static void
put_offer(struct sender *s, const struct entry *n)
{
	struct channel *c = &s->party.channel;
	struct item *item = sender_item(s, s->tail);
	unsigned char *at = channel_end(c);
	struct wire_offer o;
	size_t size;

	to_offer(n, &o);
	size = wire_put_offer(at, &o);
	channel_put(c, size);
	sender_lock(s);
	*item = (struct item){ .entry = *n };
	digest_of(at + WIRE_HEADER, size - WIRE_HEADER, item->offer);
	s->tail++;
	sender_unlock(s);
	s->end.entries++;
}

/* Offer the next entry. False: the window is full, or there is none. */
static bool
offer(struct sender *s)
{
	const struct transfer_events *ev = &s->party.config->events;
	struct err why = { 0 };
	struct entry n;

	if (s->walked || s->tail - s->head == WIRE_WINDOW)
		return false;
	switch (walk_next(s->walk, &n, &why)) {
	case WALK_ENTRY:
		put_offer(s, &n);
		break;
	case WALK_SKIPPED:
		if (ev->skipped != NULL)
			ev->skipped(ev->context, &why);
		break;
	case WALK_FAILED:
		s->end.missing++;
		party_entry_failed(&s->party, &why);
		break;
	case WALK_END:
		s->walked = true;
		break;
	}
	err_clear(&why);
	return true;
}

/* The beginning and the end. */

static void
put_begin(struct sender *s)
{
	const struct wire_preamble ours = { .version = WIRE_VERSION,
	    .silence_ms = party_silence_ms(&s->party) };
	const struct wire_begin begin = { .shape = s->shape,
	    .entries = s->entries, .bytes = s->bytes };
	struct channel *c = &s->party.channel;

	s->party.mute = false;
	wire_put_preamble(channel_end(c), WIRE_SENDER, &ours);
	channel_put(c, WIRE_PREAMBLE);
	channel_put(c, wire_put_begin(channel_end(c), &begin));
	s->phase = AWAIT_GO;
}

static void
put_end(struct sender *s)
{
	struct channel *c = &s->party.channel;

	channel_put(c, wire_put_end(channel_end(c), &s->end));
	sender_lock(s);
	s->ended = true;
	sender_unlock(s);
	s->phase = AWAIT_VERDICT;
}

/* The receiver has said how it ended for it. */
static void
take_verdict(struct sender *s)
{
	struct channel *c = &s->party.channel;
	struct err why = { 0 };

	if (s->verdict.entries != s->end.entries ||
	    (s->verdict.failed == 0 && s->end.failed == 0 &&
	    memcmp(s->verdict.digest, s->end.digest, DIGEST_SIZE) != 0)) {
		err_set(&why, ERR_PEER, 0, sock_name(c->peer),
		    "what arrived is not what was sent: the digests of the "
		    "transfer differ");
		party_entry_failed(&s->party, &why);
	} else if (s->verdict.failed > 0 && party_failures(&s->party) == 0) {
		err_set(&why, ERR_PEER, 0, sock_name(c->peer),
		    "not everything arrived");
		party_entry_failed(&s->party, &why);
	}
	channel_put(c, wire_put_empty(channel_end(c), WIRE_BYE));
	s->phase = LEAVING;
	party_done(&s->party);
}

/* The oldest entry, if it has an answer; or further offers. */
static enum sk_result
send_next(struct sender *s, struct err *e)
{
	struct item *item = sender_item(s, s->head);
	enum answer answer;

	/* Offers run ahead, so that nobody waits for answers. */
	if (offer(s))
		return SK_OK;
	/* And small files are on their way while the next are read. */
	if (channel_pending(&s->party.channel) >= SMALL_FLUSH)
		return channel_flush(&s->party.channel, e);
	if (s->head == s->tail) {
		put_end(s);
		return SK_OK;
	}
	sender_lock(s);
	answer = item->answer;
	sender_unlock(s);
	if (answer == ANSWER_NONE)
		return sender_wait(s, e);
	if (answer == ANSWER_REFUSE || !sender_is_file(item))
		sender_pass(s, 0, NULL);
	else
		sender_begin_item(s, item);
	return SK_OK;
}

static enum sk_result
produce(void *side, struct err *e)
{
	struct sender *s = side;
	struct item *item = sender_item(s, s->head);

	switch (s->phase) {
	case AWAIT_PREAMBLE:
		if (!sender_has(s, &s->party.greeted))
			return sender_wait(s, e);
		put_begin(s);
		return SK_OK;
	case AWAIT_GO:
		if (!sender_has(s, &s->go))
			return sender_wait(s, e);
		s->phase = SENDING;
		return SK_OK;
	case SENDING:
		return send_next(s, e);
	case CHECKING:
		party_keep_alive(&s->party);
		return sender_check(s, item, e);
	case READING:
		return sender_read(s, item, e);
	case DROPPING:
		return sender_put_drop(s, item, e);
	case STREAMING:
		party_keep_alive(&s->party);
		return sender_stream(s, e);
	case AWAIT_VERDICT:
		if (!sender_has(s, &s->has_verdict))
			return sender_wait(s, e);
		take_verdict(s);
		return SK_OK;
	case LEAVING:
		break;
	}
	return SK_OK;
}

static const struct party_side sender_side = {
	.peer = WIRE_RECEIVER, .receive = sender_receive, .produce = produce,
};

/* From the beginning to the end. */

static bool
prepare(struct sender *s, struct err *e)
{
	if (!walk_shape(s->operands, &s->shape, e))
		return false;
	s->walk = walk_new(s->operands, e);
	s->source.digest = digest_new(e);
	if (s->walk == NULL || s->source.digest == NULL)
		return false;
	walk_count(s->operands, s->party.config->counts_all ? UINT64_MAX - 1 :
	    COUNTED, clock_now_ns() + COUNTING_MS * CLOCK_MS, &s->entries,
	    &s->bytes);
	atomic_store(&s->party.status->total, s->bytes);
	return true;
}

static void
fill_result(struct sender *s)
{
	struct transfer_result *result = s->party.result;

	result->bytes = s->end.bytes;
	result->there = atomic_load(&s->party.status->there);
	memcpy(result->digest, s->shape == WIRE_TREE ? s->end.digest :
	    s->last, DIGEST_SIZE);
	if (s->streamed)
		result->resumable = false;
}

static void
release(struct sender *s)
{
	ahead_free(s->ahead);
	free(s->spare);
	sender_release_source(s);
	err_clear(&s->why);
	for (; s->head < s->tail; s->head++)
		entry_release(&sender_item(s, s->head)->entry);
	walk_free(s->walk);
	digest_free(s->source.digest);
}

enum sk_result
transfer_send(const struct transfer_config *config, char *const *operands,
    struct sock **peer, struct transfer_status *status,
    struct transfer_result *result, struct err *e)
{
	struct sender *s = calloc(1, sizeof(*s));
	enum sk_result r = SK_ERROR;

	if (s == NULL) {
		err_no_memory(e);
		return SK_ERROR;
	}
	s->operands = operands;
	s->source.fd = -1;
	if (party_open(&s->party, &sender_side, s, config, *peer, status,
	    result, e) && prepare(s, e)) {
		s->party.mute = true;
		r = party_run(&s->party, e);
		fill_result(s);
	}
	release(s);
	party_close(&s->party, peer);
	free(s);
	return r;
}

bool
transfer_check_operands(char *const *operands, struct err *e)
{
	enum wire_shape shape;

	return walk_shape(operands, &shape, e);
}
