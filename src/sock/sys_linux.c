#define _GNU_SOURCE
#include "sock/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clock.h"

enum {
	KEEPALIVE_PROBES = 3,
	KEEPALIVE_SECONDS_MAX = 20,
	PIPE_MUCH = 1024 * 1024,
};

int
sys_socket(int family, int type, int protocol)
{
	return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
}

int
sys_accept(int fd, struct sk_addr *a)
{
	a->len = sizeof(a->u);
	return accept4(fd, &a->u.sa, &a->len, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

long
sys_unacknowledged(int fd)
{
	int n;

	return ioctl(fd, SIOCOUTQ, &n) == 0 ? n : -1;
}

void
sys_set_patience(int fd, int64_t patience_ns, int64_t age_ns)
{
	int64_t ms = patience_ns / CLOCK_MS;
	int on = 1, probes = KEEPALIVE_PROBES, seconds, timeout;

	/* The first probe and the further ones are the same time apart. */
	seconds = (int)clock_min_ns(KEEPALIVE_SECONDS_MAX,
	    1 + ms / 1000 / (KEEPALIVE_PROBES + 1));
	timeout = (int)clock_min_ns(ms + age_ns / CLOCK_MS, INT_MAX);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds,
	    sizeof(seconds));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds,
	    sizeof(seconds));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes,
	    sizeof(probes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout,
	    sizeof(timeout));
}

/* Opening a pty master again would make a new pty. */
static bool
is_pty_master(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(5, 2);
}

int
sys_reopen(int fd, int flags)
{
	char path[32];
	struct stat st;

	if (fstat(fd, &st) != 0 || is_pty_master(&st))
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void
sys_autobind(int fd)
{
	struct sockaddr un = { .sa_family = AF_UNIX };

	(void)bind(fd, &un, sizeof(un.sa_family));
}

/* Larger pipes than 64 KiB; as large as this user may have them. */
void
sys_widen(int fd)
{
	int size;

	for (size = PIPE_MUCH; size > fcntl(fd, F_GETPIPE_SZ); size /= 2)
		if (fcntl(fd, F_SETPIPE_SZ, size) != -1)
			break;
}

bool
sys_can_sendfile(enum sk_kind from, enum sk_kind to)
{
	return from == KIND_FILE && kind_is_stream(to);
}

ssize_t
sys_sendfile(int to, int from, size_t max)
{
	return sendfile(to, from, NULL, max);
}
