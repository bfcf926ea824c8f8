#define _GNU_SOURCE
#include "flow/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/intr.h"

enum { EVENTS_MAX = 64 };

struct watched {
	bool in_use;
	short events;
	void *tag;
};

struct loop {
	int epoll_fd;
	struct watched *fds;	/* by descriptor */
	size_t size;
};

struct loop *
loop_new(struct err *e)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		err_no_memory(e);
		return NULL;
	}
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd == -1) {
		err_set(e, ERR_LOCAL, errno, "", "cannot make an event loop");
		free(l);
		return NULL;
	}
	if (intr_fd() != -1)
		(void)loop_watch(l, intr_fd(), POLLIN, NULL, e);
	return l;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	(void)close(l->epoll_fd);
	free(l->fds);
	free(l);
}

/* What is known of a descriptor; NULL: no memory. */
static struct watched *
entry(struct loop *l, size_t fd)
{
	size_t size = l->size > 0 ? l->size : EVENTS_MAX;
	struct watched *fds;

	if (l->fds != NULL && fd < l->size)
		return &l->fds[fd];
	while (size <= fd)
		size *= 2;
	fds = realloc(l->fds, size * sizeof(*fds));
	if (fds == NULL)
		return NULL;
	memset(fds + l->size, 0, (size - l->size) * sizeof(*fds));
	l->fds = fds;
	l->size = size;
	return &fds[fd];
}

bool
loop_watch(struct loop *l, int fd, short events, void *tag, struct err *e)
{
	struct epoll_event ev = { 0 };
	struct watched *w;

	w = entry(l, (size_t)fd);
	if (w == NULL) {
		err_no_memory(e);
		return false;
	}
	if (w->in_use && w->events == events && w->tag == tag)
		return true;
	/* The bits of poll and epoll are the same on Linux. */
	ev.events = (uint32_t)events;
	ev.data.fd = fd;
	/* What was watched under the same number may have been closed. */
	if ((!w->in_use || epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, &ev) !=
	    0) && epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
		if (errno != EPERM)
			err_set(e, ERR_LOCAL, errno, "", "event loop");
		return false;
	}
	*w = (struct watched){ true, events, tag };
	return true;
}

void
loop_forget(struct loop *l, int fd, const void *tag)
{
	if ((size_t)fd >= l->size || !l->fds[fd].in_use ||
	    l->fds[fd].tag != tag)
		return;
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	l->fds[fd].in_use = false;
}

int
loop_wait(struct loop *l, int64_t deadline_ns, struct loop_event *events,
    int max)
{
	struct epoll_event ready[EVENTS_MAX];
	int i, n, fd, count = 0;

	if (max > EVENTS_MAX)
		max = EVENTS_MAX;
	do
		n = epoll_wait(l->epoll_fd, ready, max,
		    clock_poll_ms(deadline_ns));
	while (n < 0);
	for (i = 0; i < n; i++) {
		if (ready[i].data.fd == intr_fd()) {
			intr_note();
			return -1;
		}
		/*
		 * A process that is being started has what was closed in the
		 * meantime until it executes its file.
		 */
		fd = ready[i].data.fd;
		if (!l->fds[fd].in_use)
			continue;
		events[count].fd = fd;
		events[count].events = (short)ready[i].events;
		events[count++].tag = l->fds[fd].tag;
	}
	return count;
}
