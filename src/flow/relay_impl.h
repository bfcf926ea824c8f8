#ifndef HAUL_FLOW_RELAY_IMPL_H
#define HAUL_FLOW_RELAY_IMPL_H

#include "flow/relay.h"

enum { UP, DOWN };		/* the legs */

/* One direction. */
struct way {
	struct leg leg;
	struct pump pump;
};

struct relay {
	struct stage stage;
	const struct relay_config *config;
	struct sock **in_owner, **peer_owner;	/* to be closed in the end */
	struct sock *in, *out, *peer;
	struct way up, down;	/* to the peer, from the peer */
	struct refusal refusal;
	bool refusal_told;
	bool child_ended;
	bool input_stopped;	/* the terminal is not read any more */
	int output_fd, peer_fd;	/* to watch for errors; -1: none */
	bool peer_event;	/* the peer is to be asked for an error */
	bool peer_asked;	/* there was none */
	int64_t reader_gone_ns;	/* since when nobody reads; 0: no */
	long left;		/* what the peer had not acknowledged... */
	int64_t left_ns;	/* ...and when that last became less */
};

extern const struct judge relay_judge;

/* Fill *e with a limit of the relay that has passed. */
enum verdict relay_fail_time(struct relay *r, const char *what,
    struct err *e);

#endif
