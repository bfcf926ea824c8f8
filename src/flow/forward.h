#ifndef HAUL_FLOW_FORWARD_H
#define HAUL_FLOW_FORWARD_H

#include "flow/relay.h"
#include "flow/serve.h"

/*
 * The service of --forward: each client is joined to a connection of its own
 * to an address. Its context is a struct forward_config.
 */
struct forward_config {
	struct addr addr;
	struct sock_config sock;	/* of the connections to it */
	struct relay_config relay;	/* joined */
	int64_t connect_ns;		/* --connect-timeout; -1: none */
};

extern const struct service forward_service;

#endif
