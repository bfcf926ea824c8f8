#ifndef HAUL_FLOW_LOOP_H
#define HAUL_FLOW_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * The event loop's wait: which descriptors are ready for what. Level-triggered.
 * One file a mechanism: loop_epoll.c (Linux), loop_poll.c.
 */
struct loop;

struct loop_event {
	int fd;
	short events;		/* POLLIN, POLLOUT, POLLERR, POLLHUP */
	void *tag;
};

struct loop *loop_new(struct err *e);
void loop_free(struct loop *l);		/* NULL is ignored */

/*
 * Watch fd for events (POLLIN, POLLOUT; 0: only for errors), or no longer.
 * Does nothing if that is so already. False if the descriptor cannot be
 * watched because it is always ready (a file), or with *e filled.
 */
bool loop_watch(struct loop *l, int fd, short events, void *tag,
    struct err *e);

/*
 * Nothing happens if the descriptor is watched for another tag: its number was
 * used again by then.
 */
void loop_forget(struct loop *l, int fd, const void *tag);

/*
 * Wait until something is ready, the deadline, or an interruption. Returns the
 * number of events, up to max, 0 at the deadline, -1 when interrupted.
 */
int loop_wait(struct loop *l, int64_t deadline_ns, struct loop_event *events,
    int max);

#endif
