#include "flow/loop.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/intr.h"

struct loop {
	struct pollfd *fds;
	void **tags;
	size_t count, size;
	size_t *at;		/* by descriptor: its place in fds + 1, or 0 */
	size_t at_size;
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
	free(l->at);
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

/* Room for the place of fd. */
static bool
grow_index(struct loop *l, size_t fd)
{
	size_t size = l->at_size > 0 ? l->at_size : 16;
	size_t *at;

	while (size <= fd)
		size *= 2;
	if (size == l->at_size)
		return true;
	at = realloc(l->at, size * sizeof(*at));
	if (at == NULL)
		return false;
	memset(at + l->at_size, 0, (size - l->at_size) * sizeof(*at));
	l->at = at;
	l->at_size = size;
	return true;
}

bool
loop_watch(struct loop *l, int fd, short events, void *tag, struct err *e)
{
	size_t i;

	if (!grow_index(l, (size_t)fd) || (l->count == l->size && !grow(l))) {
		err_no_memory(e);
		return false;
	}
	if (l->at[fd] == 0)
		l->at[fd] = ++l->count;
	i = l->at[fd] - 1;
	l->fds[i] = (struct pollfd){ .fd = fd, .events = events };
	l->tags[i] = tag;
	return true;
}

void
loop_forget(struct loop *l, int fd, const void *tag)
{
	size_t i;

	if ((size_t)fd >= l->at_size || l->at[fd] == 0 ||
	    l->tags[l->at[fd] - 1] != tag)
		return;
	i = l->at[fd] - 1;
	l->at[fd] = 0;
	if (i == --l->count)
		return;
	l->fds[i] = l->fds[l->count];
	l->tags[i] = l->tags[l->count];
	l->at[l->fds[i].fd] = i + 1;
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
