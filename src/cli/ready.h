#ifndef HAUL_CLI_READY_H
#define HAUL_CLI_READY_H

#include <stdbool.h>

#include "cli/options.h"
#include "sock/sock.h"

/*
 * Tell who waits for it that the socket listens: --port-file, --ready-fd,
 * systemd (sd_notify(3)), and -v; a port of the kernel's choice (free_port)
 * also without -v, if nobody else is told. False with *e filled (ERR_LOCAL) if
 * a file or descriptor that was asked for cannot be written.
 */
bool ready_announce(const struct bind_options *options,
    const struct sock *listener, bool free_port, struct err *e);

#endif
