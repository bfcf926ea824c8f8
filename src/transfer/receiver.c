/* The receiving side of a transfer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "transfer/party.h"
#include "transfer/place.h"
#include "transfer/target.h"

enum {
	CONFIRM_EVERY_MS = 100,
	/* What the in leg has to say, before the out leg takes it. */
	QUEUE_START = 16 * 1024,
	/* An answer to each offer of a window, and failures besides. */
	QUEUE_MAX = 4 * 1024 * 1024,
	FRAME_MAX = WIRE_HEADER + WIRE_OFFER_FIXED + WIRE_TEXT_MAX,
};

/* An entry that was offered. */
struct item {
	char *name;		/* malloc */
	enum wire_kind kind;
	bool finished;		/* nothing more comes for it */
	struct target *target;	/* NULL: no file, or refused */
	bool begun;
	struct place_times times;	/* of a directory */
	bool entered;			/* it is one, and is there */
	unsigned char offer[DIGEST_SIZE];
	uint64_t size;
	unsigned char content[DIGEST_SIZE];
};

enum phase {
	AWAIT_PREAMBLE,
	AWAIT_BEGIN,
	TAKING,			/* entries and their data */
	CHECKING,		/* ...comparing what is there of the last */
	FINISHING,		/* ...and closing standard output */
	AWAIT_BYE,
	AWAIT_END,
};

struct receiver {
	struct party party;
	struct place *place;

	/* Of the in leg. */
	enum phase phase;
	enum wire_shape shape;
	struct item items[WIRE_WINDOW];
	uint64_t head, tail;	/* the oldest unfinished, and behind the last */
	uint64_t zeros_left;	/* of a hole */
	struct wire_close close;
	unsigned char chain[DIGEST_SIZE];
	unsigned char last[DIGEST_SIZE];	/* of the last file */
	uint64_t taken;		/* content of finished entries */
	uint64_t failed;	/* refused or failed, by us */

	/* Shared, under party.lock. */
	unsigned char *queue;	/* malloc: frames for the out leg */
	size_t queued, queue_size;
	atomic_bool stale;	/* there is more to confirm */

	/* Of the out leg. */
	bool greeting_put;
	int64_t confirm_ns;	/* when the next may be sent */
};

/* What the in leg says. */

/* Room for one more frame; NULL with *e filled. The lock is held. */
static unsigned char *
queue_room(struct receiver *v, struct err *e)
{
	size_t size = v->queue_size;
	unsigned char *more;

	if (v->queued + FRAME_MAX <= size)
		return v->queue + v->queued;
	size = size == 0 ? QUEUE_START : size * 2;
	more = size <= QUEUE_MAX ? realloc(v->queue, size) : NULL;
	if (more == NULL) {
		err_no_memory(e);
		return NULL;
	}
	v->queue = more;
	v->queue_size = size;
	return more + v->queued;
}

struct saying {
	enum wire_type type;
	uint64_t number;
	const unsigned char *digest;
	const struct wire_verdict *verdict;
	const struct wire_reason *reason;
};

static bool
say(struct receiver *v, const struct saying *what, struct err *e)
{
	struct party *p = &v->party;
	unsigned char *at;

	(void)pthread_mutex_lock(&p->lock);
	at = queue_room(v, e);
	if (at != NULL && what->verdict != NULL)
		v->queued += wire_put_verdict(at, what->verdict);
	else if (at != NULL && what->reason != NULL)
		v->queued += wire_put_reason(at, what->type, what->reason);
	else if (at != NULL && what->digest != NULL)
		v->queued += wire_put_check(at, what->digest);
	else if (at != NULL && what->type == WIRE_GO)
		v->queued += wire_put_empty(at, what->type);
	else if (at != NULL)
		v->queued += wire_put_number(at, what->type, what->number);
	(void)pthread_mutex_unlock(&p->lock);
	party_ring(p);
	return at != NULL;
}

/* An entry is refused or has failed, for the reason *why; both are told. */
static bool
say_failure(struct receiver *v, enum wire_type type, uint64_t entry,
    struct err *why, struct err *e)
{
	char text[ERR_WHO_MAX + ERR_TEXT_MAX + 128];
	struct wire_reason reason = { .entry = entry, .code = why->code,
	    .text = text };
	const struct saying what = { .type = type, .reason = &reason };

