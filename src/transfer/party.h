#ifndef HAUL_TRANSFER_PARTY_H
#define HAUL_TRANSFER_PARTY_H

#include "flow/run.h"
#include "transfer/channel.h"
#include "transfer/transfer.h"

/*
 * What both sides of a transfer are made of: a leg that receives frames, a leg
 * that sends them, and how it ends. A failure that one of the legs sees is
 * told to the peer (ABORT), and both sides then read until the other's end, so
 * that nothing of it is lost.
 */
enum party_end {
	PARTY_GOING_ON,
	PARTY_DONE,		/* agreed on the outcome: half-close */
	PARTY_ABORTING,		/* for a reason of ours, to be told */
	PARTY_ABORTED,		/* for a reason of the peer's */
};

struct party {
	void *owner;		/* the side */
	const struct party_side *side;
	struct stage stage;
	struct leg in, out;
	struct channel channel;
	const struct transfer_config *config;
	struct transfer_status *status;
	struct transfer_result *result;

	struct latch latch;
	struct sock *bell;	/* rung by the in leg for the out leg */

	pthread_mutex_t lock;	/* of the rest, and of what a side shares */
	enum party_end end;
	struct err reason;	/* of an abort */
	int64_t end_ns;		/* when end left PARTY_GOING_ON */
	uint64_t failures;	/* entries that failed... */
	struct err first;	/* ...and the first of them, not told yet */
	bool kin;		/* the peer is haul: what came resembles it */
	bool greeted;		/* the peer's preamble has come... */
	uint32_t peer_silence_ms;	/* ...with this */

	bool mute;		/* of the out leg: it must not send anything */
	bool abort_put;		/* ABORT is in the buffer */
	int64_t begin_ns, renew_ns;	/* of the in leg: its patience */
	unsigned ring_due;	/* of the in leg: how often it was asked to */
	int64_t out_failed_ns;	/* of the judge */
	int64_t tick_ns;	/* the next one */
	int output_fd;		/* whose reader may leave; -1: none */
	atomic_bool output_done;	/* it is about to be closed */
	int64_t reader_gone_ns;	/* of the judge; 0: there is one */
	bool yields;		/* of the in leg: the others first */
	bool broken;		/* of the in leg: no connection any more */
};

/* What a side does with its legs while the party goes on. */
struct party_side {
	enum wire_role peer;
	/* Handle what comes next, or fill the buffer: as leg.step. */
	enum sk_result (*receive)(void *side, struct err *e);
	enum sk_result (*produce)(void *side, struct err *e);
};

/*
 * Set up; owner is what the functions of side get. In the end party_close
 * closes the peer (in order if so agreed) and frees what the party holds.
 */
bool party_open(struct party *p, const struct party_side *side, void *owner,
    const struct transfer_config *config, struct sock *peer,
    struct transfer_status *status, struct transfer_result *result,
    struct err *e);
enum sk_result party_run(struct party *p, struct err *e);
void party_close(struct party *p, struct sock **peer);

/* For the out leg: wait until the bell is rung, or a keep-alive is due. */
enum sk_result party_wait(struct party *p, int64_t wake_ns, struct err *e);

/* When the next keep-alive is due; and put it if that has come. */
int64_t party_keepalive_ns(const struct party *p);
void party_keep_alive(struct party *p);

void party_ring(struct party *p);

/*
 * For the in leg: ring once it has handled what has come, so that the out leg
 * wakes for many things at once.
 */
void party_ring_soon(struct party *p);

/* The judge has something new to look at. */
void party_news(struct party *p);

/* What we tell of our patience in the preamble; and that for the peer's. */
uint32_t party_silence_ms(const struct party *p);
int64_t party_greeting_ns(const struct transfer_config *config);

/* Receive the peer's preamble; what it says is kept. */
enum sk_result party_greet(struct party *p, struct err *e);

/* End it for a reason of ours (*e becomes empty), or as agreed. */
void party_abort(struct party *p, struct err *e);
void party_done(struct party *p);
enum party_end party_state(struct party *p);

/* The peer has sent ABORT. */
enum sk_result party_take_abort(struct party *p, const struct frame *f,
    struct err *e);

/* "Unexpected": a frame that has no place here. Returns SK_ERROR. */
enum sk_result party_unexpected(struct party *p, struct err *e);

/*
 * An entry failed, but the rest goes on (*e becomes empty). The reason of the
 * only failure is that of the transfer; if there are more, each is told.
 */
void party_entry_failed(struct party *p, struct err *e);

/* How many have. */
uint64_t party_failures(struct party *p);

/* Fill *e with the reason that a peer gives, behind its name; ERR_PEER. */
void party_peer_reason(struct party *p, const struct wire_reason *r,
    const char *verb, struct err *e);

/* The current entry, for the status. */
void party_set_name(struct party *p, const char *name);

/* How the transfer ends if both sides are done: by the failures so far. */
enum sk_result party_outcome(struct party *p, struct err *e);

#endif
