#include "flow/loop.h"

#include <poll.h>
#include <stdlib.h>

#include "base/intr.h"

struct loop {
	struct pollfd *fds;
	void **tags;
	size_t count, size;
	size_t turn;		/* where the next look at the events begins */
};

struct loop *
loop_new(struct err *e)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		err_no_memory(e);
	return l;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	free(l->fds);
	free(l->tags);
	free(l);
}

static bool
grow(struct loop *l)
{
	size_t size = l->size > 0 ? l->size * 2 : 16;
	struct pollfd *fds;
	void **tags;

	fds = realloc(l->fds, size * sizeof(*fds));
	if (fds == NULL)
		return false;
	l->fds = fds;
	tags = realloc(l->tags, size * sizeof(*tags));
	if (tags == NULL)
		return false;
	l->tags = tags;
	l->size = size;
	return true;
}

static size_t
find(const struct loop *l, int fd)
{
	size_t i;

	for (i = 0; i < l->count; i++)
		if (l->fds[i].fd == fd)
			break;
	return i;
}

bool
loop_watch(struct loop *l, int fd, short events, void *tag, struct err *e)
{
	size_t i = find(l, fd);

	if (i == l->size && !grow(l)) {
		err_no_memory(e);
		return false;
	}
	if (i == l->count)
		l->count++;
	l->fds[i] = (struct pollfd){ .fd = fd, .events = events };
	l->tags[i] = tag;
	return true;
}

void
loop_forget(struct loop *l, int fd)
{
	size_t i = find(l, fd);

	if (i == l->count)
		return;
	l->count--;
	l->fds[i] = l->fds[l->count];
	l->tags[i] = l->tags[l->count];
}

int
loop_wait(struct loop *l, int64_t deadline_ns, struct loop_event *events,
    int max)
{
	size_t i, at;
	int n = 0;

	if (intr_poll(l->fds, (nfds_t)l->count, deadline_ns) < 0)
		return -1;
	for (i = 0; i < l->count && n < max; i++) {
		at = (l->turn + i) % l->count;
		if (l->fds[at].revents == 0)
			continue;
		events[n].fd = l->fds[at].fd;
		events[n].events = l->fds[at].revents;
		events[n++].tag = l->tags[at];
	}
	l->turn++;
	return n;
}
