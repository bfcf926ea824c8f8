/* The sending side of a transfer. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "transfer/party.h"
#include "transfer/source.h"
#include "transfer/walk.h"

enum {
	/* Of content in one DATA frame. */
	CHUNK = CHANNEL_BUFFER - WIRE_HEADER,
	CHECK_STEP = 1024 * 1024,
};

enum answer {
	ANSWER_NONE,
	ANSWER_TAKE,
	ANSWER_HAVE,
	ANSWER_REFUSE,
};

/* An entry that is offered and not finished. */
struct item {
	struct entry entry;
	unsigned char offer[DIGEST_SIZE];
	/* What the receiver said, under party.lock. */
	enum answer answer;
	uint64_t there;
	bool checked;
	unsigned char check[DIGEST_SIZE];
};

enum phase {
	AWAIT_PREAMBLE,
	AWAIT_GO,
	SENDING,		/* offers, and the data of the oldest */
	CHECKING,		/* ...digesting what the receiver has of it */
	READING,		/* ...a file */
	DROPPING,		/* ...which cannot be sent */
	STREAMING,		/* ...a stream */
	AWAIT_VERDICT,
	LEAVING,
};

struct sender {
	struct party party;
	char *const *operands;
	enum wire_shape shape;

	/* Shared, under party.lock. */
	struct item items[WIRE_WINDOW];
	uint64_t head, tail;	/* the oldest unfinished, and behind the last */
	uint64_t answered;	/* of them */
	uint64_t next_check;	/* the first that may still get a CHECK */
	bool go;		/* the receiver has said so */
	bool has_verdict;
	struct wire_verdict verdict;

	/* Of the out leg. */
	enum phase phase;
	struct walk *walk;
	bool walked;		/* all entries are offered */
	struct source source;
	struct sock *stream;
	char *stream_paths[2];
	uint64_t stream_size;
	struct wire_end end;
	unsigned char last[DIGEST_SIZE];	/* of the last file */
	uint64_t entries, bytes;	/* to announce; WIRE_UNKNOWN */
	struct err why;		/* of DROPPING */
};

static struct item *
item_at(struct sender *s, uint64_t i)
{
	return &s->items[i % WIRE_WINDOW];
}

static bool
is_file(const struct item *item)
{
	return item->entry.kind == WIRE_KIND_FILE ||
	    item->entry.kind == WIRE_KIND_STREAM;
}

static void
lock(struct sender *s)
{
	(void)pthread_mutex_lock(&s->party.lock);
}

static void
unlock(struct sender *s)
{
	(void)pthread_mutex_unlock(&s->party.lock);
}

/* The in leg: what the receiver says. */

/* The answer to the oldest offer without one. The lock is held. */
static bool
take_answer(struct sender *s, const struct frame *f)
{
	struct item *item = item_at(s, s->answered);
	struct wire_reason reason;
	struct err why = { 0 };

	if (s->answered == s->tail)
		return false;
	if (f->type == WIRE_REFUSE) {
		if (!wire_get_reason(f->payload, f->len, f->type, &reason))
			return false;
		item->answer = ANSWER_REFUSE;
		party_peer_reason(&s->party, &reason, "refused", &why);
		unlock(s);
		party_entry_failed(&s->party, &why);
		lock(s);
	} else {
		if (!wire_get_number(f->payload, f->len, &item->there) ||
		    (item->there > 0 && (!is_file(item) ||
		    item->there > item->entry.size)))
			return false;
		item->answer = f->type == WIRE_HAVE ? ANSWER_HAVE :
		    ANSWER_TAKE;
	}
	s->answered++;
	return true;
}

/* CHECKs come in the order of the entries of which something is there. */
static bool
take_check(struct sender *s, const struct frame *f)
{
	struct item *item;

	for (; s->next_check < s->answered; s->next_check++) {
		item = item_at(s, s->next_check);
		if (s->next_check < s->head || item->there == 0)
			continue;
		s->next_check++;
		item->checked = true;
		memcpy(item->check, f->payload, DIGEST_SIZE);
		return true;
	}
	return false;
}

static bool
take_failed(struct sender *s, const struct frame *f)
{
	struct wire_reason reason;
	struct err why = { 0 };

	if (!wire_get_reason(f->payload, f->len, f->type, &reason))
		return false;
	party_peer_reason(&s->party, &reason, "did not arrive", &why);
	party_entry_failed(&s->party, &why);
	return true;
}

