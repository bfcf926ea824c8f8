#ifndef HAUL_SOCK_LOOKUP_H
#define HAUL_SOCK_LOOKUP_H

#include "sock/sock.h"

/*
 * A name that is looked up once, for any number of connections: those whose
 * sock_config.known it is do not look it up, and take the port of their own
 * address. sock_connect of a look-up looks the name up, which must be one of
 * ADDR_INET; it has nothing to be read or written. NULL with *e filled if the
 * look-up cannot begin.
 */
struct sock *sock_lookup(const struct addr *a,
    const struct sock_config *config, struct err *e);

/* What was found, in the order of the system; the socket's. */
const struct sk_addrs *sock_found(const struct sock *lookup);

/* How many, and the first of them as text, in ADDR_HOST_MAX bytes. */
size_t sock_found_count(const struct sock *lookup);
void sock_found_host(const struct sock *lookup, char *host);

#endif
