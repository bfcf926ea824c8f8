#include "transfer/digest.h"
#include "transfer/digest_impl.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct digest {
	XXH3_state_t xxh;
	digest_adder *add;
};

enum { ZEROS = 64 * 1024 };

static const unsigned char zeros[ZEROS];

struct digest *
digest_new(struct err *e)
{
	/* Its vectors are aligned. */
	struct digest *d = aligned_alloc(_Alignof(struct digest),
	    sizeof(*d));

	if (d == NULL) {
		err_no_memory(e);
		return NULL;
	}
	d->add = digest_choose();
	digest_reset(d);
	return d;
}

void
digest_free(struct digest *d)
{
	free(d);
}

void
digest_reset(struct digest *d)
{
	(void)XXH3_128bits_reset(&d->xxh);
}

void
digest_add(struct digest *d, const void *data, size_t size)
{
	d->add(&d->xxh, data, size);
}

void
digest_add_zeros(struct digest *d, uint64_t count)
{
	for (; count > ZEROS; count -= ZEROS)
		digest_add(d, zeros, ZEROS);
	digest_add(d, zeros, (size_t)count);
}

static void
store(XXH128_hash_t hash, unsigned char out[DIGEST_SIZE])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, hash);
	memcpy(out, canonical.digest, DIGEST_SIZE);
}

void
digest_get(const struct digest *d, unsigned char out[DIGEST_SIZE])
{
	store(XXH3_128bits_digest(&d->xxh), out);
}

void
digest_of(const void *data, size_t size, unsigned char out[DIGEST_SIZE])
{
	store(XXH3_128bits(data, size), out);
}

uint64_t
digest_check(const void *data, size_t size)
{
	return XXH3_64bits(data, size);
}

char *
digest_format(const unsigned char digest[DIGEST_SIZE], char text[DIGEST_TEXT])
{
	size_t i;

	for (i = 0; i < DIGEST_SIZE; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return text;
}