	(void)err_format(why, text, sizeof(text));
	reason.text_len = strlen(text);
	v->failed++;
	party_entry_failed(&v->party, why);
	return say(v, &what, e);
}

/* The queue of entries. */

static struct item *
item_at(struct receiver *v, uint64_t i)
{
	return &v->items[i % WIRE_WINDOW];
}

static void
release_item(struct item *item)
{
	target_free(item->target);
	free(item->name);
	*item = (struct item){ .name = NULL };
}

static bool
is_file(const struct item *item)
{
	return item->kind == WIRE_KIND_FILE ||
	    item->kind == WIRE_KIND_STREAM;
}

/* There is more to confirm: the out leg does so in time. */
static void
mark_stale(struct receiver *v)
{
	if (!atomic_exchange(&v->stale, true))
		party_ring(&v->party);
}

/* Finished entries are taken out in the order of their offers. */
static void
pass(struct receiver *v)
{
	struct party *p = &v->party;
	struct err why = { 0 };
	struct item *item;

	while (v->head < v->tail && item_at(v, v->head)->finished) {
		item = item_at(v, v->head++);
		if (!place_leave(v->place, item->name, &why) ||
		    (item->entered && !place_enter(v->place, item->name,
		    &item->times, &why))) {
			v->failed++;
			party_entry_failed(p, &why);
		}
		wire_chain(v->chain, item->offer, item->size, item->content);
		if (is_file(item) && item->size > 0)
			v->taken += item->size;
		atomic_fetch_add(&p->status->entries, 1);
		release_item(item);
		mark_stale(v);
	}
	if (v->head < v->tail)
		party_set_name(p, item_at(v, v->head)->name);
}

/* The entry that data belongs to: the oldest that is not finished. */
static struct item *
current(struct receiver *v)
{
	return v->head < v->tail ? item_at(v, v->head) : NULL;
}

/* An entry that was taken has failed. What still comes for it is dropped. */
static enum sk_result
fail_item(struct receiver *v, struct item *item, struct err *e)
{
	struct err why = { 0 };

	err_move(&why, e);
	target_drop(item->target);
	target_free(item->target);
	item->target = NULL;
	return say_failure(v, WIRE_FAILED, v->head, &why, e) ? SK_OK :
	    SK_ERROR;
}

static void
finish_item(struct receiver *v, struct item *item)
{
	item->finished = true;
	pass(v);
}

/* Offers. */

static bool
add_item(struct receiver *v, const struct wire_offer *o,
    const struct frame *f, struct err *e)
{
	struct item *item = item_at(v, v->tail);

	*item = (struct item){ .kind = o->kind };
	item->name = strndup(o->name, o->name_len);
	if (item->name == NULL) {
		err_no_memory(e);
		return false;
	}
	digest_of(f->payload, f->len, item->offer);
	item->times = (struct place_times){ .mode = o->mode,
	    .mtime_s = o->mtime_s, .mtime_ns = o->mtime_ns };
	v->tail++;
	if (v->head + 1 == v->tail)
		party_set_name(&v->party, item->name);
	return true;
}

static bool
is_welcome(struct receiver *v, const struct wire_offer *o, struct err *why)
{
	const char *fault = v->shape == WIRE_STREAM ? NULL :
	    name_fault(o->name, o->name_len);
	char name[ERR_WHO_MAX];

	if (fault == NULL && o->kind == WIRE_KIND_LINK &&
	    memchr(o->target, '\0', o->target_len) != NULL)
		fault = "the target of the link has a NUL byte";
	if (fault == NULL)
		return true;
	(void)snprintf(name, sizeof(name), "%.*s", (int)o->name_len, o->name);
	err_set(why, ERR_PEER, 0, name, "refused: %s", fault);
	return false;
}

/* Make what needs no data. */
static bool
make(struct receiver *v, struct item *item, const struct wire_offer *o,
    struct err *why)
{
	char target[WIRE_NAME_MAX + 1];

	if (item->kind == WIRE_KIND_DIRECTORY) {
		item->entered = place_make_directory(v->place, item->name, o,
		    &item->times.made, why);
		return item->entered;
	}
	memcpy(target, o->target, o->target_len);
	target[o->target_len] = '\0';
	return place_make_link(v->place, item->name, target, o, why);
}

