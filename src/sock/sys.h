#ifndef HAUL_SOCK_SYS_H
#define HAUL_SOCK_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "sock/impl.h"

/*
 * System calls that differ between platforms; one file each, but for what is
 * said: sys_linux.c, sys_posix.c. Descriptors come close-on-exec and
 * non-blocking.
 */

/* socket(2), or -1 with errno. */
int sys_socket(int family, int type, int protocol);

/* accept(2); *a is filled. -1 with errno. */
int sys_accept(int fd, struct sk_addr *a);

/*
 * How many bytes of a TCP connection (and one for a half-close) the peer has
 * not acknowledged; -1 where the system does not tell.
 */
long sys_unacknowledged(int fd);

/* sock_set_patience, as far as the system has it. */
void sys_set_patience(int fd, int64_t patience_ns, int64_t age_ns);

/*
 * A non-blocking file description of our own for a pipe or terminal that we
 * inherited, so that the shared one keeps its flags. -1 if there is no way.
 */
int sys_reopen(int fd, int flags);

/* A name of the kernel's choice for a UNIX datagram socket, for answers. */
void sys_autobind(int fd);

/*
 * In pktinfo.c: ask for the local address that each datagram was sent to, and
 * find it in a received message: *local is filled, but for its port. False if
 * the system does not tell, or it was sent to a group or broadcast.
 */
enum { SYS_CONTROL_MAX = 128 };
void sys_datagram_info(int fd, int family);
bool sys_datagram_local(struct msghdr *received, struct sk_addr *local);

/*
 * Send a message from that address: fills msg_control, which has room for
 * SYS_CONTROL_MAX bytes; left as it is where the system has no such thing.
 */
void sys_datagram_from(struct msghdr *sent, const struct sk_addr *local);

/* Let a pipe through which much goes hold more, where that can be. */
void sys_widen(int fd);

/*
 * sendfile(2), from where the file stands: the number sent, 0 at its end, or -1
 * with errno: EAGAIN if to is not ready, EINVAL if the kernel cannot do it.
 */
bool sys_can_sendfile(enum sk_kind from, enum sk_kind to);
ssize_t sys_sendfile(int to, int from, size_t max);

#endif
