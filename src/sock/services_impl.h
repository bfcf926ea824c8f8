#ifndef HAUL_SOCK_SERVICES_IMPL_H
#define HAUL_SOCK_SERVICES_IMPL_H

#include "sock/services.h"

/* Note one, unless it is of another protocol or not asked for. */
void services_add(struct services *s, const char *name, unsigned long port,
    const char *proto);

/*
 * Read the file of services where getservent(3) would read that and nothing
 * else. False: the system has to be asked.
 */
bool services_from_file(struct services *s);

#endif
