/* What the receiver says: the in leg of the sender. */
#include "transfer/sender_impl.h"

#include <string.h>

/* The answer to the oldest offer without one. The lock is held. */
static bool
take_answer(struct sender *s, const struct frame *f)
{
	struct item *item = sender_item(s, s->answered);
	struct wire_reason reason;
	struct err why = { 0 };

	if (s->answered == s->tail)
		return false;
	if (f->type == WIRE_REFUSE) {
		if (!wire_get_reason(f->payload, f->len, f->type, &reason))
			return false;
		item->answer = ANSWER_REFUSE;
		party_peer_reason(&s->party, &reason, "refused", &why);
		sender_unlock(s);
		party_entry_failed(&s->party, &why);
		sender_lock(s);
	} else {
		if (!wire_get_number(f->payload, f->len, &item->there) ||
		    (item->there > 0 &&
		    (item->entry.kind != WIRE_KIND_FILE ||
		    item->there > item->entry.size)))
			return false;
		if (f->type == WIRE_HAVE && (item->there == 0 ||
		    item->there != item->entry.size))
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
		item = sender_item(s, s->next_check);
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
	uint64_t answered;
	struct err why = { 0 };

	sender_lock(s);
	answered = s->answered;
	sender_unlock(s);
	if (!wire_get_reason(f->payload, f->len, f->type, &reason) ||
	    reason.entry >= answered)
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
	if (s->has_verdict)
		return false;
	if (f->type == WIRE_FAILED)
		return take_failed(s, f);
	sender_lock(s);
	if (f->type == WIRE_GO) {
		ok = !s->go;
		s->go = s->party.result->began = true;
	} else if (f->type == WIRE_VERDICT) {
		ok = s->ended && wire_get_verdict(f->payload, f->len,
		    &s->verdict);
		s->has_verdict = true;
	} else if (f->type == WIRE_CHECK)
		ok = take_check(s, f);
	else
		ok = take_answer(s, f);
	sender_unlock(s);
	party_ring_soon(&s->party);
	return ok;
}

enum sk_result
sender_receive(void *side, struct err *e)
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
