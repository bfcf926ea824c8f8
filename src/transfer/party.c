#include "transfer/party_impl.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

enum {
	/* How long the end of a failed transfer may take. */
	ABORT_LIMIT_MS = 5000,
	/* ...where the peer has not even shown that it is haul. */
	FOREIGN_LIMIT_MS = 1000,
	/* A peer that resets may have said why: time to read it. */
	LAST_WORDS_MS = 2000,
	/* A reader that has enough (tar) may leave just before the end. */
	READER_GONE_MS = 500,
};

/* For other threads. */

void
party_ring(struct party *p)
{
	(void)latch_set(&p->latch);
}

enum party_end
party_state(struct party *p)
{
	enum party_end end;

	(void)pthread_mutex_lock(&p->lock);
	end = p->end;
	(void)pthread_mutex_unlock(&p->lock);
	return end;
}

bool
party_is_kin(struct party *p)
{
	bool kin;

	(void)pthread_mutex_lock(&p->lock);
	kin = p->kin;
	(void)pthread_mutex_unlock(&p->lock);
	return kin;
}

/* The first end is the one. */
static void
set_end(struct party *p, enum party_end end, struct err *e)
{
	int leg;

	(void)pthread_mutex_lock(&p->lock);
	if (p->end == PARTY_GOING_ON ||
	    (p->end == PARTY_DONE && end != PARTY_DONE)) {
		p->end = end;
		p->end_ns = clock_now_ns();
		if (e != NULL)
			err_move(&p->reason, e);
	}
	(void)pthread_mutex_unlock(&p->lock);
	if (e != NULL)
		err_clear(e);
	party_ring(p);
	stage_news(&p->stage);
	for (leg = 0; leg < STAGE_LEGS; leg++)
		stage_wake(&p->stage, leg);
}

void
party_news(struct party *p)
{
	stage_news(&p->stage);
}

void
party_abort(struct party *p, struct err *e)
{
	set_end(p, PARTY_ABORTING, e);
}

void
party_done(struct party *p)
{
	set_end(p, PARTY_DONE, NULL);
}

void
party_peer_reason(struct party *p, const struct wire_reason *r,
    const char *verb, struct err *e)
{
	err_set(e, ERR_PEER, 0, sock_name(p->channel.peer), "%s%s%.*s", verb,
	    *verb != '\0' ? ": " : "", (int)r->text_len, r->text);
}

enum sk_result
party_unexpected(struct party *p, struct err *e)
{
	err_set(e, ERR_PEER, 0, sock_name(p->channel.peer),
	    "does not keep to the transfer protocol");
	return SK_ERROR;
}

enum sk_result
party_take_abort(struct party *p, const struct frame *f, struct err *e)
{
	struct wire_reason r;

	if (!wire_get_reason(f->payload, f->len, f->type, &r))
		return party_unexpected(p, e);
	party_peer_reason(p, &r, "gave up", e);
	set_end(p, PARTY_ABORTED, e);
	return SK_OK;
}

void
party_entry_failed(struct party *p, struct err *e)
{
	const struct transfer_events *ev = &p->config->events;
	struct err first = { 0 };
	uint64_t nth;

	(void)pthread_mutex_lock(&p->lock);
	nth = ++p->failures;
	if (nth == 1)
		err_move(&p->first, e);
	if (nth == 2)
		first = p->first;
	/* A failure of ours outweighs one of the peer's. */
	if (nth > 1 && e->code == ERR_LOCAL)
		p->first.code = ERR_LOCAL;
	(void)pthread_mutex_unlock(&p->lock);
	/* Telling may take time. */
	if (nth == 2 && ev->failed != NULL)
		ev->failed(ev->context, &first);
	if (nth > 1 && ev->failed != NULL)
		ev->failed(ev->context, e);
	err_clear(e);
}

uint64_t
party_failures(struct party *p)
{
	uint64_t failures;

	(void)pthread_mutex_lock(&p->lock);
	failures = p->failures;
	(void)pthread_mutex_unlock(&p->lock);
	return failures;
}