static bool
take_confirm(struct sender *s, const struct frame *f)
{
	struct transfer_status *status = s->party.status;
	struct wire_confirm c;

	if (!wire_get_confirm(f->payload, f->len, &c))
		return false;
	atomic_store(&status->bytes, c.bytes);
	atomic_store(&status->entries, c.entries);
	return true;
}

/* False: it has no place here, or does not make sense. */
static bool
take(struct sender *s, const struct frame *f)
{
	bool ok = false;

	if (f->type == WIRE_KEEPALIVE)
		return true;
	if (f->type == WIRE_CONFIRM)
		return take_confirm(s, f);
	if (f->type == WIRE_FAILED)
		return take_failed(s, f);
	lock(s);
	if (f->type == WIRE_GO) {
		ok = !s->go;
		s->go = true;
	} else if (f->type == WIRE_VERDICT) {
		ok = !s->has_verdict && wire_get_verdict(f->payload, f->len,
		    &s->verdict);
		s->has_verdict = true;
	} else if (f->type == WIRE_CHECK)
		ok = take_check(s, f);
	else
		ok = take_answer(s, f);
	unlock(s);
	party_ring(&s->party);
	return ok;
}

static enum sk_result
receive(void *side, struct err *e)
{
	struct sender *s = side;
	struct party *p = &s->party;
	enum sk_result r;
	struct frame f;

	if (!p->greeted)
		return party_greet(p, e);
	r = channel_next(&p->channel, &f, e);
	if (r == SK_EOF && party_state(p) == PARTY_GOING_ON) {
		err_set(e, ERR_BROKEN, 0, sock_name(p->channel.peer),
		    "ended before it had confirmed everything");
		return SK_ERROR;
	}
	if (r != SK_OK)
		return r;
	if (f.type == WIRE_ABORT)
		return party_take_abort(p, &f, e);
	return take(s, &f) ? SK_OK : party_unexpected(p, e);
}

/* Whether what is awaited has come. */
static bool
has_come(struct sender *s, const bool *flag)
{
	bool come;

	lock(s);
	come = *flag;
	unlock(s);
	return come;
}

/* Wait for the in leg; what is in the buffer has to go out before. */
static enum sk_result
wait(struct sender *s, struct err *e)
{
	struct party *p = &s->party;

	party_keep_alive(p);
	if (channel_pending(&p->channel) > 0)
		return channel_flush(&p->channel, e);
	return party_wait(p, p->mute ? CLOCK_NEVER : party_keepalive_ns(p),
	    e);
}

/* The out leg: offers. */

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
	struct item *item = item_at(s, s->tail);
	unsigned char *at = channel_end(c);
	struct wire_offer o;
	size_t size;

	to_offer(n, &o);
	size = wire_put_offer(at, &o);
	channel_put(c, size);
	lock(s);
	*item = (struct item){ .entry = *n };
	digest_of(at + WIRE_HEADER, size - WIRE_HEADER, item->offer);
	s->tail++;
	unlock(s);
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

/* The out leg: the oldest entry. */

/* It is finished, with that size and digest. */
static void
pass(struct sender *s, uint64_t size,
    const unsigned char content[DIGEST_SIZE])
{
	static const unsigned char nothing[DIGEST_SIZE];
	struct item *item = item_at(s, s->head);

	wire_chain(s->end.digest, item->offer, size,
	    content != NULL ? content : nothing);
	if (content != NULL) {
		s->end.bytes += size;
		s->party.result->files++;
		memcpy(s->last, content, DIGEST_SIZE);
	}
	entry_release(&item->entry);
	lock(s);
	s->head++;
	unlock(s);
	s->phase = SENDING;
}

static void
release_source(struct sender *s)
{
	source_close(&s->source);
	sock_abort(&s->stream);
}

/* It cannot be sent, for the reason *why, which becomes empty. */
static void
drop(struct sender *s, struct err *why)
{
	release_source(s);
	err_move(&s->why, why);
	s->phase = DROPPING;
}

/* Once the receiver has said all that it says of it. */
static enum sk_result
put_drop(struct sender *s, struct item *item, struct err *e)
{
	struct channel *c = &s->party.channel;
	char text[ERR_WHO_MAX + ERR_TEXT_MAX + 128];
	struct wire_reason reason = { .code = s->why.code, .text = text };

	if (item->there > 0 && !has_come(s, &item->checked))
		return wait(s, e);
	(void)err_format(&s->why, text, sizeof(text));
	reason.text_len = strlen(text);
	channel_put(c, wire_put_reason(channel_end(c), WIRE_DROP, &reason));
	party_entry_failed(&s->party, &s->why);
	s->end.failed++;
	pass(s, 0, NULL);
	return SK_OK;
}

