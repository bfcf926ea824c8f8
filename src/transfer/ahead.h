#ifndef HAUL_TRANSFER_AHEAD_H
#define HAUL_TRANSFER_AHEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "transfer/source.h"

/*
 * A thread that reads and digests the next part of a file while the one before
 * is sent (blocking mode): one part at a time.
 */
struct ahead;

/* NULL with *e filled if there is no thread to be had. */
struct ahead *ahead_new(struct err *e);

/* Wait for the part that is being read, and end the thread. NULL is ignored. */
void ahead_free(struct ahead *a);

/*
 * Begin to read up to len bytes into buf, as source_read does. Until ahead_take
 * has returned, nothing of it may be touched.
 */
void ahead_begin(struct ahead *a, struct source *s, const struct entry *n,
    unsigned char *buf, size_t len);
bool ahead_has_begun(const struct ahead *a);

/* Wait for it: the result of source_read. */
bool ahead_take(struct ahead *a, size_t *got, struct err *e);

#endif
