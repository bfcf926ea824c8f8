#ifndef HAUL_FLOW_CHUNK_H
#define HAUL_FLOW_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bytes that were read at once, on their way to several readers. A chunk is
 * alive while somebody is counted as its reader.
 */
struct chunk {
	struct chunk *next;
	const void *origin;	/* who is not to get it; NULL: nobody */
	size_t readers;		/* who have not had it */
	uint64_t position;	/* what was added before it, in memory */
	size_t len;
	char data[];
};

/* Chunks in their order; all zero is empty. */
struct chunks {
	struct chunk *first, *last;
	size_t bytes;		/* of memory */
	uint64_t added;		/* the same, since the beginning */
};

/* A copy of len bytes at the end; NULL without memory. */
struct chunk *chunks_add(struct chunks *q, const void *data, size_t len,
    const void *origin, size_t readers);

/* One reader less; frees, from the beginning, what nobody reads any more. */
void chunks_release(struct chunks *q, struct chunk *c);

/* The next one for a reader: not what it has sent itself. NULL: none yet. */
struct chunk *chunk_for(struct chunk *c, const void *reader);

void chunks_free(struct chunks *q);

#endif
