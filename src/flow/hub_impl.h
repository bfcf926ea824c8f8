#ifndef HAUL_FLOW_HUB_IMPL_H
#define HAUL_FLOW_HUB_IMPL_H

#include <pthread.h>

#include "flow/chunk.h"
#include "flow/hub.h"

enum {
	HUB_READ = 64 * 1024,		/* what is read at once */
	HUB_BOUND = 1024 * 1024,	/* of what is kept for others */
	HUB_LOOK_MS = 100,		/* while the bound is reached */
};

struct hub_client {
	struct client client;
	struct hub_client *previous, *next;
	bool linked;
	bool gone;		/* is to be dropped: too slow */
	bool yields;		/* is to make room: it has nothing to say */
	bool ended;		/* its direction */
	bool said;		/* it has sent something */
	unsigned char phase;	/* enum out_phase */
	bool closing;		/* in its last stage */
	struct chunk *at;	/* the next one for it; NULL: none yet */
	size_t offset;		/* in that */
	uint64_t sent;		/* of the backlog, in its bytes */
	int64_t held_ns;	/* since when it holds the others up; 0: no */
	uint64_t held_sent;	/* ...and what it had taken then */
	_Atomic int64_t moved_ns;
	char *buf;		/* of its in leg (blocking mode) */
	struct pump *file;	/* of its out leg: a file of its own */
	struct sock *file_sock;
};

struct hub {
	const struct hub_config *config;
	struct sock *in, *out;
	bool in_is_file;
	/*
	 * With nothing in output, whoever has the lock may write to it: the
	 * sink does not, until there is something or no client is left.
	 */
	bool out_is_file;
	struct server *server;
	char *scratch;		/* for all in legs (non-blocking mode) */

	pthread_mutex_t lock;	/* of the rest */
	struct hub_client *clients;
	size_t count;
	struct chunks backlog;	/* from the input or a client, to clients */
	int64_t input_ended_ns;	/* 0: not yet */
	bool held_up;		/* somebody has reached the bound */
	bool source_waits;	/* for clients, or room in the backlog */
	struct chunks output;	/* from clients, to the output */
	bool output_ends;	/* nothing else is to come */
	bool clients_wait;	/* some for room in one of the two */

	/* The ends: hub_ends.c. */
	struct pump source_pump;
	struct run source, sink;
	struct stage source_stage, sink_stage;
	struct leg source_leg, sink_leg;
	int64_t not_before_ns;	/* --line-delay */
	size_t sink_offset;
	atomic_bool sink_shuts;	/* the output is about to be closed */
	int output_fd;		/* whose reader may leave; -1: none */
	bool source_runs, sink_runs;
	bool reader_gone;
};

enum { HUB_IN, HUB_OUT };	/* the legs of a client */

static inline void
hub_lock(struct hub *h)
{
	(void)pthread_mutex_lock(&h->lock);
}

static inline void
hub_unlock(struct hub *h)
{
	(void)pthread_mutex_unlock(&h->lock);
}

/*
 * A client comes, and leaves. And it has had the chunk that it is at, or will
 * not have it (with the lock held).
 */
void hub_link(struct hub *h, struct hub_client *c);
void hub_unlink(struct hub *h, struct hub_client *c);
void hub_advance(struct hub *h, struct hub_client *c);

/*
 * Give bytes to everybody who is there but their origin (with the lock held).
 * False without memory.
 */
bool hub_publish(struct hub *h, const struct hub_client *origin,
    const char *data, size_t len);

/*
 * Whether the backlog has room. If not, whoever holds it up is looked at: too
 * slow, it is dropped (with the lock held).
 */
bool hub_has_room(struct hub *h);

/* There may be room again: wake whoever waits for it (with the lock held). */
void hub_backlog_shrank(struct hub *h);
void hub_output_shrank(struct hub *h);

/* The input has ended: every client is told (with the lock held). */
void hub_end_input(struct hub *h);

/* Of hub_ends.c. */
void hub_ends_close(struct hub *h);
void hub_finish(void *hub, struct server *server);

#endif
