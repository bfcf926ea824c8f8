#ifndef HAUL_TRANSFER_PLACE_H
#define HAUL_TRANSFER_PLACE_H

#include <stdbool.h>

#include "sock/sock.h"
#include "transfer/name.h"
#include "transfer/wire.h"

/*
 * Where a receiver puts what comes: standard output, one file, or a directory
 * and what is below it. Every part of a name is opened on its own, below that
 * directory, and no symbolic link is followed (openat(2), O_NOFOLLOW).
 */
enum place_kind {
	PLACE_STDOUT,
	PLACE_FILE,
	PLACE_DIRECTORY,
};

struct place_config {
	enum place_kind kind;
	const char *path;	/* of the file or directory */
	bool force;		/* replace what exists */
	bool fsync;		/* finished is what the disk has */
};

struct place;
struct sock;

/*
 * NULL with *e filled if there is no such directory. mode is that of standard
 * output, which is opened where it is the place.
 */
struct place *place_open(const struct place_config *config, enum sk_mode mode,
    struct err *e);
void place_close(struct place *p);	/* NULL is ignored */

/* Standard output, or NULL; it stays the place's. */
struct sock *place_output(const struct place *p);

/*
 * Whether the place can take what a sender announces. False with *e filled
 * (ERR_PEER).
 */
bool place_admits(const struct place *p, enum wire_shape shape,
    struct err *e);

/*
 * Make a directory or a link. One that exists is left alone, if it is the same
 * or a directory; *made tells. False with *e filled.
 */
bool place_make_directory(struct place *p, const char *name,
    const struct wire_offer *o, bool *made, struct err *e);
bool place_make_link(struct place *p, const char *name, const char *target,
    const struct wire_offer *o, struct err *e);

/*
 * The current entry is finished (in order of the offers), or with NULL, all
 * are: directories that it is not in are given their modes and times. False
 * with *e filled.
 */
bool place_leave(struct place *p, const char *name, struct err *e);

/*
 * The connection is over: directories that were entered stay as they are, and
 * nothing is kept open but the place itself.
 */
void place_forget(struct place *p);

/* It is a directory, and what comes next is in it. */
struct place_times {
	unsigned mode;
	int64_t mtime_s;
	uint32_t mtime_ns;
	bool made;		/* by us, just now */
};
bool place_enter(struct place *p, const char *name,
    const struct place_times *times, struct err *e);

#endif
