#ifndef HAUL_SOCK_ACTIVATE_H
#define HAUL_SOCK_ACTIVATE_H

#include "sock/sock.h"

/*
 * A listener made of the sockets that our parent has passed, as LISTEN_FDS and
 * LISTEN_PID say (sd_listen_fds(3)): it listens already. Their file status
 * flags, which others share, stay as they are; the variables are removed, and
 * a UNIX path stays at the end. NULL with *e filled: ERR_USAGE if none were
 * passed, ERR_BIND if one of them is not what config wants: a listening
 * stream socket, or one for datagrams. To be called before there are threads.
 */
struct sock *sock_activated(const struct sock_config *config, struct err *e);

#endif
