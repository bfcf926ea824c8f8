/*
 * The processor is asked when there is something to digest, and once. What the
 * compiler has for that, __builtin_cpu_supports, asks at every start: in a
 * virtual machine, where each CPUID is an exit to the host, a tenth of the time
 * that haul takes to start.
 */
#include "transfer/digest_impl.h"

#include <cpuid.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { YMM_STATE = 1 << 1 | 1 << 2 };	/* SSE and AVX, of XCR0 */

/* Whether the system saves the registers of AVX; OSXSAVE is there. */
static bool
saves_ymm(void)
{
	unsigned low, high;

	__asm__ volatile("xgetbv" : "=a" (low), "=d" (high) : "c" (0));
	return (low & YMM_STATE) == YMM_STATE;
}

static bool
has_avx2(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0 ||
	    (c & bit_AVX) == 0 || !saves_ymm())
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
	    (b & bit_AVX2) != 0;
}

digest_adder *
digest_choose(void)
{
	static _Atomic(digest_adder *) chosen;
	digest_adder *add = atomic_load(&chosen);

	if (add == NULL) {
		add = has_avx2() ? digest_add_avx2 : digest_add_plain;
		atomic_store(&chosen, add);
	}
	return add;
}
