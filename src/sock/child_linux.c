/*
 * Linux: vfork(2), whose cost does not grow with our memory as that of fork(2)
 * does. Descriptors are close-on-exec from their birth, so that a process that
 * another thread starts in the meantime has none of them.
 */
#define _GNU_SOURCE
#include "sock/child_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

pid_t
child_fork(const struct child_plan *plan,
    void (*become)(const struct child_plan *, int report), int *report)
{
	int ends[2], sys;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	/*
	 * The new process borrows our memory and stack until it executes or
	 * ends: become changes nothing that we look at again, and is called
	 * rather than returned to.
	 */
	pid = vfork();	/* NOLINT(clang-analyzer-security.*) */
	if (pid == 0)
		become(plan, ends[1]);	/* NOLINT(clang-analyzer-unix.*) */
	sys = errno;
	(void)close(ends[1]);
	if (pid == -1) {
		(void)close(ends[0]);
		errno = sys;
		return -1;
	}
	*report = ends[0];
	return pid;
}

/* Before Linux 5.3 there is none. */
int
child_watch(pid_t pid)
{
	static atomic_bool missing;
	int fd;

	if (atomic_load(&missing))
		return -1;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd == -1 && errno == ENOSYS)
		atomic_store(&missing, true);
	return fd;
}

bool
child_socketpair(int fds[2])
{
	return socketpair(AF_UNIX,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0;
}
