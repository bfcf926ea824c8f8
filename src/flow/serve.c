/* Many clients: accepting, and what all of them have in common. */
#include "flow/serve.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/intr.h"

enum {
	/* Out of room or descriptors: look again then, or when one leaves. */
	LOOK_MS = 200,
	/* What comes before a client is established may take so long. */
	HANDSHAKE_LIMIT_MS = 5000,
	/* Connections taken in a row, before the others have their turn. */
	ACCEPT_TURN = 64,
};

struct server {
	const struct serve_config *config;
	const struct service *service;
	void *context;			/* of the service */
	struct sock **listener;
	struct runner *runner;
	struct run run;			/* that accepts */
	struct stage stage;
	struct leg leg;
	bool exhausted;			/* and told so */

	pthread_mutex_t lock;		/* of the rest */
	struct client *clients;
	uint64_t active;
	uint64_t taken, established;	/* of --count */
	int64_t last_ns;		/* when the last one came or went */
	bool accepting;
	bool done;			/* finish was called */
	bool failed;
	struct err reason;
};

/* The accepting leg may wait for somebody to leave, or to be established. */
static void
wake_accepting(struct server *s)
{
	if (s->accepting)
		stage_wake(&s->stage, 0);
}

static bool
may_come(struct server *s, const struct sock *peer)
{
	if (access_permits(s->config->access, peer))
		return true;
	(void)pthread_mutex_lock(&s->lock);
	if (s->config->refused != NULL)
		s->config->refused(s->config->context, sock_name(peer));
	(void)pthread_mutex_unlock(&s->lock);
	return false;
}

/* The first stage of a client: what comes before it is one. */

static enum sk_result
establish(struct client *c, struct err *e)
{
	struct server *s = c->server;
	enum sk_result r;

	r = sock_handshake(c->peer, e);
	if (r == SK_TIMEOUT) {
		err_set(e, ERR_TIMEOUT, 0, sock_name(c->peer),
		    "no PROXY header within 5 s");
		return SK_ERROR;
	}
	if (r != SK_OK)
		return r;
	sock_set_deadline(c->peer, CLOCK_NEVER);
	if (s == NULL)
		return SK_EOF;
	free(c->name);
	c->name = strdup(sock_name(c->peer));
	if (c->name == NULL) {
		err_no_memory(e);
		return SK_ERROR;
	}
	if (s->config->announced && !may_come(s, c->peer)) {
		err_set(e, ERR_CONNECT, 0, c->name, "refused");
		e->quiet = true;
		return SK_ERROR;
	}
	c->established = true;
	(void)pthread_mutex_lock(&s->lock);
	s->established++;
	if (s->config->opened != NULL)
		s->config->opened(s->config->context, c);
	wake_accepting(s);
	(void)pthread_mutex_unlock(&s->lock);
	return SK_EOF;
}

static enum sk_result
step_first(struct leg *leg, struct err *e)
{
	struct client *c = leg->owner;

	leg->waits = c->peer;
	leg->side = SK_OUT;
	return establish(c, e);
}

static struct stage *
client_next(struct run *run, enum sk_result *r, struct err *e)
{
	struct client *c = run->owner;
	struct stage *next;

	if (c->begun)
		return c->service->next != NULL ?
		    c->service->next(c, run->stage, r, e) : NULL;
	if (*r != SK_OK)
		return NULL;
	c->begun = true;
	next = c->service->begin(c, e);
	if (next == NULL)
		*r = SK_ERROR;
	return next;
}

/* Nobody else is to come, and all have gone: for once. */
static bool
is_done(struct server *s)
{
	bool done = !s->done && s->active == 0 && (!s->accepting ||
	    (s->config->count > 0 && s->established >= s->config->count));

	s->done |= done;
	return done;
}

static void
finish_if_done(struct server *s)
{
	bool done;

	(void)pthread_mutex_lock(&s->lock);
	wake_accepting(s);
	done = is_done(s);
	(void)pthread_mutex_unlock(&s->lock);
	if (!done)
		return;
	if (s->service->finish != NULL)
		s->service->finish(s->context, s);
	else
		serve_finish(s);
}

static void
client_free(struct client *c)
{
	if (c->begun)
		c->service->end(c);
	sock_abort(&c->peer);
	free(c->name);
	free(c);
}

static void
client_over(struct run *run, enum sk_result r, struct err *e)
{
	struct client *c = run->owner;
	struct server *s = c->server;
	bool established;

	(void)pthread_mutex_lock(&s->lock);
	if (c->previous != NULL)
		c->previous->next = c->next;
	else
		s->clients = c->next;
	if (c->next != NULL)
		c->next->previous = c->previous;
	if (r != SK_INTERRUPTED && s->config->closed != NULL)
		s->config->closed(s->config->context, c, e);
	(void)pthread_mutex_unlock(&s->lock);
	established = c->established;
	client_free(c);
	(void)pthread_mutex_lock(&s->lock);
	s->active--;
	if (!established)
		s->taken--;
	s->last_ns = clock_now_ns();
	(void)pthread_mutex_unlock(&s->lock);
	finish_if_done(s);
}

