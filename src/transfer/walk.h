#ifndef HAUL_TRANSFER_WALK_H
#define HAUL_TRANSFER_WALK_H

#include <stdbool.h>
#include <sys/types.h>

#include "transfer/wire.h"

/*
 * The entries of the operands, one after the other: a directory before what is
 * in it, names in the order of their bytes. Memory: the names of the
 * directories on the way to the current entry.
 */
struct entry {
	enum wire_kind kind;
	char *path;		/* malloc; "" is standard input */
	const char *name;	/* the end of path; what the receiver sees */
	char *target;		/* malloc, of a link; or NULL */
	unsigned mode;
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint64_t size, stored;	/* as in struct wire_offer */
	dev_t dev;
	ino_t ino;
};

void entry_release(struct entry *n);

enum walk_result {
	WALK_ENTRY,	/* *n is filled; it is the caller's */
	WALK_SKIPPED,	/* *e names what is not carried, and why */
	WALK_FAILED,	/* *e says what cannot be read; the walk goes on */
	WALK_END,
};

struct walk;

/* operands stay the caller's. NULL with *e filled without memory. */
struct walk *walk_new(char *const *operands, struct err *e);
void walk_free(struct walk *w);		/* NULL is ignored */
enum walk_result walk_next(struct walk *w, struct entry *n, struct err *e);

/*
 * What the operands are in all. False with *e filled if one does not exist, or
 * two would have the same name.
 */
bool walk_shape(char *const *operands, enum wire_shape *shape, struct err *e);

/*
 * Walk them once to count entries, and bytes (WIRE_UNKNOWN with a stream, or if
 * there are more than max entries, or names in one directory, or the deadline
 * has come).
 */
void walk_count(char *const *operands, uint64_t max, int64_t deadline_ns,
    uint64_t *entries, uint64_t *bytes);

#endif