enum sk_result
party_outcome(struct party *p, struct err *e)
{
	if (p->failures == 0)
		return SK_OK;
	if (p->failures == 1)
		err_move(e, &p->first);
	else
		err_set(e, p->first.code, 0, "",
		    "%llu entries did not arrive",
		    (unsigned long long)p->failures);
	return SK_ERROR;
}

void
party_set_name(struct party *p, const char *name)
{
	size_t len = strnlen(name, sizeof(p->status->name) - 1);

	(void)pthread_mutex_lock(&p->status->lock);
	memcpy(p->status->name, name, len);
	p->status->name[len] = '\0';
	(void)pthread_mutex_unlock(&p->status->lock);
}

/* The judge. */

static enum verdict
judge_legs(struct party *p, int64_t now, int64_t *wake, struct err *e)
{
	enum party_end end = party_state(p);
	bool aborts = end == PARTY_ABORTING || end == PARTY_ABORTED;
	int64_t limit;

	if (p->in.state == LEG_FAILED && !aborts) {
		leg_take_error(&p->in, e);
		return VERDICT_FAIL;
	}
	if (p->out.state == LEG_FAILED && p->in.state == LEG_RUNNING) {
		if (p->out_failed_ns == 0)
			p->out_failed_ns = now;
		limit = p->out_failed_ns + LAST_WORDS_MS * CLOCK_MS;
		*wake = clock_min_ns(*wake, limit);
		if (now < limit)
			return VERDICT_GO_ON;
	}
	if (p->out.state == LEG_FAILED && !aborts) {
		leg_take_error(&p->out, e);
		return VERDICT_FAIL;
	}
	/* Whoever gave up does not wait for anything of ours. */
	if (p->in.state != LEG_RUNNING &&
	    (p->out.state != LEG_RUNNING || end == PARTY_ABORTED))
		return VERDICT_FINISH;
	if (end == PARTY_GOING_ON)
		return VERDICT_GO_ON;
	limit = p->end_ns + (party_is_kin(p) ? ABORT_LIMIT_MS :
	    FOREIGN_LIMIT_MS) * CLOCK_MS;
	*wake = clock_min_ns(*wake, limit);
	return now < limit ? VERDICT_GO_ON : VERDICT_FINISH;
}

/*
 * Nobody reads our output: that is a failure unless the transfer comes to its
 * end within a moment, so that nothing is missing.
 */
static void
judge_reader(struct party *p, int64_t now, int64_t *wake)
{
	int64_t limit = p->reader_gone_ns + READER_GONE_MS * CLOCK_MS;
	struct err e = { 0 };

	if (p->reader_gone_ns == 0 || atomic_load(&p->output_done) ||
	    party_state(p) != PARTY_GOING_ON)
		return;
	if (now < limit) {
		*wake = clock_min_ns(*wake, limit);
		return;
	}
	err_set(&e, ERR_LOCAL, EPIPE, "standard output", "%s", "");
	e.quiet = true;
	party_abort(p, &e);
}

static enum verdict
judge(struct stage *stage, int64_t *wake_ns, struct err *e)
{
	struct party *p = stage->owner;
	const struct transfer_events *ev = &p->config->events;
	int64_t now = clock_now_ns();
	enum verdict v;

	*wake_ns = p->config->deadline_ns;
	if (ev->tick != NULL) {
		if (now >= p->tick_ns) {
			ev->tick(ev->context);
			p->tick_ns = now + ev->tick_ns;
		}
		*wake_ns = clock_min_ns(*wake_ns, p->tick_ns);
	}
	judge_reader(p, now, wake_ns);
	v = judge_legs(p, now, wake_ns, e);
	if (v == VERDICT_GO_ON && now >= p->config->deadline_ns) {
		err_set(e, ERR_TIMEOUT, 0, sock_name(p->channel.peer),
		    "the run has taken its --timeout");
		return VERDICT_FAIL;
	}
	return v;
}

/* Whether a reader of our output is there, and has to be. */
static bool
has_reader(const struct party *p)
{
	return p->reader_gone_ns == 0 && !atomic_load(&p->output_done);
}

