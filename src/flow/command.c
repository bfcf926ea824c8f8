#include "flow/command.h"

#include <signal.h>
#include <stdatomic.h>

#include "base/clock.h"

enum {
	/* A client that goes on sending after the command's end: so long... */
	DROP_SILENCE_MS = 1000,
	/* ...after its last word, and so long after it took of the answer. */
	DROP_LIMIT_MS = 5000,
	DROP_BUFFER = 16 * 1024,
	DROP_TURN = 64,
	/* In what is not acknowledged, the half-close counts as a byte. */
	HALF_CLOSE = 1,
	/* A command whose connection has gone: until SIGTERM, and after it. */
	PATIENCE_MS = 1000,
};

struct command {
	struct client client;		/* first */
	/* Set once by begin; signal may come from another thread. */
	_Atomic(struct sock *) child;
	atomic_int signal;
	struct stage stage;
	struct leg leg;
	enum sk_result (*phase)(struct command *, struct err *);

	/* After the end of a command that had the connection. */
	int64_t heard_ns;		/* when the client last spoke */
	int64_t taken_ns;		/* when it last took of the answer */
	long left;			/* what it has not taken */
	bool gone;			/* or silent for too long */

	/* Where haul is between. */
	struct relay_config relay_config;
	struct relay *relay;
	struct sock *near;
	bool closing;			/* after it has ended in order */
	bool datagram;
	bool leaving;			/* the command has lost its end */
	bool terminated;
	bool given_up;			/* ...and does not care */
	struct err failure;		/* of the relay */
};

static const struct command_config *
config_of(const struct command *c)
{
	return c->client.context;
}

static enum sk_result
blame(struct command *c, struct sock *s, enum sk_side side, enum sk_result r)
{
	c->leg.waits = s;
	c->leg.side = (unsigned char)side;
	return r;
}

/* --- The end of a command that had the connection itself. --- */

/*
 * No error of a peer that has gone is told: the command was there to see it.
 * Nor is a connection closed in a stage that has polled it: something that the
 * command has left running may have it as well, so that the event loop has to
 * be told to forget it.
 */
static enum sk_result
let_go(struct command *c)
{
	c->gone = true;
	return SK_EOF;
}

/* Until when to wait for the client, which may have taken of the answer. */
static int64_t
patience_ns(struct command *c)
{
	long left = sock_unacknowledged(c->client.peer);
	int64_t last;

	if (left < c->left && c->left > HALF_CLOSE)
		c->taken_ns = clock_now_ns();
	c->left = left;
	last = c->heard_ns > c->taken_ns ? c->heard_ns : c->taken_ns;
	last = clock_min_ns(last + DROP_SILENCE_MS * CLOCK_MS,
	    c->taken_ns + DROP_LIMIT_MS * CLOCK_MS);
	return clock_min_ns(last, config_of(c)->deadline_ns);
}

/*
 * Close when the answer has arrived. One that is taken more slowly than this
 * waits is still delivered, by the kernel.
 */
static enum sk_result
phase_close(struct command *c, struct err *e)
{
	int64_t until = patience_ns(c);
	struct err gone = { .code = ERR_NONE };
	enum sk_result r;

	(void)e;
	if (clock_now_ns() >= until)
		return let_go(c);
	sock_set_side_deadline(c->client.peer, SK_OUT, until);
	r = sock_close(&c->client.peer, &gone);
	err_clear(&gone);
	switch (r) {
	case SK_TIMEOUT:
		return SK_OK;
	case SK_WANT_READ:
	case SK_WANT_WRITE:
	case SK_INTERRUPTED:
		return blame(c, c->client.peer, SK_OUT, r);
	case SK_OK:
		c->stage.socks[0] = NULL;
		return SK_EOF;
	case SK_EOF:
	case SK_ERROR:
		break;
	}
	return let_go(c);
}

