#define _GNU_SOURCE
#include "sock/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

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

void
sys_datagram_info(int fd, int family)
{
	int on = 1;

	if (family == AF_INET)
		(void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	else if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on,
		    sizeof(on));
}

static bool
local_ipv4(const struct in_pktinfo *info, struct sk_addr *local)
{
	if (info->ipi_spec_dst.s_addr != info->ipi_addr.s_addr)
		return false;
	local->u.in.sin_family = AF_INET;
	local->u.in.sin_addr = info->ipi_addr;
	local->len = sizeof(local->u.in);
	return true;
}

static bool
local_ipv6(const struct in6_pktinfo *info, struct sk_addr *local)
{
	if (IN6_IS_ADDR_MULTICAST(&info->ipi6_addr))
		return false;
	local->u.in6.sin6_family = AF_INET6;
	local->u.in6.sin6_addr = info->ipi6_addr;
	if (IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
		local->u.in6.sin6_scope_id = info->ipi6_ifindex;
	local->len = sizeof(local->u.in6);
	return true;
}

bool
sys_datagram_local(struct msghdr *received, struct sk_addr *local)
{
	struct cmsghdr *c;
	struct in_pktinfo info;
	struct in6_pktinfo info6;

	memset(local, 0, sizeof(*local));
	for (c = CMSG_FIRSTHDR(received); c != NULL;
	    c = CMSG_NXTHDR(received, c)) {
		if (c->cmsg_level == IPPROTO_IP &&
		    c->cmsg_type == IP_PKTINFO) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			return local_ipv4(&info, local);
		}
		if (c->cmsg_level == IPPROTO_IPV6 &&
		    c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info6, CMSG_DATA(c), sizeof(info6));
			return local_ipv6(&info6, local);
		}
	}
	return false;
}

/*
 * The pairs that gain by it (tests/bench measures them): a file or a pipe into
 * a stream, a stream into a pipe, and TCP into nothing. A socket into a file
 * is faster through memory.
 */
bool
sys_can_move(enum sk_kind from, enum sk_kind to)
{
	bool to_stream = to == KIND_TCP || to == KIND_STREAM;

	switch (from) {
	case KIND_FILE:
	case KIND_PIPE:
		return to_stream;
	case KIND_TCP:
		return to == KIND_PIPE || to == KIND_NULL;
	case KIND_STREAM:
		return to == KIND_PIPE;
	case KIND_OTHER:
	case KIND_NULL:
		break;
	}
	return false;
}

ssize_t
sys_move(const struct sock *from, const struct sock *to, size_t max)
{
	if (from->kind == KIND_FILE)
		return sendfile(to->fd, from->fd, NULL, max);
	/* tcp(7): MSG_TRUNC discards bytes without copying them. */
	if (to->kind == KIND_NULL)
		return recv(from->fd, NULL, max, MSG_TRUNC | MSG_DONTWAIT);
	return splice(from->fd, NULL, to->fd, NULL, max,
	    SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
}