static void
watched(const struct stage *stage, struct pollfd *fds)
{
	const struct party *p = stage->owner;

	fds[0] = (struct pollfd){ .fd = p->config->events.status_fd,
	    .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = has_reader(p) ? p->output_fd : -1 };
}

static void
event(struct stage *stage, int fd, short revents)
{
	struct party *p = stage->owner;
	const struct transfer_events *ev = &p->config->events;

	if (fd == ev->status_fd) {
		ev->asked(ev->context);
		return;
	}
	if (fd == p->output_fd && has_reader(p) &&
	    (revents & (POLLERR | POLLHUP | POLLNVAL)))
		p->reader_gone_ns = clock_now_ns();
}

static const struct judge party_judge = { judge, watched, event };

/* From the beginning to the end. */

bool
party_open(struct party *p, const struct party_side *side, void *owner,
    const struct transfer_config *config, struct sock *peer,
    struct transfer_status *status, struct transfer_result *result,
    struct err *e)
{
	memset(p, 0, sizeof(*p));
	p->owner = owner;
	p->config = config;
	p->status = status;
	p->result = result;
	p->output_fd = -1;
	p->latch = (struct latch)LATCH_CLOSED;
	(void)pthread_mutex_init(&p->lock, NULL);
	leg_init(&p->in, p, party_step_in);
	leg_init(&p->out, p, party_step_out);
	if (!latch_open(&p->latch, e) ||
	    !channel_open(&p->channel, peer, side->peer, e))
		return false;
	p->channel.silence_ns = party_greeting_ns(config);
	p->bell = sock_bell(&p->latch, config->mode, e);
	if (p->bell == NULL)
		return false;
	p->side = side;
	p->stage = (struct stage){ .owner = p, .judge = &party_judge,
	    .legs = { &p->in, &p->out }, .socks = { peer, p->bell } };
	p->begin_ns = clock_now_ns();
	sock_set_deadline(peer, CLOCK_NEVER);
	party_renew_patience(p);
	return true;
}

static enum sk_result
time_is_up(struct party *p, struct err *e)
{
	err_set(e, ERR_TIMEOUT, 0, sock_name(p->channel.peer),
	    "silent for the --idle-timeout (%lld ms)",
	    (long long)(p->config->silence_ns / CLOCK_MS));
	return SK_ERROR;
}

enum sk_result
party_run(struct party *p, struct err *e)
{
	struct run run = { .stage = &p->stage,
	    .mode = (unsigned char)p->config->mode };
	enum sk_result r;

	r = run_alone(&run, e);
	if (r == SK_ERROR && e->code == ERR_TIMEOUT &&
	    p->in.state == LEG_FAILED)
		(void)time_is_up(p, e);
	p->result->resumable = r == SK_ERROR && (e->code == ERR_BROKEN ||
	    (e->code == ERR_TIMEOUT && p->in.state == LEG_FAILED));
	/* Nobody was there yet, but somebody in between: it may come. */
	if (p->end == PARTY_ABORTING && !p->greeted && !p->channel.heard)
		p->result->resumable = true;
	if (r != SK_OK)
		return r;
	if (p->end == PARTY_DONE)
		return party_outcome(p, e);
	err_move(e, &p->reason);
	return SK_ERROR;
}

void
party_close(struct party *p, struct sock **peer)
{
	struct err e = { 0 };

	/* There is nothing else to do meanwhile, whatever the mode. */
	sock_set_mode(*peer, SK_BLOCKING);
	sock_set_deadline(*peer, clock_now_ns() + ABORT_LIMIT_MS * CLOCK_MS);
	if (p->in.state == LEG_ENDED && p->out.state == LEG_ENDED &&
	    p->kin && !p->broken)
		(void)sock_close(peer, &e);
	sock_abort(peer);
	sock_abort(&p->bell);
	latch_close(&p->latch);
	channel_close(&p->channel);
	(void)pthread_mutex_destroy(&p->lock);
	err_clear(&p->reason);
	err_clear(&p->first);
	err_clear(&e);
}
