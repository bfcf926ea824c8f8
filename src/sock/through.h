#ifndef HAUL_SOCK_THROUGH_H
#define HAUL_SOCK_THROUGH_H

#include "sock/impl.h"

/*
 * From one stream to another inside the kernel: splice(2) needs a pipe in
 * between. It belongs to the socket that is read, and is there only while
 * something moves, as there may be thousands of sockets.
 * through_linux.c, through_posix.c.
 */
bool through_is_possible(enum sk_kind from, enum sk_kind to);

/* As a transport's functions; *waits is the socket that a want is of. */
enum sk_result through_move(struct sock *from, struct sock *to, size_t max,
    size_t *moved, struct sock **waits, struct err *e);

/* How many bytes have been read and not yet sent. */
size_t through_held(const struct sock *from);

void through_release(struct sock *from);

#endif
