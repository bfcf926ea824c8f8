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
	int fd;			/* readable while it is set; -1: closed */
	int write_fd;
};

/*
 * A closed latch can be set and reset, too. That wakes nobody: who sets it
 * kicks the thread that waits for it, and holds kicks back (base/intr.h).
 */
#define LATCH_CLOSED	{ .fd = -1, .write_fd = -1 }

/* How many descriptors one has. */
unsigned latch_fds(void);

/* Make *l an unset latch; false with *e filled if there is no descriptor. */
bool latch_open(struct latch *l, struct err *e);

/* Set it; may be called from several threads, and again. True: it was unset. */
bool latch_set(struct latch *l);

/*
 * Make it unset again. For the one thread that waits for it: what it looks at
 * afterwards is as new as the last latch_set.
 */
void latch_reset(struct latch *l);

bool latch_is_set(const struct latch *l);

bool latch_is_closed(const struct latch *l);

/* Release the descriptors; does nothing to a closed latch. */
void latch_close(struct latch *l);

#endif
