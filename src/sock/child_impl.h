#ifndef HAUL_SOCK_CHILD_IMPL_H
#define HAUL_SOCK_CHILD_IMPL_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/latch.h"
#include "sock/addr.h"
#include "sock/sock.h"

/*
 * What a new process is to become. All of it is prepared before there is one,
 * which may share our memory and must not allocate, lock or look anything up.
 */
struct child_plan {
	const char *path;
	char *const *argv;
	char *const *envp;
	int conn;			/* its standard input and output */
	bool limited;			/* files is its RLIMIT_NOFILE */
	struct rlimit files;
};

/* In child_env.c: the environment of a command. */
enum {
	CHILD_OWN = 10,			/* variables of ours, at most */
	CHILD_OWN_MAX = ADDR_HOST_MAX + 32,
};

struct child_env {
	char own[CHILD_OWN][CHILD_OWN_MAX];
	size_t count;
	char *v[];			/* NULL last */
};

/* For free(3). NULL with *e filled without memory. */
struct child_env *child_environment(const struct sock *ends, struct err *e);

/*
 * The file that a command's name stands for, by PATH. 0, or an errno value:
 * ENOENT if there is none.
 */
int child_find(const char *name, char path[PATH_MAX]);

/* In child_aside.c: something that is done by a thread of its own. */
enum child_order_state {
	CHILD_NONE,
	CHILD_ORDERED,
	CHILD_TAKEN,
	CHILD_DONE,
};

struct child_order {
	void (*work)(void *);
	void *arg;
	struct latch done;		/* set once it is; open meanwhile */
	enum child_order_state state;	/* the helpers' */
	struct child_order *next;
};

/* Have it done; state is CHILD_NONE. False with *e filled. */
bool child_order(struct child_order *o, struct err *e);

/* Take back what was ordered, or if it has begun, await its end. */
void child_order_end(struct child_order *o);

/*
 * The rest is different on each platform: child_linux.c, child_posix.c.
 *
 * Start a process, which calls become (does not return), with all signals
 * blocked by the caller. *report is readable: an errno value if become has
 * written one to its report, or the end once it has executed something. -1 with
 * errno.
 */
pid_t child_fork(const struct child_plan *plan,
    void (*become)(const struct child_plan *, int report), int *report);

/*
 * A descriptor of the caller's that is readable once the process has ended, and
 * does not reap it. -1: there is none, and it has to be asked again and again.
 */
int child_watch(pid_t pid);

/* A connected pair of UNIX streams: close-on-exec, non-blocking. */
bool child_socketpair(int fds[2]);

#endif