static struct client *
client_new(const struct service *service, void *context, enum sk_mode mode,
    struct sock *peer, struct err *e)
{
	struct client *c = calloc(1, service->client_size);

	if (c == NULL || (c->name = strdup(sock_name(peer))) == NULL) {
		err_no_memory(e);
		free(c);
		return NULL;
	}
	c->service = service;
	c->context = context;
	c->peer = peer;
	stage_init_single(&c->stage, &c->legs[0], c, step_first);
	c->stage.socks[0] = peer;
	c->run = (struct run){ .stage = &c->stage, .owner = c,
	    .mode = (unsigned char)mode, .next = client_next };
	return c;
}

/* Accepting. */

static bool
is_exhausted(const struct err *e)
{
	return e->code == ERR_LOCAL && (e->sys == EMFILE || e->sys == ENFILE ||
	    e->sys == ENOBUFS || e->sys == ENOMEM);
}

static void
trouble(struct server *s, struct err *e)
{
	(void)pthread_mutex_lock(&s->lock);
	if (s->config->trouble != NULL)
		s->config->trouble(s->config->context, e);
	(void)pthread_mutex_unlock(&s->lock);
	err_clear(e);
}

/* A client that has come becomes a run. What it lacks, it lacks alone. */
static void
take_client(struct server *s, struct sock *peer)
{
	struct err e = { .code = ERR_NONE };
	struct client *c;

	sock_set_deadline(peer, clock_min_ns(s->config->deadline_ns,
	    clock_now_ns() + HANDSHAKE_LIMIT_MS * CLOCK_MS));
	c = client_new(s->service, s->context, s->config->mode, peer, &e);
	if (c == NULL) {
		sock_abort(&peer);
		trouble(s, &e);
		return;
	}
	c->server = s;
	c->run.over = client_over;
	(void)pthread_mutex_lock(&s->lock);
	s->active++;
	s->taken++;
	s->last_ns = clock_now_ns();
	c->next = s->clients;
	if (c->next != NULL)
		c->next->previous = c;
	s->clients = c;
	(void)pthread_mutex_unlock(&s->lock);
	if (runner_add(s->runner, &c->run, &e))
		return;
	err_set(&e, e.code, e.sys, c->name, "%s", e.text);
	client_over(&c->run, SK_ERROR, &e);
	err_clear(&e);
}

/* Ask somebody who has nothing more to say to make room. */
static void
make_room(struct server *s)
{
	struct client *c;

	if (s->service->yield == NULL)
		return;
	(void)pthread_mutex_lock(&s->lock);
	for (c = s->clients; c != NULL; c = c->next)
		if (c->begun && s->service->yield(c))
			break;
	(void)pthread_mutex_unlock(&s->lock);
}

enum room {
	ROOM,
	ROOM_LATER,	/* when somebody leaves */
	ROOM_NEVER,	/* all that --count asks for have come */
};

static enum room
room_for_more(struct server *s)
{
	const struct serve_config *config = s->config;
	enum room room = ROOM;

	(void)pthread_mutex_lock(&s->lock);
	if (config->max_clients > 0 && s->active >= config->max_clients)
		room = ROOM_LATER;
	if (config->count > 0 && s->taken >= config->count)
		room = s->established >= config->count ? ROOM_NEVER :
		    ROOM_LATER;
	(void)pthread_mutex_unlock(&s->lock);
	return room;
}

/* Nobody is taken now: until when? */
static enum sk_result
wait_for_room(struct server *s)
{
	int64_t wake_ns = CLOCK_NEVER;

	if (s->service->yield != NULL) {
		wake_ns = clock_now_ns() + LOOK_MS * CLOCK_MS;
		if (sock_has_input(*s->listener))
			make_room(s);
	}
	return leg_sleep(&s->leg, wake_ns);
}

/* Out of descriptors: those who are there go on, the others wait. */
static enum sk_result
wait_exhausted(struct server *s, struct err *e)
{
	if (!s->exhausted)
		trouble(s, e);
	s->exhausted = true;
	err_clear(e);
	make_room(s);
	return leg_sleep(&s->leg, clock_now_ns() + LOOK_MS * CLOCK_MS);
}

/* Nobody came for --accept-timeout, and nobody is there. */
static enum sk_result
is_late(struct server *s, struct err *e)
{
	int64_t now = clock_now_ns(), limit;
	bool nobody;

	(void)pthread_mutex_lock(&s->lock);
	nobody = s->active == 0;
	limit = clock_after_ns(s->last_ns, s->config->accept_ns);
	(void)pthread_mutex_unlock(&s->lock);
	sock_set_deadline(*s->listener, clock_min_ns(s->config->deadline_ns,
	    nobody ? limit : clock_after_ns(now, s->config->accept_ns)));
	if (!nobody || now < limit)
		return SK_OK;
	err_set(e, ERR_TIMEOUT, 0, sock_name(*s->listener),
	    "no connection within --accept-timeout");
	return SK_ERROR;
}

