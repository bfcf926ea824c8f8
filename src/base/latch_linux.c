#include "base/latch_impl.h"

#include <sys/eventfd.h>

bool
latch_make(int *read_fd, int *write_fd)
{
	*read_fd = *write_fd = eventfd(0, EFD_CLOEXEC);
	return *read_fd != -1;
}
