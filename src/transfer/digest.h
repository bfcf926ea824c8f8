#ifndef HAUL_TRANSFER_DIGEST_H
#define HAUL_TRANSFER_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * XXH3-128, as xxhsum -H2 prints it (canonical form, big-endian, seed 0), and
 * XXH3-64 for the checks of headers. They find damage, not malice.
 */
enum {
	DIGEST_SIZE = 16,
	DIGEST_TEXT = 2 * DIGEST_SIZE + 1,
};

struct digest;

/* A running digest of nothing so far; NULL with *e filled without memory. */
struct digest *digest_new(struct err *e);
void digest_free(struct digest *d);	/* NULL is ignored */

/* Start again with nothing. */
void digest_reset(struct digest *d);

void digest_add(struct digest *d, const void *data, size_t size);

/* Add so many zeros. */
void digest_add_zeros(struct digest *d, uint64_t count);

/* The digest of what was added so far; more may follow. */
void digest_get(const struct digest *d, unsigned char out[DIGEST_SIZE]);

/* The digest of data. */
void digest_of(const void *data, size_t size, unsigned char out[DIGEST_SIZE]);

/* XXH3-64 of data. */
uint64_t digest_check(const void *data, size_t size);

/* Lower-case hexadecimal digits; returns text. */
char *digest_format(const unsigned char digest[DIGEST_SIZE],
    char text[DIGEST_TEXT]);

#endif
