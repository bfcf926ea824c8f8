/*
 * The local address that a datagram was sent to: RFC 3542 for IPv6, and for
 * IPv4 its counterpart IP_PKTINFO, which is in no standard but in most systems.
 */
#define _GNU_SOURCE
#define __APPLE_USE_RFC_3542
#include "sock/sys.h"

#include <string.h>

#if defined(IP_PKTINFO) && defined(IPV6_RECVPKTINFO)

void
sys_datagram_info(int fd, int family)
{
	int on = 1;

	if (family == AF_INET)
		(void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	if (family == AF_INET6)
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

static void
put_control(struct msghdr *m, int level, int type, const void *info,
    size_t len)
{
	struct cmsghdr *c;

	memset(m->msg_control, 0, SYS_CONTROL_MAX);
	m->msg_controllen = SYS_CONTROL_MAX;
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), info, len);
	m->msg_controllen = CMSG_SPACE(len);
}

void
sys_datagram_from(struct msghdr *sent, const struct sk_addr *local)
{
	struct in_pktinfo info = { 0 };
	struct in6_pktinfo info6 = { 0 };

	if (local->u.sa.sa_family == AF_INET) {
		info.ipi_spec_dst = local->u.in.sin_addr;
		put_control(sent, IPPROTO_IP, IP_PKTINFO, &info,
		    sizeof(info));
	} else if (local->u.sa.sa_family == AF_INET6) {
		info6.ipi6_addr = local->u.in6.sin6_addr;
		info6.ipi6_ifindex = local->u.in6.sin6_scope_id;
		put_control(sent, IPPROTO_IPV6, IPV6_PKTINFO, &info6,
		    sizeof(info6));
	}
}

#else

void
sys_datagram_info(int fd, int family)
{
	(void)fd;
	(void)family;
}

bool
sys_datagram_local(struct msghdr *received, struct sk_addr *local)
{
	(void)received;
	(void)local;
	return false;
}

void
sys_datagram_from(struct msghdr *sent, const struct sk_addr *local)
{
	(void)sent;
	(void)local;
}

#endif
