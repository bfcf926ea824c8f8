#ifndef HAUL_TRANSFER_SOURCE_H
#define HAUL_TRANSFER_SOURCE_H

#include "transfer/digest.h"
#include "transfer/walk.h"

/* A file that is sent: read from its beginning to its end, and digested. */
struct source {
	int fd;			/* -1: none */
	uint64_t pos, size;
	bool sparse;
	uint64_t data_end;	/* of the part that is no hole */
	struct digest *digest;	/* of the first pos bytes */
};

/*
 * Open the file of an entry. False with *e filled if that fails, or it is seen
 * not to be the file any more that the walk has seen.
 */
bool source_open(struct source *s, const struct entry *n, struct err *e);
void source_close(struct source *s);

/*
 * How many zeros there are at pos before data or the end, up to max; adds them.
 */
uint64_t source_skip_hole(struct source *s, uint64_t max);

/*
 * Read up to len bytes into buf and add them. False with *e filled if that
 * fails or the file has become shorter. *got is at least 1 before its end.
 */
bool source_read(struct source *s, const struct entry *n, void *buf,
    size_t len, size_t *got, struct err *e);

/* At its end: whether it is as it was when it was offered. */
bool source_finish(const struct source *s, const struct entry *n,
    struct err *e);

/* Go back to the beginning. */
void source_rewind(struct source *s);

#endif
