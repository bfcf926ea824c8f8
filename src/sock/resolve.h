#ifndef HAUL_SOCK_RESOLVE_H
#define HAUL_SOCK_RESOLVE_H

#include <stdbool.h>

#include "sock/impl.h"

/*
 * An address to socket addresses. Numbers are converted at once; a name is
 * looked up by a thread of its own, so that a dead name server delays nobody
 * and can be given up at any time.
 */
struct resolve;

/*
 * Start. passive: for bind(2), where an empty host means all addresses of the
 * machine. who is the subject of errors. NULL with *e filled on failure.
 */
struct resolve *resolve_start(const struct addr *a,
    const struct sock_config *config, bool passive, const char *who,
    struct err *e);

/*
 * The outcome: SK_OK with the addresses in *out (the caller frees out->v;
 * without duplicates, at least one), SK_WANT_READ while it is not there, or
 * SK_ERROR (ERR_RESOLVE).
 */
enum sk_result resolve_try(struct resolve *r, struct sk_addrs *out,
    struct err *e);

/* Readable when the outcome is there. */
int resolve_fd(const struct resolve *r);

/* Give up or clean up; NULL is ignored. */
void resolve_free(struct resolve *r);

#endif