static void
put_close(struct sender *s, uint64_t size)
{
	const struct transfer_events *ev = &s->party.config->events;
	struct channel *c = &s->party.channel;
	struct wire_close close = { .size = size };

	digest_get(s->source.digest, close.digest);
	channel_put(c, wire_put_close(channel_end(c), &close));
	if (ev->arrived != NULL)
		ev->arrived(ev->context, item_at(s, s->head)->entry.name,
		    close.digest);
	release_source(s);
	pass(s, size, close.digest);
}

/* A stream is read like a socket: it may have to be waited for. */
static void
open_stream(struct sender *s, const struct entry *n)
{
	static char dash[] = "-";
	struct err why = { 0 };

	s->stream_paths[0] = *n->path == '\0' ? dash : n->path;
	digest_reset(s->source.digest);
	s->stream_size = 0;
	s->stream = sock_files(s->stream_paths, s->party.config->mode, &why);
	if (s->stream == NULL) {
		drop(s, &why);
		return;
	}
	sock_follow(s->stream, s->party.channel.peer);
	s->phase = STREAMING;
}

/* Begin with what the receiver has said of the oldest entry. */
static void
begin_item(struct sender *s, struct item *item)
{
	struct err why = { 0 };

	party_set_name(&s->party, item->entry.name);
	if (item->entry.kind == WIRE_KIND_STREAM)
		open_stream(s, &item->entry);
	else if (source_open(&s->source, &item->entry, &why))
		s->phase = item->there > 0 ? CHECKING : READING;
	else
		drop(s, &why);
}

/* The same bytes as the receiver has: digest ours. */
static bool
check_some(struct sender *s, struct item *item, struct err *why)
{
	struct transfer_status *status = s->party.status;
	struct channel *c = &s->party.channel;
	uint64_t before = s->source.pos, end = before + CHECK_STEP, zeros;
	size_t got, max;

	if (end > item->there)
		end = item->there;
	while (s->source.pos < end) {
		zeros = source_skip_hole(&s->source, item->there -
		    s->source.pos);
		if (zeros > 0)
			break;
		max = CHUNK;
		if (max > end - s->source.pos)
			max = (size_t)(end - s->source.pos);
		/* The free part of the buffer will do. */
		if (!source_read(&s->source, &item->entry, channel_end(c),
		    max, &got, why))
			return false;
	}
	atomic_fetch_add(&status->checked, s->source.pos - before);
	return true;
}

/* What is there is compared: go on behind it, or from the beginning. */
static void
answer_check(struct sender *s, const struct item *item)
{
	struct channel *c = &s->party.channel;
	unsigned char digest[DIGEST_SIZE];
	struct err why = { 0 };
	bool equal;

	digest_get(s->source.digest, digest);
	equal = memcmp(digest, item->check, DIGEST_SIZE) == 0;
	atomic_store(&s->party.status->checking, false);
	if (!equal && item->answer == ANSWER_HAVE) {
		err_set(&why, ERR_PEER, 0, sock_name(c->peer), "refused: %s: "
		    "exists; use --force to replace it", item->entry.name);
		drop(s, &why);
		return;
	}
	if (equal)
		atomic_fetch_add(&s->party.status->there, item->there);
	else
		source_rewind(&s->source);
	channel_put(c, wire_put_number(channel_end(c), WIRE_FROM,
	    equal ? item->there : 0));
	s->phase = READING;
}

static enum sk_result
check(struct sender *s, struct item *item, struct err *e)
{
	struct err why = { 0 };

	/* The data goes through the buffer, which has to be empty. */
	if (channel_pending(&s->party.channel) > 0)
		return channel_flush(&s->party.channel, e);
	atomic_store(&s->party.status->checking, true);
	if (s->source.pos < item->there) {
		if (!check_some(s, item, &why))
			drop(s, &why);
		return SK_OK;
	}
	if (!has_come(s, &item->checked))
		return wait(s, e);
	answer_check(s, item);
	return SK_OK;
}