/* Read and drop, or closing would answer what is unread with a reset. */
static enum sk_result
phase_drop(struct command *c, struct err *e)
{
	struct sock *peer = c->client.peer;
	struct err gone = { .code = ERR_NONE };
	char buf[DROP_BUFFER];
	enum sk_result r = SK_OK;
	int64_t until;
	size_t got;
	int i;

	(void)e;
	for (i = 0; i < DROP_TURN && r == SK_OK; i++) {
		until = patience_ns(c);
		if (clock_now_ns() >= until)
			return let_go(c);
		sock_set_side_deadline(peer, SK_IN, until);
		r = sock_recv(peer, buf, sizeof(buf), &got, &gone);
		if (r == SK_OK)
			c->heard_ns = clock_now_ns();
		if (r == SK_TIMEOUT)
			r = SK_OK;
	}
	err_clear(&gone);
	return r == SK_ERROR ? let_go(c) : blame(c, peer, SK_IN, r);
}

static enum sk_result
phase_shut(struct command *c, struct err *e)
{
	struct err gone = { .code = ERR_NONE };
	enum sk_result r;

	(void)e;
	r = sock_shutdown_write(c->client.peer, &gone);
	err_clear(&gone);
	if (r != SK_OK)
		return let_go(c);
	c->heard_ns = c->taken_ns = clock_now_ns();
	c->left = sock_unacknowledged(c->client.peer);
	c->phase = phase_drop;
	return SK_OK;
}

/* --- The command. --- */

static enum sk_result
phase_start(struct command *c, struct err *e)
{
	struct sock *child = atomic_load(&c->child);
	enum sk_result r = sock_connect(child, e);

	return r == SK_OK ? SK_EOF : blame(c, child, SK_OUT, r);
}

static void
be_patient(struct command *c)
{
	sock_set_deadline(atomic_load(&c->child),
	    clock_min_ns(config_of(c)->deadline_ns,
	    clock_now_ns() + PATIENCE_MS * CLOCK_MS));
}

/* Its connection has gone, or the run has taken its time. */
static enum sk_result
is_late(struct command *c, struct err *e)
{
	bool first = !c->terminated;

	if (first) {
		child_signal(atomic_load(&c->child), SIGTERM);
		c->terminated = true;
	}
	if (!c->leaving) {
		err_set(e, ERR_TIMEOUT, 0, c->client.name,
		    "the run has taken its --timeout");
		return SK_ERROR;
	}
	if (first) {
		be_patient(c);
		return SK_OK;
	}
	c->given_up = true;
	return SK_EOF;
}

static enum sk_result
phase_wait(struct command *c, struct err *e)
{
	struct sock *child = atomic_load(&c->child);
	enum sk_result r;
	size_t got;
	char byte;

	r = sock_recv(child, &byte, sizeof(byte), &got, e);
	if (r == SK_TIMEOUT)
		return is_late(c, e);
	if (r != SK_EOF || config_of(c)->between)
		return blame(c, child, SK_IN, r);
	c->phase = phase_shut;
	return SK_OK;
}

static enum sk_result
step(struct leg *leg, struct err *e)
{
	struct command *c = leg->owner;
	enum sk_result r;

	do
		r = c->phase(c, e);
	while (r == SK_OK && c->phase != phase_drop);
	return r;
}

static struct stage *
close_stage(struct command *c)
{
	stage_init_single(&c->stage, &c->leg, c, step);
	c->phase = phase_close;
	c->stage.socks[0] = c->client.peer;
	return &c->stage;
}

static struct stage *
start_stage(struct command *c)
{
	stage_init_single(&c->stage, &c->leg, c, step);
	c->phase = phase_start;
	c->stage.socks[0] = atomic_load(&c->child);
	return &c->stage;
}

static struct stage *
wait_stage(struct command *c)
{
	stage_init_single(&c->stage, &c->leg, c, step);
	c->phase = phase_wait;
	c->stage.socks[0] = atomic_load(&c->child);
	c->stage.socks[1] = config_of(c)->between ? NULL : c->client.peer;
	sock_set_deadline(c->stage.socks[0], config_of(c)->deadline_ns);
	return &c->stage;
}

/* --- The service. --- */

/* Where others have to wait as long as this takes, it is done aside. */
static bool
starts_aside(const struct command *c)
{
	return c->client.run.mode == SK_NONBLOCKING &&
	    c->client.server != NULL && !config_of(c)->between;
}

static bool
start(struct command *c, struct sock *conn, struct err *e)
{
	struct sock *child;
	int sig;

	child = starts_aside(c) ? child_start_aside(&config_of(c)->command,
	    conn, c->client.peer, e) :
	    child_start(&config_of(c)->command, conn, c->client.peer,
	    (enum sk_mode)c->client.run.mode, e);
	atomic_store(&c->child, child);
	sig = atomic_load(&c->signal);
	if (child != NULL && sig != 0)
		child_signal(child, sig);
	return child != NULL;
}

