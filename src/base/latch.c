#include "base/latch.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

bool
latch_open(struct latch *l, struct err *e)
{
	int fds[2];

	if (pipe(fds) != 0) {
		err_set(e, ERR_LOCAL, errno, "", "cannot make a pipe");
		return false;
	}
	(void)fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	atomic_init(&l->set, false);
	l->fd = fds[0];
	l->write_fd = fds[1];
	return true;
}

void
latch_set(struct latch *l)
{
	if (atomic_exchange(&l->set, true))
		return;
	/* One byte into an empty pipe: it cannot block. */
	while (write(l->write_fd, "", 1) < 0 && errno == EINTR)
		continue;
}

void
latch_reset(struct latch *l)
{
	char byte;

	if (!latch_is_set(l))
		return;
	/*
	 * The byte first. A set between the two finds the flag set and leaves
	 * it at that: the caller looks at what there is afterwards.
	 */
	while (read(l->fd, &byte, 1) < 0 && errno == EINTR)
		continue;
	atomic_store(&l->set, false);
}

bool
latch_is_set(const struct latch *l)
{
	return atomic_load(&l->set);
}

void
latch_close(struct latch *l)
{
	if (l->fd != -1) {
		(void)close(l->fd);
		(void)close(l->write_fd);
	}
	l->fd = l->write_fd = -1;
}
