#ifndef HAUL_SOCK_VSOCK_H
#define HAUL_SOCK_VSOCK_H

#include "sock/impl.h"

/* vsock(7); one file a platform: vsock_linux.c, vsock_posix.c. */

/* False with *e filled, with this code, where there is no vsock. */
bool vsock_address(const struct addr *a, struct sk_addr *out,
    const char *who, enum err_code code, struct err *e);

/* The parts of its name, "vsock CID" and the port; false if it is none. */
bool vsock_split(const struct sk_addr *a, struct sk_name *name);

#endif
