#ifndef HAUL_FLOW_COMMAND_H
#define HAUL_FLOW_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/relay.h"
#include "flow/serve.h"
#include "sock/child.h"

/*
 * A COMMAND for each client. It has the connection itself, or, where haul has
 * something to do with what is sent, one end of a pair that haul relays to.
 *
 * When the command has ended, so has the connection, whatever it has left
 * running: it is half-closed, what the client still sends is read for a while
 * so that no reset cuts the answer off, and closed. A status of the command
 * other than 0 is an error whose code it is, and quiet.
 *
 * When a relay fails, the command sees the end of its connection, and is
 * terminated (SIGTERM) if it goes on for a second. At the deadline it is
 * terminated at once.
 */
struct command_config {
	struct child_command command;
	bool between;			/* haul relays... */
	struct relay_config relay;	/* ...so; joined and command are set */
	int64_t deadline_ns;		/* of the run */
	int *status;			/* of a client that is alone; or NULL */
};

/* Its context is a struct command_config, which must stay. */
extern const struct service command_service;

#endif
