/*
 * Elsewhere: fork(2), and a thread that waits for each process. What is made
 * here becomes close-on-exec a moment after its birth, so that births and forks
 * take turns; a connection that another thread accepts in that moment is the
 * one thing that a command may then inherit.
 */
#include "sock/child_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WATCHER_STACK = 256 * 1024 };

static pthread_mutex_t births = PTHREAD_MUTEX_INITIALIZER;

static bool
make_pipe(int ends[2])
{
	if (pipe(ends) != 0)
		return false;
	(void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
	return true;
}

pid_t
child_fork(const struct child_plan *plan,
    void (*become)(const struct child_plan *, int report), int *report)
{
	int ends[2] = { -1, -1 }, sys;
	pid_t pid = -1;

	(void)pthread_mutex_lock(&births);
	if (make_pipe(ends)) {
		pid = fork();
		if (pid == 0)
			become(plan, ends[1]);
	}
	sys = errno;
	(void)pthread_mutex_unlock(&births);
	if (ends[1] != -1)
		(void)close(ends[1]);
	if (pid == -1 && ends[0] != -1)
		(void)close(ends[0]);
	*report = ends[0];
	errno = sys;
	return pid;
}

struct watcher {
	pid_t pid;
	int fd;
};

/* It leaves the process to be reaped by whoever wants its status. */
static void *
watch(void *arg)
{
	struct watcher *w = arg;
	siginfo_t info;

	while (waitid(P_PID, (id_t)w->pid, &info, WEXITED | WNOWAIT) != 0 &&
	    errno == EINTR)
		continue;
	(void)close(w->fd);
	free(w);
	return NULL;
}

static bool
start_watcher(struct watcher *w)
{
	pthread_attr_t attr;
	pthread_t thread;
	bool ok;

	if (pthread_attr_init(&attr) != 0)
		return false;
	(void)pthread_attr_setstacksize(&attr, WATCHER_STACK);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ok = pthread_create(&thread, &attr, watch, w) == 0;
	(void)pthread_attr_destroy(&attr);
	return ok;
}

int
child_watch(pid_t pid)
{
	struct watcher *w = malloc(sizeof(*w));
	int ends[2];
	bool ok;

	if (w == NULL)
		return -1;
	(void)pthread_mutex_lock(&births);
	ok = make_pipe(ends);
	(void)pthread_mutex_unlock(&births);
	if (!ok) {
		free(w);
		return -1;
	}
	*w = (struct watcher){ .pid = pid, .fd = ends[1] };
	if (start_watcher(w))
		return ends[0];
	(void)close(ends[0]);
	(void)close(ends[1]);
	free(w);
	return -1;
}

bool
child_socketpair(int fds[2])
{
	bool ok;
	int i;

	(void)pthread_mutex_lock(&births);
	ok = socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0;
	for (i = 0; i < 2 && ok; i++) {
		(void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
		(void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
	}
	(void)pthread_mutex_unlock(&births);
	return ok;
}
