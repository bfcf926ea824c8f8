#ifndef HAUL_TRANSFER_TARGET_IMPL_H
#define HAUL_TRANSFER_TARGET_IMPL_H

#include "transfer/place_impl.h"
#include "transfer/target.h"

struct target {
	struct place *place;
	char *name;		/* malloc */
	bool stream;		/* its size is not known */
	uint64_t size;
	unsigned mode;
	int64_t mtime_s;
	uint32_t mtime_ns;

	int fd;			/* the partial or final file; -1: none yet */
	struct sock *out;	/* or standard output, the place's */
	bool final;
	bool partial;		/* fd is a partial file... */
	bool made;		/* ...that we have just made */
	bool unnamed;		/* fd has no name yet */
	bool leftover;		/* there is a partial file, of no use */
	uint64_t synced;	/* how far the disk has it, with --fsync */
	uint64_t data_start, data_end;	/* of what is there: no hole */
	uint64_t there, pos;
	struct digest *digest;	/* of the first pos bytes; NULL: not yet */
	bool owns_digest;
};

/* Fill *e with what happened to the file. Returns false. */
bool target_fail(const struct target *t, int sys, const char *text,
    struct err *e);

/* A digest of nothing so far, if it has none. False with *e filled. */
bool target_open_digest(struct target *t, struct err *e);

/*
 * In target_find.c: lock a partial file, and see that its name still leads to
 * it. False with *e filled: another transfer has it.
 */
bool target_lock(struct target *t, int fd, int dir, const char *partial,
    struct err *e);

/* Open and lock the partial file, if there is one. */
bool target_find_partial(struct target *t, int dir, const char *partial,
    struct err *e);

#endif