static enum sk_result
accept_one(struct server *s, struct err *e)
{
	enum room room = room_for_more(s);
	struct sock *peer = NULL;
	enum sk_result r;

	/* Datagrams of those who are there come from the listener, too. */
	if (sock_is_datagram(*s->listener))
		sock_set_admits(*s->listener, room == ROOM);
	else if (room == ROOM_NEVER)
		return SK_EOF;
	else if (room == ROOM_LATER)
		return wait_for_room(s);
	if (s->config->accept_ns >= 0 && is_late(s, e) == SK_ERROR)
		return SK_ERROR;
	s->leg.waits = *s->listener;
	s->leg.side = SK_IN;
	r = sock_accept(*s->listener, &peer, e);
	if (r == SK_TIMEOUT && clock_now_ns() < s->config->deadline_ns)
		return SK_OK;
	if (r == SK_ERROR && is_exhausted(e))
		return wait_exhausted(s, e);
	if (r != SK_OK)
		return r;
	s->exhausted = false;
	if (s->config->announced || may_come(s, peer))
		take_client(s, peer);
	else
		sock_abort(&peer);
	return SK_OK;
}

static enum sk_result
step_accept(struct leg *leg, struct err *e)
{
	struct server *s = leg->owner;
	enum sk_result r;
	int i;

	for (i = 0; i < ACCEPT_TURN; i++) {
		r = accept_one(s, e);
		if (r != SK_OK)
			return r;
	}
	return SK_OK;
}

/* Nobody else is to come: those who are there are served to their end. */
static void
accept_over(struct run *run, enum sk_result r, struct err *e)
{
	struct server *s = run->owner;

	if (r == SK_ERROR)
		serve_fail(s, e);
	(void)pthread_mutex_lock(&s->lock);
	s->accepting = false;
	(void)pthread_mutex_unlock(&s->lock);
	sock_abort(s->listener);
	finish_if_done(s);
}

/* The server. */

void
serve_fail(struct server *s, struct err *e)
{
	(void)pthread_mutex_lock(&s->lock);
	if (!s->failed)
		err_move(&s->reason, e);
	s->failed = true;
	(void)pthread_mutex_unlock(&s->lock);
	err_clear(e);
	runner_stop(s->runner);
}

void
serve_finish(struct server *s)
{
	runner_stop(s->runner);
}

bool
serve_add(struct server *s, struct run *run, struct err *e)
{
	return runner_add(s->runner, run, e);
}

static void
signal_all(struct server *s, int sig)
{
	struct client *c;

	if (s->service->signal == NULL)
		return;
	(void)pthread_mutex_lock(&s->lock);
	for (c = s->clients; c != NULL; c = c->next)
		if (c->begun)
			s->service->signal(c, sig);
	(void)pthread_mutex_unlock(&s->lock);
}

static enum sk_result
run_server(struct server *s, void (*begun)(void *, struct server *),
    struct err *e)
{
	enum sk_result r;

	if (begun != NULL)
		begun(s->context, s);
	if (!runner_add(s->runner, &s->run, e))
		return SK_ERROR;
	r = runner_wait(s->runner, s->config->deadline_ns, e);
	if (r == SK_INTERRUPTED)
		signal_all(s, intr_signal());
	if (r == SK_TIMEOUT) {
		signal_all(s, SIGTERM);
		err_set(e, ERR_TIMEOUT, 0, "",
		    "the run has taken its --timeout");
		r = SK_ERROR;
	}
	return r;
}

enum sk_result
serve(const struct serve_config *config, struct sock **listener,
    const struct service *service, void *context,
    void (*begun)(void *, struct server *), struct err *e)
{
	struct server s = { .config = config, .service = service,
	    .context = context, .listener = listener, .accepting = true,
	    .last_ns = clock_now_ns() };
	enum sk_result r = SK_ERROR;

	(void)pthread_mutex_init(&s.lock, NULL);
	stage_init_single(&s.stage, &s.leg, &s, step_accept);
	s.stage.socks[0] = *listener;
	s.run = (struct run){ .stage = &s.stage, .owner = &s,
	    .mode = (unsigned char)config->mode, .over = accept_over };
	sock_set_deadline(*listener, config->deadline_ns);
	s.runner = runner_new(config->mode, e);
	if (s.runner != NULL)
		r = run_server(&s, begun, e);
	runner_free(s.runner);
	if (s.failed && r != SK_INTERRUPTED) {
		err_move(e, &s.reason);
		r = SK_ERROR;
	}
	err_clear(&s.reason);
	(void)pthread_mutex_destroy(&s.lock);
	return r;
}

enum sk_result
serve_alone(enum sk_mode mode, struct sock **peer,
    const struct service *service, void *context, struct err *e)
{
	struct client *c;
	enum sk_result r;

	c = client_new(service, context, mode, *peer, e);
	if (c == NULL) {
		sock_abort(peer);
		return SK_ERROR;
	}
	*peer = NULL;
	r = run_alone(&c->run, e);
	if (r == SK_INTERRUPTED && c->begun && service->signal != NULL)
		service->signal(c, intr_signal());
	client_free(c);
	return r;
}