/* Whether it is one of what the sender has announced. */
static bool
is_announced(const struct receiver *v, const struct wire_offer *o)
{
	switch (v->shape) {
	case WIRE_STREAM:
		return v->tail == 0 && o->kind == WIRE_KIND_STREAM &&
		    o->name_len == 0;
	case WIRE_FILE:
		return v->tail == 0 && (o->kind == WIRE_KIND_STREAM ||
		    o->kind == WIRE_KIND_FILE);
	case WIRE_TREE:
		break;
	}
	return true;
}

static enum sk_result
take_offer(struct receiver *v, const struct frame *f, struct err *e)
{
	struct saying what = { .type = WIRE_TAKE };
	struct err why = { 0 };
	struct wire_offer o;
	struct item *item;
	bool welcome;

	if (!wire_get_offer(f->payload, f->len, &o) ||
	    v->tail - v->head == WIRE_WINDOW || !is_announced(v, &o))
		return party_unexpected(&v->party, e);
	if (!add_item(v, &o, f, e))
		return SK_ERROR;
	item = item_at(v, v->tail - 1);
	welcome = is_welcome(v, &o, &why);
	if (welcome && is_file(item)) {
		item->target = target_find(v->place, item->name, &o, &why);
		welcome = item->target != NULL;
	} else if (welcome)
		welcome = make(v, item, &o, &why);
	if (!welcome || !is_file(item))
		item->finished = true;
	if (!welcome) {
		if (!say_failure(v, WIRE_REFUSE, 0, &why, e))
			return SK_ERROR;
	} else {
		if (item->target != NULL) {
			what.number = target_there(item->target);
			if (what.number > 0 && target_is_final(item->target))
				what.type = WIRE_HAVE;
		}
		if (!say(v, &what, e))
			return SK_ERROR;
		if (what.number > 0)
			v->phase = CHECKING;
	}
	pass(v);
	return SK_OK;
}

/* The last offer: digest what is there of it. */
static enum sk_result
check(struct receiver *v, struct err *e)
{
	struct item *item = item_at(v, v->tail - 1);
	struct transfer_status *status = v->party.status;
	unsigned char digest[DIGEST_SIZE];
	const struct saying what = { .type = WIRE_CHECK, .digest = digest };
	enum sk_result r;
	uint64_t done;

	atomic_store(&status->checking, true);
	r = target_check(item->target, &done, digest, e);
	atomic_fetch_add(&status->checked, done);
	if (r != SK_EOF)
		return r;
	atomic_store(&status->checking, false);
	v->phase = TAKING;
	return say(v, &what, e) ? SK_OK : SK_ERROR;
}

/* Data. */

static void
count(struct receiver *v, uint64_t bytes)
{
	atomic_fetch_add(&v->party.status->bytes, bytes);
	mark_stale(v);
}

static enum sk_result
begin_data(struct receiver *v, struct item *item, uint64_t offset,
    struct err *e)
{
	item->begun = true;
	if (item->target == NULL)
		return SK_OK;
	if (!target_begin(item->target, offset, e))
		return fail_item(v, item, e);
	atomic_fetch_add(&v->party.status->there, offset);
	count(v, offset);
	return SK_OK;
}

/* The current file, ready for data; NULL: *r is the result. */
static struct item *
ready_item(struct receiver *v, enum sk_result *r, struct err *e)
{
	struct item *item = current(v);

	if (item == NULL || !is_file(item) || (!item->begun &&
	    item->target != NULL && target_there(item->target) > 0)) {
		*r = party_unexpected(&v->party, e);
		return NULL;
	}
	*r = item->begun ? SK_OK : begin_data(v, item, 0, e);
	return *r == SK_OK ? item : NULL;
}

static enum sk_result
take_from(struct receiver *v, const struct frame *f, struct err *e)
{
	struct item *item = current(v);
	uint64_t offset;

	if (item == NULL || item->target == NULL || item->begun ||
	    !wire_get_number(f->payload, f->len, &offset) ||
	    target_there(item->target) == 0 ||
	    (offset != 0 && offset != target_there(item->target)) ||
	    (offset == 0 && target_is_final(item->target)))
		return party_unexpected(&v->party, e);
	return begin_data(v, item, offset, e);
}

