/* Many clients: what all of them have in common. */
#include "flow/serve_impl.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/intr.h"

enum {
	SPARE_FDS = 6,
};

/*
 * The accepting leg may wait for somebody to leave, or to be established. With
 * the lock held; to wake it each time would cost as much as accepting does.
 */
static void
wake_accepting(struct server *s)
{
	if (s->accepting && s->held)
		stage_wake(&s->stage, 0);
}

bool
serve_permits(struct server *s, const struct sock *peer)
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
	if (s->config->announced && !serve_permits(s, c->peer)) {
		err_set(e, ERR_CONNECT, 0, c->name, "refused");
		e->quiet = true;
		return SK_ERROR;
	}
	c->established = true;
	(void)pthread_mutex_lock(&s->lock);
	s->established++;
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

static void
tell_opened(struct client *c)
{
	struct server *s = c->server;

	if (s == NULL || s->config->opened == NULL)
		return;
	(void)pthread_mutex_lock(&s->lock);
	s->config->opened(s->config->context, c);
	(void)pthread_mutex_unlock(&s->lock);
}

static struct stage *
client_next(struct run *run, enum sk_result *r, struct err *e)
{
	struct client *c = run->owner;
	struct stage *next;

	if (c->peer != NULL)
		c->dropped = sock_dropped(c->peer);
	if (atomic_load(&c->begun))
		return c->service->next != NULL ?
		    c->service->next(c, run->stage, r, e) : NULL;
	if (*r != SK_OK)
		return NULL;
	atomic_store(&c->begun, true);
	if (!c->service->hears)
		tell_opened(c);
	next = c->service->begin(c, e);
	if (c->service->hears)
		tell_opened(c);
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

void
serve_finish_if_done(struct server *s)
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
	if (atomic_load(&c->begun))
		c->service->end(c);
	sock_abort(&c->peer);
	free(c->name);
	free(c);
}

/* With the lock held. */
static void
unlink_client(struct server *s, struct client *c)
{
	if (c->previous != NULL)
		c->previous->next = c->next;
	else
		s->clients = c->next;
	if (c->next != NULL)
		c->next->previous = c->previous;
}

/* As the last thing, as all that is left may be freed once nobody is there. */
static void
count_out(struct server *s, bool established)
{
	(void)pthread_mutex_lock(&s->lock);
	s->active--;
	if (!established)
		s->taken--;
	s->last_ns = clock_now_ns();
	(void)pthread_mutex_unlock(&s->lock);
}

/* With the lock held. Whoever sees the signal first tells a client, once. */
static void
signal_client(struct client *c, int sig)
{
	if (c->service->signal == NULL || c->signalled || sig == 0)
		return;
	c->signalled = true;
	c->service->signal(c, sig);
}

void
serve_client_over(struct run *run, enum sk_result r, struct err *e)
{
	struct client *c = run->owner;
	struct server *s = c->server;
	bool established;

	(void)pthread_mutex_lock(&s->lock);
	unlink_client(s, c);
	if (r == SK_INTERRUPTED)
		signal_client(c, intr_signal());
	if (r != SK_INTERRUPTED && s->config->closed != NULL)
		s->config->closed(s->config->context, c, e);
	(void)pthread_mutex_unlock(&s->lock);
	established = c->established;
	client_free(c);
	count_out(s, established);
	serve_finish_if_done(s);
}

void
serve_client_drop(struct client *c)
{
	struct server *s = c->server;

	unlink_client(s, c);
	client_free(c);
}

static bool
is_single(const struct service *service, const void *context)
{
	return service->single != NULL && service->single(context);
}

struct client *
serve_client_new(const struct service *service, void *context,
    enum sk_mode mode, struct sock *peer, struct err *e)
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
	    .mode = (unsigned char)mode, .next = client_next,
	    .single = is_single(service, context) };
	return c;
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

	(void)pthread_mutex_lock(&s->lock);
	for (c = s->clients; c != NULL; c = c->next)
		signal_client(c, sig);
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

/*
 * How many clients our descriptors are enough for, so that none is taken that
 * could not be served: with those that are in use now, and a few to spare.
 */
static uint64_t
capacity(const struct service *service, const void *context,
    enum sk_mode mode)
{
	struct rlimit limit;
	uint64_t cost = 1 + service->fds, used = SPARE_FDS;
	int lowest;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
	    limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	if (lowest != -1) {
		(void)close(lowest);
		used += (uint64_t)lowest;
	}
	/* In blocking mode all may begin at the same time. */
	if (mode == SK_BLOCKING)
		cost += runner_fds(is_single(service, context)) +
		    service->brief_fds;
	else
		used += service->brief_fds + service->common_fds;
	return limit.rlim_cur > used + cost ?
	    (limit.rlim_cur - used) / cost : 1;
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
	stage_init_single(&s.stage, &s.leg, &s, serve_step_accept);
	s.stage.socks[0] = s.stage.nudged = *listener;
	s.run = (struct run){ .stage = &s.stage, .owner = &s,
	    .mode = (unsigned char)config->mode, .single = true,
	    .over = serve_accept_over };
	sock_set_deadline(*listener, config->deadline_ns);
	s.capacity = capacity(service, context, config->mode);
	s.runner = runner_new(config->mode, e);
	if (s.runner != NULL)
		r = run_server(&s, begun, e);
	runner_free(s.runner);
	if (s.pending != NULL)
		serve_client_drop(s.pending);
	if (service->close != NULL)
		service->close();
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

	c = serve_client_new(service, context, mode, *peer, e);
	if (c == NULL) {
		sock_abort(peer);
		return SK_ERROR;
	}
	*peer = NULL;
	r = run_alone(&c->run, e);
	if (r == SK_INTERRUPTED && atomic_load(&c->begun) &&
	    service->signal != NULL)
		service->signal(c, intr_signal());
	client_free(c);
	return r;
}
