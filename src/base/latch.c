#include "base/latch.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "base/latch_impl.h"

bool
latch_open(struct latch *l, struct err *e)
{
	if (!latch_make(&l->fd, &l->write_fd)) {
		err_set(e, ERR_LOCAL, errno, "", "cannot make a latch");
		return false;
	}
	atomic_init(&l->set, false);
	return true;
}

bool
latch_is_closed(const struct latch *l)
{
	return l->fd == -1;
}

bool
latch_set(struct latch *l)
{
	static const uint64_t one = 1;

	if (atomic_exchange(&l->set, true))
		return false;
	/* Into an empty pipe or counter: it cannot block. */
	while (!latch_is_closed(l) &&
	    write(l->write_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
	return true;
}

void
latch_reset(struct latch *l)
{
	uint64_t one;

	if (!latch_is_set(l))
		return;
	/*
	 * The number first. A set between the two finds the flag set and leaves
	 * it at that: the caller looks at what there is afterwards.
	 */
	while (!latch_is_closed(l) &&
	    read(l->fd, &one, sizeof(one)) < 0 && errno == EINTR)
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
	if (l->fd != -1)
		(void)close(l->fd);
	if (l->write_fd != l->fd)
		(void)close(l->write_fd);
	l->fd = l->write_fd = -1;
}
