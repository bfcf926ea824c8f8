#ifndef HAUL_TRANSFER_SENDER_IMPL_H
#define HAUL_TRANSFER_SENDER_IMPL_H

#include "transfer/ahead.h"
#include "transfer/party.h"
#include "transfer/source.h"
#include "transfer/walk.h"

/* The sending side of a transfer; a file each for its parts. */
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
	bool ended;		/* END is put */
	bool has_verdict;
	struct wire_verdict verdict;

	/* Of the out leg. */
	enum phase phase;
	struct walk *walk;
	bool walked;		/* all entries are offered */
	struct source source;
	struct ahead *ahead;	/* blocking mode; or NULL */
	unsigned char *spare;	/* what it reads into; of the channel */
	struct sock *stream;
	char *stream_paths[2];
	bool hole_put;		/* and has to go out at once */
	bool streamed;		/* what has gone by of a stream is gone */
	uint64_t stream_size;
	struct wire_end end;
	unsigned char last[DIGEST_SIZE];	/* of the last file */
	uint64_t entries, bytes;	/* to announce; WIRE_UNKNOWN */
	struct err why;		/* of DROPPING */
};

/* sender.c */
struct item *sender_item(struct sender *s, uint64_t i);
bool sender_is_file(const struct item *item);
void sender_lock(struct sender *s);
void sender_unlock(struct sender *s);

/* Whether what is awaited has come; the flag is shared. */
bool sender_has(struct sender *s, const bool *flag);

/* Wait for the in leg; what is in the buffer goes out before. */
enum sk_result sender_wait(struct sender *s, struct err *e);

/* sender_in.c: the in leg. */
enum sk_result sender_receive(void *side, struct err *e);

/*
 * sender_data.c: the oldest entry, which the receiver takes, and the phases of
 * its data.
 */
void sender_begin_item(struct sender *s, struct item *item);
enum sk_result sender_check(struct sender *s, struct item *item,
    struct err *e);
enum sk_result sender_read(struct sender *s, struct item *item,
    struct err *e);
enum sk_result sender_stream(struct sender *s, struct err *e);
enum sk_result sender_put_drop(struct sender *s, struct item *item,
    struct err *e);

/* It is finished, with that size and digest (NULL: without content). */
void sender_pass(struct sender *s, uint64_t size,
    const unsigned char *content);
void sender_release_source(struct sender *s);

#endif