static struct stage *
begin_between(struct command *c, struct err *e)
{
	const struct child_command *command = &config_of(c)->command;
	enum sk_mode mode = (enum sk_mode)c->client.run.mode;
	struct sock *far;
	bool ok;

	if (!child_pair(mode, command->argv != NULL ? command->argv[0] :
	    command->shell, &c->near, &far, e))
		return NULL;
	ok = start(c, far, e);
	sock_abort(&far);
	if (!ok)
		return NULL;
	c->relay_config = config_of(c)->relay;
	c->relay_config.joined = c->relay_config.command = true;
	c->relay_config.child = atomic_load(&c->child);
	sock_set_mode(c->relay_config.child, SK_NONBLOCKING);
	c->datagram = sock_is_datagram(c->client.peer);
	c->relay = relay_new(&c->relay_config, &c->near, c->near,
	    &c->client.peer, e);
	return c->relay != NULL ? relay_stage(c->relay) : NULL;
}

static struct stage *
begin(struct client *client, struct err *e)
{
	struct command *c = (struct command *)client;

	if (config_of(c)->between)
		return begin_between(c, e);
	if (!start(c, client->peer, e))
		return NULL;
	return starts_aside(c) ? start_stage(c) : wait_stage(c);
}

/*
 * The relay is over. A command that is not through with its output has lost
 * its connection, or a session of datagrams has fallen silent.
 */
static struct stage *
next_of_relay(struct command *c, enum sk_result *r, struct err *e)
{
	if (*r == SK_OK && !c->closing) {
		c->closing = true;
		return relay_closing(c->relay);
	}
	relay_free(c->relay);
	c->relay = NULL;
	sock_abort(&c->near);
	sock_set_mode(atomic_load(&c->child),
	    (enum sk_mode)c->client.run.mode);
	c->leaving = *r == SK_ERROR || c->datagram;
	if (*r == SK_ERROR)
		err_move(&c->failure, e);
	(void)wait_stage(c);
	if (c->leaving)
		be_patient(c);
	return &c->stage;
}

static void
report(struct command *c, enum sk_result *r, struct err *e)
{
	int status = child_status(atomic_load(&c->child));

	if (config_of(c)->status != NULL)
		*config_of(c)->status = status;
	if (status == 0 || (c->leaving && c->terminated))
		return;
	/* The command itself has said why. */
	err_set(e, (enum err_code)status, 0, c->client.name,
	    "the command's exit status is %d", status);
	e->quiet = true;
	*r = SK_ERROR;
}

static struct stage *
next(struct client *client, struct stage *ended, enum sk_result *r,
    struct err *e)
{
	struct command *c = (struct command *)client;

	if (*r == SK_INTERRUPTED)
		return NULL;
	if (ended != &c->stage)
		return next_of_relay(c, r, e);
	if (*r == SK_OK && c->phase == phase_start)
		return wait_stage(c);
	if (*r == SK_OK && c->phase == phase_drop && !c->gone)
		return close_stage(c);
	if (c->failure.code != ERR_NONE) {
		err_move(e, &c->failure);
		*r = SK_ERROR;
	} else if (*r == SK_OK && !c->given_up)
		report(c, r, e);
	return NULL;
}

/* A command that still runs is left to itself, and reaped by and by. */
static void
end(struct client *client)
{
	struct command *c = (struct command *)client;
	struct sock *child = atomic_load(&c->child);

	relay_free(c->relay);
	sock_abort(&c->near);
	sock_abort(&child);
	err_clear(&c->failure);
}

static void
forward_signal(struct client *client, int sig)
{
	struct command *c = (struct command *)client;
	struct sock *child;

	atomic_store(&c->signal, sig);
	child = atomic_load(&c->child);
	if (child != NULL)
		child_signal(child, sig);
}

const struct service command_service = {
	.client_size = sizeof(struct command),
	.fds = 2,
	.brief_fds = 3,
	.common_fds = 2 * CHILD_HELPERS,
	.begin = begin,
	.next = next,
	.end = end,
	.signal = forward_signal,
	.close = child_helpers_end,
};
