#ifndef HAUL_SOCK_PORTS_H
#define HAUL_SOCK_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sock/addr.h"

/* A set of ports; all zero is the empty one. */
enum { PORTS_MAX = 65535 };

struct ports {
	uint32_t bits[(PORTS_MAX + 1) / 32];
	size_t count;
};

/*
 * Read a list such as "20-25,80,http-alt": ports from 1 to 65535, ranges of
 * them and service names (not with ADDR_NUMERIC; those of UDP with
 * ADDR_DATAGRAM). What is named twice is in it once. False with *e filled
 * (ERR_USAGE) if anything in it is something else, or it is empty.
 */
bool ports_parse(struct ports *p, const char *list, int flags, struct err *e);

/* The lowest port above one; 0: there is none. The first is above 0. */
unsigned ports_next(const struct ports *p, unsigned above);

/*
 * As addr_parse (without ADDR_LISTENING), but with a list in place of the port:
 * HOST PORTS, HOST:PORTS, [IPV6]:PORTS. a->port is the first of them. *p is
 * empty for what has no list: unix:PATH, vsock:CID:PORT.
 */
bool ports_parse_address(struct addr *a, struct ports *p,
    char *const *operands, int flags, int *used, struct err *e);

#endif
