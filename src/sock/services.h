#ifndef HAUL_SOCK_SERVICES_H
#define HAUL_SOCK_SERVICES_H

#include <stdbool.h>

#include "sock/ports.h"

/* The usual services of ports, as getservent(3) tells them: "ssh" of 22. */
struct services;

/*
 * Those of TCP or UDP; of some ports only, or of all (NULL). NULL: no memory.
 * Not for two threads at the same time.
 */
struct services *services_read(bool datagram, const struct ports *only);

/* NULL: there is none, or services is NULL. */
const char *services_name(const struct services *s, unsigned port);

/* NULL is ignored. */
void services_free(struct services *s);

#endif
