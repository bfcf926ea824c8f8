#ifndef HAUL_BASE_LATCH_H
#define HAUL_BASE_LATCH_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"

/*
 * A flag that wakes whoever polls its descriptor: how one thread tells another
 * to stop waiting, or that there is news.
 */
struct latch {
	atomic_bool set;
	int fd;			/* readable while it is set; -1: kicked */
	int write_fd;
};

#define LATCH_CLOSED	{ .fd = -1, .write_fd = -1 }

/* Make *l an unset latch; false with *e filled if there is no descriptor. */
bool latch_open(struct latch *l, struct err *e);

/*
 * One without descriptors, for a thread that holds kicks back (base/intr.h):
 * whoever sets it kicks that thread then.
 */
void latch_open_kicked(struct latch *l);
bool latch_is_kicked(const struct latch *l);

/* Set it; may be called from several threads, and again. */
void latch_set(struct latch *l);

/*
 * Make it unset again. For the one thread that waits for it: what it looks at
 * afterwards is as new as the last latch_set.
 */
void latch_reset(struct latch *l);

bool latch_is_set(const struct latch *l);

/* Release the descriptors; does nothing to a closed latch. */
void latch_close(struct latch *l);

#endif
