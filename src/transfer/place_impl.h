#ifndef HAUL_TRANSFER_PLACE_IMPL_H
#define HAUL_TRANSFER_PLACE_IMPL_H

#include <sys/types.h>

#include "transfer/digest.h"
#include "transfer/place.h"

/*
 * The directory of the last name that was looked up. Offers run ahead of the
 * data, so that each has one of its own.
 */
enum place_use {
	FOR_OFFERS,
	FOR_DATA,
	PLACE_USES,
};

struct place_parent {
	int fd;				/* -1: none */
	char path[WIRE_NAME_MAX + 1];	/* "": the place itself */
};

struct place_level {
	struct place_level *above;
	char *name;		/* malloc */
	struct place_times times;
};

struct place {
	struct place_config config;
	int dir;
	char file[NAME_COMPONENT_MAX + 1];	/* PLACE_FILE: in dir */
	mode_t umask;
	struct place_parent parents[PLACE_USES];
	struct place_level *top;	/* of what is finished */
	struct place_level *made;	/* of offers: what we have made */
	bool looked, was_empty;	/* the directory, before the first offer */
	char last[NAME_COMPONENT_MAX + 1];	/* name in it, of the offers */
	struct digest *spare;	/* of the last target, for the next */

	/* Standard output, and what was written to it over all connections. */
	struct sock *out;
	struct digest *out_digest;
	uint64_t out_bytes;
	bool out_closed;
	unsigned char out_offer[DIGEST_SIZE];	/* of what; if out_named */
	bool out_named;
};

/*
 * The directory of a name (the place's to close) and its last component; -1
 * with *e filled.
 */
int place_parent(struct place *p, enum place_use use, const char *name,
    const char **base, struct err *e);

/*
 * Whether the directory of a name that is offered was made by us just now, or
 * is the place and was empty when the transfer began: then there is nothing in
 * it that could be found. (What somebody else puts there meanwhile is replaced
 * with --force alone.) A small file takes a fifth less of the receiver's time.
 */
bool place_is_fresh(struct place *p, const char *name);

#endif
