#ifndef HAUL_TRANSFER_RECEIVER_IMPL_H
#define HAUL_TRANSFER_RECEIVER_IMPL_H

#include "transfer/party.h"
#include "transfer/place.h"
#include "transfer/target.h"

/* The receiving side of a transfer; a file each for its parts. */

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
	uint64_t dropped;	/* by the sender */

	/* Shared, under party.lock. */
	unsigned char *queue;	/* malloc: frames for the out leg */
	size_t queued, queue_size;
	atomic_bool stale;	/* there is more to confirm */

	/* Of the out leg. */
	int64_t confirm_ns;	/* when the next may be sent */
};

/* receiver_out.c: what is said to the sender. */
struct saying {
	enum wire_type type;
	uint64_t number;
	const unsigned char *digest;
	const struct wire_verdict *verdict;
	const struct wire_reason *reason;
};
bool receiver_say(struct receiver *v, const struct saying *what,
    struct err *e);

/* An entry is refused or has failed, for the reason *why; both are told. */
bool receiver_say_failure(struct receiver *v, enum wire_type type,
    uint64_t entry, struct err *why, struct err *e);

/* There is more to confirm: the out leg does so in time. */
void receiver_mark_stale(struct receiver *v);

/* The out leg. */
enum sk_result receiver_produce(void *side, struct err *e);

/* receiver_items.c: the entries that were offered. */
struct item *receiver_item(struct receiver *v, uint64_t i);
void receiver_release_item(struct item *item);
bool receiver_is_file(const struct item *item);

/* Finished entries are taken out in the order of their offers. */
void receiver_pass(struct receiver *v);
enum sk_result receiver_take_offer(struct receiver *v, const struct frame *f,
    struct err *e);

/* The last offer: digest what is there of it. */
enum sk_result receiver_check(struct receiver *v, struct err *e);

/* receiver_data.c: the data of the oldest entry that is not finished. */
enum sk_result receiver_take_from(struct receiver *v, const struct frame *f,
    struct err *e);
enum sk_result receiver_take_data(struct receiver *v, const struct frame *f,
    struct err *e);
enum sk_result receiver_take_hole(struct receiver *v, const struct frame *f,
    struct err *e);
enum sk_result receiver_write_zeros(struct receiver *v, struct err *e);
enum sk_result receiver_take_close(struct receiver *v, const struct frame *f,
    struct err *e);
enum sk_result receiver_finish(struct receiver *v, struct err *e);
enum sk_result receiver_take_drop(struct receiver *v, const struct frame *f,
    struct err *e);

#endif
