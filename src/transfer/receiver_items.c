/* The entries that a sender offers. */
#include "transfer/receiver_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item *
receiver_item(struct receiver *v, uint64_t i)
{
	return &v->items[i % WIRE_WINDOW];
}

void
receiver_release_item(struct item *item)
{
	target_free(item->target);
	free(item->name);
	*item = (struct item){ .name = NULL };
}

bool
receiver_is_file(const struct item *item)
{
	return item->kind == WIRE_KIND_FILE ||
	    item->kind == WIRE_KIND_STREAM;
}

/* Finished entries are taken out in the order of their offers. */
void
receiver_pass(struct receiver *v)
{
	struct party *p = &v->party;
	struct err why = { 0 };
	struct item *item;

	while (v->head < v->tail && receiver_item(v, v->head)->finished) {
		item = receiver_item(v, v->head++);
		if (!place_leave(v->place, item->name, &why) ||
		    (item->entered && !place_enter(v->place, item->name,
		    &item->times, &why))) {
			v->failed++;
			party_entry_failed(p, &why);
		}
		wire_chain(v->chain, item->offer, item->size, item->content);
		if (receiver_is_file(item) && item->size > 0)
			v->taken += item->size;
		atomic_fetch_add(&p->status->entries, 1);
		receiver_release_item(item);
		receiver_mark_stale(v);
	}
	if (v->head < v->tail)
		party_set_name(p, receiver_item(v, v->head)->name);
}

/* Offers. */

static bool
add_item(struct receiver *v, const struct wire_offer *o,
    const struct frame *f, struct err *e)
{
	struct item *item = receiver_item(v, v->tail);

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

enum sk_result
receiver_take_offer(struct receiver *v, const struct frame *f, struct err *e)
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
	item = receiver_item(v, v->tail - 1);
	welcome = is_welcome(v, &o, &why);
	if (welcome && receiver_is_file(item)) {
		item->target = target_find(v->place, item->name, &o, &why);
		welcome = item->target != NULL;
	} else if (welcome)
		welcome = make(v, item, &o, &why);
	if (!welcome || !receiver_is_file(item))
		item->finished = true;
	if (!welcome) {
		if (!receiver_say_failure(v, WIRE_REFUSE, 0, &why, e))
			return SK_ERROR;
	} else {
		if (item->target != NULL) {
			what.number = target_there(item->target);
			if (what.number > 0 && target_is_final(item->target))
				what.type = WIRE_HAVE;
		}
		if (!receiver_say(v, &what, e))
			return SK_ERROR;
		if (what.number > 0)
			v->phase = CHECKING;
	}
	receiver_pass(v);
	return SK_OK;
}

/* The last offer: digest what is there of it. */
enum sk_result
receiver_check(struct receiver *v, struct err *e)
{
	struct item *item = receiver_item(v, v->tail - 1);
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
	return receiver_say(v, &what, e) ? SK_OK : SK_ERROR;
}
