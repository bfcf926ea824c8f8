#ifndef HAUL_TRANSFER_TARGET_H
#define HAUL_TRANSFER_TARGET_H

#include "transfer/place.h"
#include "transfer/wire.h"

/*
 * A file that is received. What comes goes to a partial file beside the target,
 * which takes its name once size and digest have proved right. A partial file
 * that is left by a transfer that broke can be continued.
 */
struct target;

/*
 * Find out what is there of an offered file or stream. NULL with *e filled if
 * it cannot be taken. name has been judged (name.h).
 */
struct target *target_find(struct place *p, const char *name,
    const struct wire_offer *o, struct err *e);

/* Let go. A partial file is left if it can be continued. NULL is ignored. */
void target_free(struct target *t);

/* What messages call it. */
const char *target_name(const struct target *t);

/* How much of it is there, and is to be compared before it is used. */
uint64_t target_there(const struct target *t);

/* What is there has the final name already, and will not be replaced. */
bool target_is_final(const struct target *t);

/*
 * Read and digest some of what is there. SK_OK: go on; SK_EOF: all is read and
 * *digest is it; SK_ERROR.
 */
enum sk_result target_check(struct target *t, uint64_t *done,
    unsigned char digest[DIGEST_SIZE], struct err *e);

/* Continue behind what is there, or with 0 from the beginning. */
bool target_begin(struct target *t, uint64_t offset, struct err *e);

/*
 * Write some bytes, or zeros; *put is their number. A file takes all of them;
 * standard output can take less, or return a want, of target_output.
 */
enum sk_result target_write(struct target *t, const unsigned char *data,
    size_t len, size_t *put, struct err *e);
enum sk_result target_write_zeros(struct target *t, uint64_t count,
    uint64_t *put, struct err *e);
struct sock *target_output(const struct target *t);

/* How many more bytes it can take, by the size that was offered. */
uint64_t target_room(const struct target *t);

/* Whether all of it has come, if this is its size. */
bool target_is_whole(const struct target *t, uint64_t size);

/*
 * All has come: compare the digest and give it its name, mode and time.
 * Standard output is closed, which can return a want. SK_ERROR: it has not
 * arrived; ERR_PEER if it is not what was sent.
 */
enum sk_result target_finish(struct target *t, const struct wire_close *c,
    struct err *e);

/* It does not come after all: forget it, the partial file too. */
void target_drop(struct target *t);

#endif
