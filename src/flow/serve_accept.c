/* The accepting leg of a server. */
#include "flow/serve_impl.h"

#include <errno.h>

#include "base/clock.h"

enum {
	/* Out of room or descriptors: look again then, or when one leaves. */
	LOOK_MS = 200,
	/* ...which is told once in a while. */
	TELL_SEC = 60,
	/* Connections taken in a row, before the others have their turn. */
	ACCEPT_TURN = 64,
};

static bool
is_exhausted(const struct err *e)
{
	/* EAGAIN: see pthread_create(3). */
	return e->code == ERR_LOCAL &&
	    (err_is_exhausted(e->sys) || e->sys == EAGAIN);
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

static void
link_client(struct server *s, struct client *c)
{
	(void)pthread_mutex_lock(&s->lock);
	s->active++;
	s->taken++;
	s->last_ns = clock_now_ns();
	c->next = s->clients;
	if (c->next != NULL)
		c->next->previous = c;
	s->clients = c;
	(void)pthread_mutex_unlock(&s->lock);
}

/*
 * A client becomes a run. What it lacks, it lacks alone; but if that is memory,
 * a thread or descriptors, it stays pending: SK_ERROR with *e.
 */
static enum sk_result
add_client(struct server *s, struct client *c, struct err *e)
{
	bool quiet;

	s->pending = NULL;
	if (runner_add(s->runner, &c->run, e))
		return SK_OK;
	quiet = e->quiet;
	err_set(e, e->code, e->sys, c->name, "%s", e->text);
	e->quiet = quiet;
	if (is_exhausted(e)) {
		s->pending = c;
		return SK_ERROR;
	}
	serve_client_over(&c->run, SK_ERROR, e);
	err_clear(e);
	return SK_OK;
}

static enum sk_result
take_client(struct server *s, struct sock *peer, struct err *e)
{
	struct client *c;

	sock_set_deadline(peer, clock_min_ns(s->config->deadline_ns,
	    clock_now_ns() + SERVE_HANDSHAKE_MS * CLOCK_MS));
	c = serve_client_new(s->service, s->context, s->config->mode, peer, e);
	if (c == NULL) {
		sock_abort(&peer);
		trouble(s, e);
		return SK_OK;
	}
	c->server = s;
	c->run.over = serve_client_over;
	c->run.over_anywhere = true;
	link_client(s, c);
	return add_client(s, c, e);
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
		if (atomic_load(&c->begun) && s->service->yield(c))
			break;
	(void)pthread_mutex_unlock(&s->lock);
}

enum room {
	ROOM,
	ROOM_LATER,	/* when somebody leaves */
	ROOM_NO_MORE,	/* the same, for want of descriptors */
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
	if (s->active >= s->capacity)
		room = ROOM_NO_MORE;
	if (config->count > 0 && s->taken >= config->count)
		room = s->established >= config->count ? ROOM_NEVER :
		    ROOM_LATER;
	s->held = room != ROOM;
	(void)pthread_mutex_unlock(&s->lock);
	return room;
}

/* Told once in a while. */
static void
tell_exhausted(struct server *s, struct err *e)
{
	int64_t now = clock_now_ns();

	if (s->told_ns == 0 || now >= s->told_ns + TELL_SEC * CLOCK_SEC) {
		trouble(s, e);
		s->told_ns = now;
	}
	err_clear(e);
}

/* There is somebody, and no descriptors are left for one more. */
static void
tell_no_more(struct server *s)
{
	struct err e = { .code = ERR_NONE };

	if (!sock_has_input(*s->listener))
		return;
	err_set(&e, ERR_LOCAL, EMFILE, sock_name(*s->listener), "accepting");
	tell_exhausted(s, &e);
}

/* Nobody is taken now: until when? */
static enum sk_result
wait_for_room(struct server *s, enum room room)
{
	int64_t wake_ns = CLOCK_NEVER;

	if (room == ROOM_NO_MORE)
		tell_no_more(s);
	if (s->service->yield != NULL || room == ROOM_NO_MORE) {
		wake_ns = clock_now_ns() + LOOK_MS * CLOCK_MS;
		if (sock_has_input(*s->listener))
			make_room(s);
	}
	return leg_sleep(&s->leg, wake_ns);
}

/*
 * Out of descriptors: those who are there go on, the others wait. For those who
 * send datagrams to the listener it has to go on as well.
 */
static enum sk_result
wait_exhausted(struct server *s, struct err *e)
{
	tell_exhausted(s, e);
	(void)pthread_mutex_lock(&s->lock);
	s->held = true;
	(void)pthread_mutex_unlock(&s->lock);
	s->exhausted_until_ns = clock_now_ns() + LOOK_MS * CLOCK_MS;
	make_room(s);
	return sock_is_datagram(*s->listener) ? SK_OK :
	    leg_sleep(&s->leg, s->exhausted_until_ns);
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
	/* Who has come in time may only be seen now. */
	if (!nobody || now < limit || sock_has_input(*s->listener))
		return SK_OK;
	err_set(e, ERR_TIMEOUT, 0, sock_name(*s->listener),
	    "no connection within --accept-timeout");
	return SK_ERROR;
}

/*
 * While there is no room, or somebody is pending, the listener only serves
 * those who are known.
 */
static void
admit_peers(struct server *s, bool room)
{
	bool exhausted = clock_now_ns() < s->exhausted_until_ns;

	sock_set_admits(*s->listener, room && !exhausted &&
	    s->pending == NULL);
	sock_set_deadline(*s->listener, clock_min_ns(s->config->deadline_ns,
	    exhausted ? s->exhausted_until_ns : CLOCK_NEVER));
}

/* Whoever could not become a client yet comes first. */
static bool
takes_pending(const struct server *s)
{
	return s->pending != NULL && (!sock_is_datagram(*s->listener) ||
	    clock_now_ns() >= s->exhausted_until_ns);
}

static enum sk_result
accept_one(struct server *s, struct err *e)
{
	enum room room = room_for_more(s);
	struct sock *peer;
	enum sk_result r;

	/* Datagrams of those who are there come from the listener, too. */
	if (sock_is_datagram(*s->listener))
		admit_peers(s, room == ROOM);
	else if (room == ROOM_NEVER)
		return SK_EOF;
	else if (room != ROOM)
		return wait_for_room(s, room);
	if (s->config->accept_ns >= 0 && is_late(s, e) == SK_ERROR)
		return SK_ERROR;
	s->leg.waits = *s->listener;
	s->leg.side = SK_IN;
	r = sock_accept(*s->listener, &peer, e);
	/* Whatever it was woken for, the next turn looks at. */
	if (r == SK_TIMEOUT && clock_now_ns() < s->config->deadline_ns)
		return r;
	/* The run is over: the server sees that as well, and tells it. */
	if (r == SK_TIMEOUT)
		return leg_sleep(&s->leg, CLOCK_NEVER);
	if (r == SK_OK && !s->config->announced && !serve_permits(s, peer)) {
		sock_abort(&peer);
		return SK_OK;
	}
	return r == SK_OK ? take_client(s, peer, e) : r;
}

enum sk_result
serve_step_accept(struct leg *leg, struct err *e)
{
	struct server *s = leg->owner;
	enum sk_result r;
	int i;

	for (i = 0; i < ACCEPT_TURN; i++) {
		r = takes_pending(s) ? add_client(s, s->pending, e) :
		    accept_one(s, e);
		if (r == SK_ERROR && is_exhausted(e))
			r = wait_exhausted(s, e);
		if (r != SK_OK)
			return r == SK_TIMEOUT ? SK_OK : r;
	}
	return SK_OK;
}

/* Nobody else is to come: those who are there are served to their end. */
void
serve_accept_over(struct run *run, enum sk_result r, struct err *e)
{
	struct server *s = run->owner;

	if (r == SK_ERROR)
		serve_fail(s, e);
	(void)pthread_mutex_lock(&s->lock);
	s->accepting = false;
	(void)pthread_mutex_unlock(&s->lock);
	sock_abort(s->listener);
	serve_finish_if_done(s);
}
