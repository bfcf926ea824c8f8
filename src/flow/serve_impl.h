#ifndef HAUL_FLOW_SERVE_IMPL_H
#define HAUL_FLOW_SERVE_IMPL_H

#include <pthread.h>

#include "flow/serve.h"

struct server {
	const struct serve_config *config;
	const struct service *service;
	void *context;			/* of the service */
	struct sock **listener;
	struct runner *runner;
	struct run run;			/* that accepts */
	struct stage stage;
	struct leg leg;
	struct client *pending;		/* lacks something yet, to be a run */
	int64_t told_ns;		/* that descriptors are exhausted */
	int64_t exhausted_until_ns;

	pthread_mutex_t lock;		/* of the rest */
	struct client *clients;
	uint64_t active;
	uint64_t capacity;		/* what descriptors are enough for */
	uint64_t taken, established;	/* of --count */
	int64_t last_ns;		/* when the last one came or went */
	bool accepting;
	bool held;			/* ...once there is room, no sooner */
	bool done;			/* finish was called */
	bool failed;
	struct err reason;
};

/* Whether a peer may be a client; if not, somebody is told. */
bool serve_permits(struct server *s, const struct sock *peer);

/* A client, which is to be a run of its own; and at the end of that. */
struct client *serve_client_new(const struct service *service, void *context,
    enum sk_mode mode, struct sock *peer, struct err *e);
void serve_client_over(struct run *run, enum sk_result r, struct err *e);

/* The same for one that is still pending when all runs are over; untold. */
void serve_client_drop(struct client *c);

/* Nobody else is to come, and all have gone: is it so? */
void serve_finish_if_done(struct server *s);

/* The leg of the accepting run, and its end. */
enum sk_result serve_step_accept(struct leg *leg, struct err *e);
void serve_accept_over(struct run *run, enum sk_result r, struct err *e);

#endif