/* More than was offered is a fault of the sender's. */
static bool
fits(const struct item *item, uint64_t more)
{
	return item->target == NULL || more <= target_room(item->target);
}

static enum sk_result
take_data(struct receiver *v, const struct frame *f, struct err *e)
{
	enum sk_result r;
	struct item *item = ready_item(v, &r, e);
	size_t put = f->len;

	if (item == NULL)
		return r;
	if (!fits(item, f->len))
		return party_unexpected(&v->party, e);
	if (item->target != NULL) {
		v->party.in.waits = target_output(item->target);
		r = target_write(item->target, f->payload, f->len, &put, e);
		if (r != SK_OK)
			return r;
		count(v, put);
	}
	channel_take(&v->party.channel, put);
	return SK_OK;
}

static enum sk_result
write_zeros(struct receiver *v, struct err *e)
{
	struct item *item = current(v);
	uint64_t put = v->zeros_left;
	enum sk_result r = SK_OK;

	if (item->target != NULL) {
		v->party.in.waits = target_output(item->target);
		v->party.in.side = SK_OUT;
		r = target_write_zeros(item->target, v->zeros_left, &put, e);
		if (r == SK_OK)
			count(v, put);
	}
	if (r == SK_OK)
		v->zeros_left -= put;
	return r;
}

static enum sk_result
take_hole(struct receiver *v, const struct frame *f, struct err *e)
{
	enum sk_result r;
	struct item *item = ready_item(v, &r, e);
	uint64_t zeros;

	if (item == NULL)
		return r;
	if (!wire_get_number(f->payload, f->len, &zeros) || zeros == 0 ||
	    zeros > WIRE_HOLE_MAX || !fits(item, zeros))
		return party_unexpected(&v->party, e);
	v->zeros_left = zeros;
	return SK_OK;
}

static void
tell_arrived(struct receiver *v, const struct item *item)
{
	const struct transfer_events *ev = &v->party.config->events;

	atomic_fetch_add(&v->party.status->files, 1);
	if (ev->arrived != NULL)
		ev->arrived(ev->context, item->name, item->content);
}

static enum sk_result
finish(struct receiver *v, struct err *e)
{
	struct item *item = current(v);
	enum sk_result r;

	if (item->target != NULL) {
		v->party.in.waits = target_output(item->target);
		v->party.in.side = SK_OUT;
		r = target_finish(item->target, &v->close, e);
		if (r == SK_ERROR)
			r = fail_item(v, item, e);
		else if (r == SK_OK) {
			item->size = v->close.size;
			memcpy(item->content, v->close.digest, DIGEST_SIZE);
			memcpy(v->last, v->close.digest, DIGEST_SIZE);
			tell_arrived(v, item);
		}
		if (r != SK_OK)
			return r;
	}
	v->phase = TAKING;
	finish_item(v, item);
	return SK_OK;
}

static enum sk_result
take_close(struct receiver *v, const struct frame *f, struct err *e)
{
	enum sk_result r;
	struct item *item = ready_item(v, &r, e);

	if (item == NULL)
		return r;
	if (!wire_get_close(f->payload, f->len, &v->close))
		return party_unexpected(&v->party, e);
	v->phase = FINISHING;
	return SK_OK;
}

static enum sk_result
take_drop(struct receiver *v, const struct frame *f, struct err *e)
{
	struct item *item = current(v);
	struct wire_reason reason;
	struct err why = { 0 };

	if (item == NULL || !is_file(item) ||
	    !wire_get_reason(f->payload, f->len, f->type, &reason))
		return party_unexpected(&v->party, e);
	if (item->target != NULL && target_is_final(item->target))
		err_set(&why, ERR_LOCAL, 0, item->name,
		    "exists; use --force to replace it");
	else
		party_peer_reason(&v->party, &reason, "", &why);
	/* If there is no target, we have told of a failure of our own. */
	if (item->target != NULL) {
		party_entry_failed(&v->party, &why);
		target_drop(item->target);
	}
	err_clear(&why);
	finish_item(v, item);
	return SK_OK;
}

/* The beginning and the end. */

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
	v->phase = TAKING;
	v->shape = begin.shape;
	return say(v, &go, e) ? SK_OK : SK_ERROR;
}

