#include "sock/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int
make_ours(int fd)
{
	if (fd != -1) {
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	}
	return fd;
}

int
sys_socket(int family, int type, int protocol)
{
	return make_ours(socket(family, type, protocol));
}

int
sys_accept(int fd, struct sk_addr *a)
{
	a->len = sizeof(a->u);
	return make_ours(accept(fd, &a->u.sa, &a->len));
}

/* Not in POSIX, but where it is refused, -1 is the right answer. */
long
sys_unacknowledged(int fd)
{
	int n;

	return ioctl(fd, TIOCOUTQ, &n) == 0 ? n : -1;
}

int
sys_reopen(int fd, int flags)
{
	(void)fd;
	(void)flags;
	return -1;
}

void
sys_autobind(int fd)
{
	(void)fd;
}

void
sys_widen(int fd)
{
	(void)fd;
}

bool
sys_can_sendfile(enum sk_kind from, enum sk_kind to)
{
	(void)from;
	(void)to;
	return false;
}

ssize_t
sys_sendfile(int to, int from, size_t max)
{
	(void)to;
	(void)from;
	(void)max;
	errno = EINVAL;
	return -1;
}

void
sys_set_patience(int fd, int64_t patience_ns, int64_t age_ns)
{
	int on = 1;

	(void)patience_ns;
	(void)age_ns;
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}
