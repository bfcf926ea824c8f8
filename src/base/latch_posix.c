#include "base/latch.h"
#include "base/latch_impl.h"

#include <fcntl.h>
#include <unistd.h>

unsigned
latch_fds(void)
{
	return 2;
}

bool
latch_make(int *read_fd, int *write_fd)
{
	int fds[2];

	if (pipe(fds) != 0) {
		*read_fd = *write_fd = -1;
		return false;
	}
	(void)fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	*read_fd = fds[0];
	*write_fd = fds[1];
	return true;
}
