/* What the receiver says: the queue of the in leg, and the out leg. */
#include "transfer/receiver_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum {
	CONFIRM_EVERY_MS = 100,
	/* What the in leg has to say, before the out leg takes it. */
	QUEUE_START = 16 * 1024,
	/* An answer to each offer of a window, and failures besides. */
	QUEUE_MAX = 4 * 1024 * 1024,
	FRAME_MAX = WIRE_HEADER + WIRE_OFFER_FIXED + WIRE_TEXT_MAX,
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

bool
receiver_say(struct receiver *v, const struct saying *what, struct err *e)
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
	if (what->type == WIRE_TAKE && what->number == 0)
		party_ring_soon(p);
	else
		party_ring(p);
	return at != NULL;
}

/* An entry is refused or has failed, for the reason *why; both are told. */
bool
receiver_say_failure(struct receiver *v, enum wire_type type, uint64_t entry,
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
	return receiver_say(v, &what, e);
}

/* There is more to confirm: the out leg does so in time. */
void
receiver_mark_stale(struct receiver *v)
{
	if (!atomic_exchange(&v->stale, true))
		party_ring(&v->party);
}

/* The out leg. */

/* How many bytes of the queue are frames that fit into the room. */
static size_t
whole_frames(const unsigned char *queue, size_t queued, size_t room)
{
	struct wire_header h;
	size_t len = 0, next = 0;

	while (next <= room) {
		len = next;
		if (len == queued || !wire_get_header(queue + len,
		    WIRE_RECEIVER, &h))
			break;
		next = len + WIRE_HEADER + h.length;
	}
	return len;
}

/* Move what the in leg has said into the buffer. */
static void
take_queue(struct receiver *v)
{
	struct channel *c = &v->party.channel;
	size_t room = CHANNEL_BUFFER - channel_pending(c), len;

	(void)pthread_mutex_lock(&v->party.lock);
	len = whole_frames(v->queue, v->queued, room);
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

enum sk_result
receiver_produce(void *side, struct err *e)
{
	struct receiver *v = side;
	struct party *p = &v->party;
	struct channel *c = &p->channel;
	int64_t wake = CLOCK_NEVER;
	bool greeted;

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