/* Some of the file as a frame, or its end. */
static void
read_some(struct sender *s, struct item *item)
{
	struct channel *c = &s->party.channel;
	unsigned char *at = channel_end(c);
	size_t got, room = CHANNEL_BUFFER - channel_pending(c);
	struct err why = { 0 };
	uint64_t zeros;

	if (s->source.pos == s->source.size) {
		if (source_check(&s->source, &item->entry, &why))
			put_close(s, s->source.size);
		else
			drop(s, &why);
		return;
	}
	zeros = source_skip_hole(&s->source, WIRE_HOLE_MAX);
	if (zeros > 0) {
		channel_put(c, wire_put_number(at, WIRE_HOLE, zeros));
		return;
	}
	if (!source_read(&s->source, &item->entry, at + WIRE_HEADER, room,
	    &got, &why)) {
		drop(s, &why);
		return;
	}
	wire_put_data_header(at, (uint32_t)got);
	channel_put(c, WIRE_HEADER + got);
}

static enum sk_result
stream_some(struct sender *s, struct err *e)
{
	struct party *p = &s->party;
	struct channel *c = &p->channel;
	unsigned char *at = channel_end(c);
	enum sk_result r;
	size_t got;

	sock_set_side_deadline(s->stream, SK_IN, party_keepalive_ns(p));
	p->out.waits = s->stream;
	p->out.side = SK_IN;
	r = sock_recv(s->stream, at + WIRE_HEADER, CHUNK, &got, e);
	if (r == SK_TIMEOUT)
		return SK_OK;
	if (r == SK_EOF) {
		put_close(s, s->stream_size);
		return SK_OK;
	}
	if (r != SK_OK)
		return r;
	digest_add(s->source.digest, at + WIRE_HEADER, got);
	s->stream_size += got;
	wire_put_data_header(at, (uint32_t)got);
	channel_put(c, WIRE_HEADER + got);
	return SK_OK;
}

static enum sk_result
send_stream(struct sender *s, struct err *e)
{
	struct err why = { 0 };
	enum sk_result r;

	if (channel_pending(&s->party.channel) > 0)
		return channel_flush(&s->party.channel, e);
	r = stream_some(s, &why);
	if (r != SK_ERROR)
		return r;
	drop(s, &why);
	return SK_OK;
}

/* The out leg: the beginning and the end. */

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
	} else if (s->verdict.failed > 0 && s->party.failures == 0) {
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
	struct item *item = item_at(s, s->head);
	enum answer answer;

	/* Offers run ahead, so that nobody waits for answers. */
	if (offer(s))
		return SK_OK;
	if (s->head == s->tail) {
		put_end(s);
		return SK_OK;
	}
	lock(s);
	answer = item->answer;
	unlock(s);
	if (answer == ANSWER_NONE)
		return wait(s, e);
	if (answer == ANSWER_REFUSE || !is_file(item))
		pass(s, 0, NULL);
	else
		begin_item(s, item);
	return SK_OK;
}

static enum sk_result
produce(void *side, struct err *e)
{
	struct sender *s = side;
	struct item *item = item_at(s, s->head);

	switch (s->phase) {
	case AWAIT_PREAMBLE:
		if (!has_come(s, &s->party.greeted))
			return wait(s, e);
		put_begin(s);
		return SK_OK;
	case AWAIT_GO:
		if (!has_come(s, &s->go))
			return wait(s, e);
		s->phase = SENDING;
		return SK_OK;
	case SENDING:
		return send_next(s, e);
	case CHECKING:
		party_keep_alive(&s->party);
		return check(s, item, e);
	case READING:
		read_some(s, item);
		return SK_OK;
	case DROPPING:
		return put_drop(s, item, e);
	case STREAMING:
		party_keep_alive(&s->party);
		return send_stream(s, e);
	case AWAIT_VERDICT:
		if (!has_come(s, &s->has_verdict))
			return wait(s, e);
		take_verdict(s);
		return SK_OK;
	case LEAVING:
		break;
	}
	return SK_OK;
}

static const struct party_side sender_side = {
	.peer = WIRE_RECEIVER, .receive = receive, .produce = produce,
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
	walk_count(s->operands, &s->entries, &s->bytes);
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
	/* What has gone by of a stream is gone. */
	if (s->shape == WIRE_STREAM && s->go)
		result->resumable = false;
}

static void
release(struct sender *s)
{
	release_source(s);
	err_clear(&s->why);
	for (; s->head < s->tail; s->head++)
		entry_release(&item_at(s, s->head)->entry);
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
