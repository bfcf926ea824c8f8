#ifndef HAUL_SOCK_THROUGH_H
#define HAUL_SOCK_THROUGH_H

#include "sock/impl.h"

/*
 * From a stream to another one, to a pipe, a file or /dev/null, and from a pipe
 * to a stream inside the kernel: by splice(2), with a pipe of ours in between.
 * It belongs to the socket that is read, as does what it holds. Where one of
 * both is a pipe there need be none, but splice(2) keeps the lock of a pipe for
 * as long as the connection takes: so that of others is only locked while pages
 * change hands. through_linux.c, through_posix.c.
 */
bool through_is_possible(enum sk_kind from, enum sk_kind to);

/*
 * As a transport's functions; *waits is the socket that a want is of. If to
 * takes nothing by splice, from->no_move is set, and what is held is to be
 * received.
 */
enum sk_result through_move(struct sock *from, struct sock *to, size_t max,
    size_t *moved, struct sock **waits, struct err *e);

/*
 * The kernel has said that there is nothing to move: is there something all the
 * same? Then it is to be tried again, and after some times to go by memory:
 * from->no_move is set (move.c).
 */
bool move_stalls(struct sock *from);

/*
 * What has become of a move that to has refused with sys: a want of *waits, an
 * error, or nothing, as a plain call will do it: from->no_move is set (move.c).
 */
enum sk_result move_refused(struct sock *from, struct sock *to, int sys,
    struct sock **waits, struct err *e);

/*
 * Of what a call was given, it has sent a part. It does not tell why not the
 * rest: where it was for a reset, that is noted (move.c).
 */
void move_note_part(struct sock *to, size_t sent, size_t all);

/* At the end of what from reads: SK_OK if it goes on with another (move.c). */
enum sk_result move_next(struct sock *from, struct err *e);

/* How many bytes have been read and not yet sent; and read some of them. */
size_t through_held(const struct sock *from);
enum sk_result through_recv(struct sock *from, void *buf, size_t len,
    size_t *got, struct err *e);

void through_release(struct sock *from);

#endif
