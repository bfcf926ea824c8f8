#include "base/latch.h"
#include "base/latch_impl.h"

#include <sys/eventfd.h>

unsigned
latch_fds(void)
{
	return 1;
}

bool
latch_make(int *read_fd, int *write_fd)
{
	*read_fd = *write_fd = eventfd(0, EFD_CLOEXEC);
	return *read_fd != -1;
}