static void
fill_result(struct receiver *v)
{
	struct transfer_result *result = v->party.result;
	struct transfer_status *status = v->party.status;

	result->files = atomic_load(&status->files);
	result->bytes = v->taken;
	result->there = atomic_load(&status->there);
	memcpy(result->digest, v->shape == WIRE_TREE ? v->chain : v->last, DIGEST_SIZE);
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
	    end.entries != v->tail)
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
	if (v->failed == 0 && end.failed == 0 &&
	    memcmp(end.digest, v->chain, DIGEST_SIZE) != 0) {
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
	return say(v, &what, e) ? SK_OK : SK_ERROR;
}

static const struct handler {
	enum wire_type type;
	enum phase phase;
	enum sk_result (*take)(struct receiver *, const struct frame *,
	    struct err *);
} handlers[] = {
	{ WIRE_BEGIN, AWAIT_BEGIN, take_begin },
	{ WIRE_OFFER, TAKING, take_offer },
	{ WIRE_FROM, TAKING, take_from },
	{ WIRE_DATA, TAKING, take_data },
	{ WIRE_HOLE, TAKING, take_hole },
	{ WIRE_CLOSE, TAKING, take_close },
	{ WIRE_DROP, TAKING, take_drop },
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
		return check(v, e);
	if (v->phase == FINISHING)
		return finish(v, e);
	if (v->zeros_left > 0)
		return write_zeros(v, e);
	return take_frame(v, e);
}

/* The out leg. */

/* Move what the in leg has said into the buffer. */
static void
take_queue(struct receiver *v)
{
	struct channel *c = &v->party.channel;
	size_t room = CHANNEL_BUFFER - channel_pending(c), len;

	(void)pthread_mutex_lock(&v->party.lock);
	len = v->queued < room ? v->queued : room;
	if (len > 0) {
		memcpy(channel_end(c), v->queue, len);
		memmove(v->queue, v->queue + len, v->queued - len);
		v->queued -= len;
	}
	(void)pthread_mutex_unlock(&v->party.lock);
	channel_put(c, len);
}

/* Put a CONFIRM if there is news and it is time; when to look again. */
static int64_t
confirm(struct receiver *v)
{
	struct transfer_status *status = v->party.status;
	struct channel *c = &v->party.channel;
	int64_t now_ns = clock_now_ns();
	struct wire_confirm now;

	if (!atomic_load(&v->stale))
		return CLOCK_NEVER;
	if (now_ns < v->confirm_ns)
		return v->confirm_ns;
	atomic_store(&v->stale, false);
	v->confirm_ns = now_ns + CONFIRM_EVERY_MS * CLOCK_MS;
	now.entries = atomic_load(&status->entries);
	now.bytes = atomic_load(&status->bytes);
	channel_put(c, wire_put_confirm(channel_end(c), &now));
	return CLOCK_NEVER;
}

static enum sk_result
produce(void *side, struct err *e)
{
	struct receiver *v = side;
	struct party *p = &v->party;
	const struct wire_preamble ours = { .version = WIRE_VERSION,
	    .silence_ms = party_silence_ms(p) };
	struct channel *c = &p->channel;
	int64_t wake = CLOCK_NEVER;
	bool greeted;

	if (!v->greeting_put) {
		wire_put_preamble(channel_end(c), WIRE_RECEIVER, &ours);
		channel_put(c, WIRE_PREAMBLE);
		v->greeting_put = true;
	}
	take_queue(v);
	(void)pthread_mutex_lock(&p->lock);
	greeted = p->greeted;
	(void)pthread_mutex_unlock(&p->lock);
	if (greeted) {
		wake = confirm(v);
		party_keep_alive(p);
		wake = clock_min_ns(wake, party_keepalive_ns(p));
	}
	if (channel_pending(c) > 0)
		return channel_flush(c, e);
	return party_wait(p, wake, e);
}

static const struct party_side receiver_side = {
	.peer = WIRE_SENDER, .receive = receive, .produce = produce,
};

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
		v->party.run.socks[2] = out;
		if (out != NULL)
			v->party.output_fd = sock_watch_fd(out);
		r = party_run(&v->party, e);
	}
	for (; v->head < v->tail; v->head++)
		release_item(item_at(v, v->head));
	place_forget(place);
	party_close(&v->party, peer);
	free(v->queue);
	free(v);
	return r;
}
