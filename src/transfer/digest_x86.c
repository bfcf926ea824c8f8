#include "transfer/digest_impl.h"

digest_adder *
digest_choose(void)
{
	return __builtin_cpu_supports("avx2") ? digest_add_avx2 :
	    digest_add_plain;
}
