#ifndef HAUL_TRANSFER_DIGEST_IMPL_H
#define HAUL_TRANSFER_DIGEST_IMPL_H

#include <stddef.h>

/*
 * XXH3-128 over a running state (XXH3_state_t), compiled for a vector unit: a
 * file each. With AVX2 it takes two fifths of the time.
 */
typedef void digest_adder(void *state, const void *data, size_t size);

digest_adder digest_add_plain, digest_add_avx2;

/* The one for this machine: digest_x86.c, or digest_generic.c elsewhere. */
digest_adder *digest_choose(void);

#endif
