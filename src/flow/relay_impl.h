#ifndef HAUL_FLOW_RELAY_IMPL_H
#define HAUL_FLOW_RELAY_IMPL_H

#include "flow/relay.h"

enum leg_state {
	LEG_ABSENT,
	LEG_RUNNING,
	LEG_ENDED,
	LEG_FAILED,
};

struct leg {
	enum leg_state state;
	struct pump pump;
	struct err err;		/* why it failed */
};

struct relay {
	const struct relay_config *config;
	struct sock *in, *out, *peer;
	struct leg up, down;	/* to the peer, from the peer */
	struct refusal refusal;
	bool refusal_told;
	bool input_stopped;	/* the terminal is not read any more */
	int output_fd, peer_fd;	/* to watch for errors; -1: none */
	bool peer_event;	/* the peer is to be asked for an error */
	bool peer_asked;	/* there was none */
	int64_t reader_gone_ns;	/* since when nobody reads our output; 0: no */
	long left;		/* what the peer had not acknowledged... */
	int64_t left_ns;	/* ...and when that last became less */
};

enum verdict {
	VERDICT_GO_ON,
	VERDICT_FINISH,		/* close in order */
	VERDICT_FAIL,		/* the error is filled */
};

/*
 * Where the relay stands, the same for both drivers: to be asked whenever a
 * leg has stopped and when *wake_ns has come, which is set if it goes on.
 */
enum verdict relay_judge(struct relay *r, int64_t *wake_ns, struct err *e);

/* A step of a leg has returned this result. False: interrupted. */
bool relay_leg_stopped(struct leg *leg, enum sk_result result,
    struct err *e);

/*
 * The drivers: run the legs until the verdict is FINISH (SK_OK), FAIL
 * (SK_ERROR) or an interruption.
 */
enum sk_result relay_run_threads(struct relay *r, struct err *e);
enum sk_result relay_run_loop(struct relay *r, struct err *e);

/*
 * What is to be watched for errors alone, -1 for none: our output, whose
 * reader may leave, and a peer that has ended and may still reset while our
 * input is idle. relay_event takes what poll tells of a descriptor.
 */
enum { RELAY_WATCHED = 2 };
void relay_watched(const struct relay *r, int fds[RELAY_WATCHED]);
void relay_event(struct relay *r, int fd, short revents);

#endif
