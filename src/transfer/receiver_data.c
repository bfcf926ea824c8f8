/* The data of the oldest entry that is not finished. */
#include "transfer/receiver_impl.h"

#include <string.h>

/* The entry that data belongs to: the oldest that is not finished. */
static struct item *
current(struct receiver *v)
{
	return v->head < v->tail ? receiver_item(v, v->head) : NULL;
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
	return receiver_say_failure(v, WIRE_FAILED, v->head, &why, e) ? SK_OK :
	    SK_ERROR;
}

static void
finish_item(struct receiver *v, struct item *item)
{
	item->finished = true;
	receiver_pass(v);
}

static void
count(struct receiver *v, uint64_t bytes)
{
	atomic_fetch_add(&v->party.status->bytes, bytes);
	receiver_mark_stale(v);
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

	if (item == NULL || !receiver_is_file(item) || (!item->begun &&
	    item->target != NULL && target_there(item->target) > 0)) {
		*r = party_unexpected(&v->party, e);
		return NULL;
	}
	*r = item->begun ? SK_OK : begin_data(v, item, 0, e);
	return *r == SK_OK ? item : NULL;
}

enum sk_result
receiver_take_from(struct receiver *v, const struct frame *f, struct err *e)
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

enum sk_result
receiver_take_data(struct receiver *v, const struct frame *f, struct err *e)
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

enum sk_result
receiver_write_zeros(struct receiver *v, struct err *e)
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

enum sk_result
receiver_take_hole(struct receiver *v, const struct frame *f, struct err *e)
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

enum sk_result
receiver_finish(struct receiver *v, struct err *e)
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

enum sk_result
receiver_take_close(struct receiver *v, const struct frame *f, struct err *e)
{
	enum sk_result r;
	struct item *item = ready_item(v, &r, e);

	if (item == NULL)
		return r;
	if (!wire_get_close(f->payload, f->len, &v->close) ||
	    (item->target != NULL &&
	    !target_is_whole(item->target, v->close.size)))
		return party_unexpected(&v->party, e);
	v->phase = FINISHING;
	/* Standard output is let go of before it is closed. */
	if (item->target != NULL && target_output(item->target) != NULL) {
		atomic_store(&v->party.output_done, true);
		party_news(&v->party);
		v->party.yields = true;
	}
	return SK_OK;
}

enum sk_result
receiver_take_drop(struct receiver *v, const struct frame *f, struct err *e)
{
	struct item *item = current(v);
	struct wire_reason reason;
	struct err why = { 0 };

	if (item == NULL || !receiver_is_file(item) ||
	    !wire_get_reason(f->payload, f->len, f->type, &reason))
		return party_unexpected(&v->party, e);
	if (item->target != NULL && target_is_final(item->target) &&
	    reason.code == ERR_PEER)
		err_set(&why, ERR_LOCAL, 0, target_name(item->target),
		    "exists; use --force to replace it");
	else
		party_peer_reason(&v->party, &reason, "", &why);
	/* If there is no target, we have told of a failure of our own. */
	if (item->target != NULL) {
		party_entry_failed(&v->party, &why);
		target_drop(item->target);
	}
	err_clear(&why);
	v->dropped++;
	finish_item(v, item);
	return SK_OK;
}
