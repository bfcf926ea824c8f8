#ifndef HAUL_FLOW_SERVE_H
#define HAUL_FLOW_SERVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "flow/run.h"
#include "sock/access.h"
#include "sock/sock.h"

/*
 * A server: takes connections from a listener and lets each be a run of its
 * own. What a client is given is a service: hub.h, forward.h, command.h.
 */
struct server;

/* What comes before a client is established may take so long. */
enum { SERVE_HANDSHAKE_MS = 5000 };

struct client {
	struct run run;
	/* The service may use these once it has begun. */
	struct stage stage;
	struct leg legs[STAGE_LEGS];
	const struct service *service;
	struct server *server;		/* NULL: alone */
	void *context;			/* of the service */
	struct sock *peer;		/* NULL: the service has closed it */
	char *name;			/* of the peer, for messages; malloc */
	struct client *previous, *next;
	bool established;		/* it is let in */
	uint64_t dropped;		/* datagrams that it was too slow for */
	bool signalled;			/* its service knows the signal */
	atomic_bool begun;		/* the service has begun with it */
};

struct service {
	size_t client_size;	/* of a struct that begins with a client */
	/* Descriptors that one costs besides its connection... */
	unsigned fds;
	unsigned brief_fds;	/* ...and while it begins */
	unsigned common_fds;	/* of all together in non-blocking mode */
	/*
	 * Whether clients need no second thread, ever: no stage has a judge but
	 * such as is nudged (flow/run.h). NULL: they do.
	 */
	bool (*single)(const void *context);
	/*
	 * From begin on, a client hears what is said to all: it is told of
	 * (serve_config) behind begin. Else before, as begin may start what
	 * speaks for itself.
	 */
	bool hears;
	/*
	 * peer is established and let in. The first stage, or NULL with *e; end
	 * is called in either case.
	 */
	struct stage *(*begin)(struct client *, struct err *e);
	/* As next of a run; NULL: there is one stage only. */
	struct stage *(*next)(struct client *, struct stage *ended,
	    enum sk_result *r, struct err *e);
	/* Free what begin has made; peer is aborted afterwards. */
	void (*end)(struct client *);
	/* haul is about to end by this signal; NULL: nothing to do. */
	void (*signal)(struct client *, int sig);
	/*
	 * Nobody else is to come, and all have gone: serve_finish is to be
	 * called once what is left is done. NULL: it is called at once.
	 */
	void (*finish)(void *context, struct server *);
	/*
	 * A further client waits in vain: may this one, which has nothing more
	 * to say, be ended in order? NULL: no.
	 */
	bool (*yield)(struct client *);
	/* The server is over, and all its clients. NULL: nothing to do. */
	void (*close)(void);
};

struct serve_config {
	enum sk_mode mode;
	uint64_t max_clients;		/* at a time; 0: any number */
	uint64_t count;			/* of clients in all; 0: any number */
	int64_t accept_ns;		/* --accept-timeout; -1: none */
	int64_t deadline_ns;		/* of the run */
	const struct access_list *access;
	bool announced;			/* peers send a PROXY header */
	/*
	 * Told of each client that has come and is let in; that was refused by
	 * the access list; and at its end, with the reason (code ERR_NONE: it
	 * ended in order). May be called from any thread, one after the other.
	 */
	void *context;
	void (*opened)(void *context, const struct client *);
	void (*refused)(void *context, const char *name);
	void (*closed)(void *context, const struct client *,
	    const struct err *);
	/* Something to tell of the server itself: out of descriptors. */
	void (*trouble)(void *context, const struct err *);
};

/*
 * Serve until count clients have been served (SK_OK), the listener fails, a
 * limit passes, serve_fail (SK_ERROR with *e), or an interruption. *listener is
 * closed once nobody else is to come. begun: NULL, or called with the server
 * before the first client.
 */
enum sk_result serve(const struct serve_config *config,
    struct sock **listener, const struct service *service, void *context,
    void (*begun)(void *context, struct server *), struct err *e);

/* A further run of the server, ended with it; as runner_add. */
bool serve_add(struct server *s, struct run *run, struct err *e);

/* End the server: *e becomes empty. Or in order. From any thread. */
void serve_fail(struct server *s, struct err *e);
void serve_finish(struct server *s);

/*
 * One connection that was made otherwise, given a service: *peer is closed in
 * any case. SK_OK, SK_INTERRUPTED, or SK_ERROR with *e.
 */
enum sk_result serve_alone(enum sk_mode mode, struct sock **peer,
    const struct service *service, void *context, struct err *e);

#endif
