/* When a relay is over, and how: the same for both modes. */
#include "flow/relay_impl.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"

enum {
	/* A datagram session ends so long after the last answer. */
	DATAGRAM_LINGER_MS = 1000,
	/* --send-only: a peer that talks may go on reading so long... */
	TALKING_SILENCE_MS = 1000,
	TALKING_LIMIT_MS = 30 * 1000,
	/* ...and one that acknowledges nothing at all is given up. */
	ACKNOWLEDGE_LIMIT_MS = 60 * 1000,
	ACKNOWLEDGE_LOOK_MS = 1000,
	/* How often in an idle time what is acknowledged is looked at. */
	IDLE_LOOKS = 8,
	/* At --linger, what is there may still be written for so long. */
	LINGER_GRACE_MS = 100,
	/* A reader that has enough (tar) may leave just before the end. */
	READER_GONE_MS = 500,
};

/* Whether our output is still open: the down leg closes it when it shuts. */
static bool
has_output(const struct relay *r)
{
	return r->down.leg.state == LEG_RUNNING &&
	    atomic_load(&r->down.pump.state) < PUMP_SHUTTING;
}

/* Whether nothing but a watch tells that the peer has gone. */
static bool
is_unwatched(const struct relay *r)
{
	return r->down.leg.state == LEG_ENDED &&
	    r->up.leg.state == LEG_RUNNING &&
	    atomic_load(&r->up.pump.state) < PUMP_SHUTTING;
}

/*
 * What is watched for errors alone: our output, whose reader may leave, and a
 * peer that has ended and may still reset while our input is idle.
 */
static void
watched(const struct stage *stage, struct pollfd *fds)
{
	const struct relay *r = stage->owner;
	bool output = has_output(r) && r->reader_gone_ns == 0;

	fds[0] = (struct pollfd){ .fd = output ? r->output_fd : -1 };
	fds[1] = (struct pollfd){ .fd = is_unwatched(r) && !r->peer_asked ?
	    r->peer_fd : -1 };
	if (r->config->child != NULL && !r->child_ended)
		(void)sock_pollfds(r->config->child, SK_IN, SK_WANT_READ,
		    &fds[2]);
}

static void
event(struct stage *stage, int fd, short revents)
{
	struct relay *r = stage->owner;

	if (!(revents & (POLLERR | POLLHUP | POLLNVAL)))
		return;
	if (fd == r->output_fd && has_output(r) && r->reader_gone_ns == 0)
		r->reader_gone_ns = clock_now_ns();
	if (fd == r->peer_fd && is_unwatched(r))
		r->peer_event = true;
}

enum verdict
relay_fail_time(struct relay *r, const char *what, struct err *e)
{
	err_set(e, ERR_TIMEOUT, 0, sock_name(r->peer), "%s", what);
	return VERDICT_FAIL;
}

static enum verdict
fail_with(struct way *way, struct err *e)
{
	leg_take_error(&way->leg, e);
	return VERDICT_FAIL;
}

static int64_t
last_moved_ns(const struct relay *r)
{
	int64_t up = 0, down = 0;

	if (r->up.leg.state != LEG_ABSENT)
		up = atomic_load(&r->up.pump.moved_ns);
	if (r->down.leg.state != LEG_ABSENT)
		down = atomic_load(&r->down.pump.moved_ns);
	if (down > up)
		up = down;
	return r->left_ns > up ? r->left_ns : up;
}

/*
 * What the peer acknowledges has moved, though no call of ours shows it. Asked
 * only where a limit depends on it, as it costs a system call each time.
 */
static void
note_acknowledged(struct relay *r, int64_t now)
{
	long left;

	if (r->up.leg.state == LEG_ABSENT ||
	    (r->config->idle_ns < 0 && !r->config->send_only))
		return;
	left = sock_unacknowledged(r->peer);
	if (left < r->left)
		r->left_ns = now;
	r->left = left;
}

static bool
has_pending(const struct way *way)
{
	return way->leg.state == LEG_RUNNING &&
	    atomic_load(&way->pump.pending) > 0;
}

/* Whether it is our end that has failed, and not the peer. */
static bool
is_ours(const struct relay *r)
{
	const struct leg *up = &r->up.leg;

	return (up->err != NULL && up->err->code == ERR_LOCAL) ||
	    (r->config->joined && up->waits == r->in);
}

/*
 * A local failure ends it at once. A broken connection ends it when what came
 * before is delivered, that is, when the direction from the peer has stopped.
 */
static enum verdict
judge_failures(struct relay *r, struct err *e)
{
	if (r->peer_event) {
		r->peer_event = false;
		r->peer_asked = true;
		if (sock_probe(r->peer, e) == SK_ERROR)
			return VERDICT_FAIL;
	}
	if (r->down.leg.state == LEG_FAILED)
		return fail_with(&r->down, e);
	if (r->up.leg.state == LEG_FAILED && (is_ours(r) ||
	    r->down.leg.state != LEG_RUNNING || sock_is_datagram(r->peer)))
		return fail_with(&r->up, e);
	return VERDICT_GO_ON;
}

/*
 * Nobody reads our output: that is a failure unless the peer ends in order
 * within a moment, so that nothing is missing.
 */
static enum verdict
judge_reader(struct relay *r, int64_t now, int64_t *wake, struct err *e)
{
	int64_t end = r->reader_gone_ns + READER_GONE_MS * CLOCK_MS;

	if (r->reader_gone_ns == 0 || !has_output(r))
		return VERDICT_GO_ON;
	if (now < end) {
		*wake = clock_min_ns(*wake, end);
		return VERDICT_GO_ON;
	}
	err_set(e, ERR_LOCAL, EPIPE, "standard output", "%s", "");
	e->quiet = true;
	return VERDICT_FAIL;
}

static enum verdict
judge_time(struct relay *r, int64_t now, int64_t *wake, struct err *e)
{
	int64_t idle;

	if (now >= r->config->deadline_ns)
		return relay_fail_time(r, "the run has taken its --timeout", e);
	*wake = clock_min_ns(*wake, r->config->deadline_ns);
	if (r->config->idle_ns < 0)
		return VERDICT_GO_ON;
	idle = clock_after_ns(last_moved_ns(r), r->config->idle_ns);
	if (now >= idle && r->config->idle_ends)
		return VERDICT_FINISH;
	if (now >= idle)
		return relay_fail_time(r,
		    "nothing moved for the --idle-timeout", e);
	*wake = clock_min_ns(*wake, idle);
	if (r->left > 0)
		*wake = clock_min_ns(*wake, clock_after_ns(now,
		    r->config->idle_ns / IDLE_LOOKS + CLOCK_MS));
	return VERDICT_GO_ON;
}

/* A session of datagrams has no end but silence. */
static enum verdict
judge_datagram(struct relay *r, int64_t now, int64_t *wake, struct err *e)
{
	int64_t linger = r->config->linger_ns, end;
	int sys = atomic_load(&r->refusal.sys);

	if (sys != 0)
		err_set(e, atomic_load(&r->refusal.answered) ? ERR_BROKEN :
		    ERR_CONNECT, sys, sock_name(r->peer), "%s", "");
	if (sys != 0 && r->up.leg.state == LEG_ENDED) {
		e->quiet = r->refusal_told;
		return VERDICT_FAIL;
	}
	if (sys != 0 && !r->refusal_told && r->config->on_refusal != NULL)
		r->config->on_refusal(e);
	r->refusal_told = sys != 0;
	err_clear(e);
	if (r->up.leg.state != LEG_ENDED)
		return VERDICT_GO_ON;
	if (r->config->send_only || r->config->command ||
	    r->down.leg.state != LEG_RUNNING)
		return VERDICT_FINISH;
	if (linger < 0)
		linger = DATAGRAM_LINGER_MS * CLOCK_MS;
	/* Silence is what comes after the last answer was written. */
	end = clock_after_ns(last_moved_ns(r), linger);
	if (has_pending(&r->down))
		end = clock_after_ns(now, linger);
	if (now >= end)
		return VERDICT_FINISH;
	*wake = clock_min_ns(*wake, end);
	return VERDICT_GO_ON;
}

/*
 * What has come from the peer and is not written. What is still in the kernel
 * counts if nothing has moved since a time; otherwise it is on its way.
 */
static bool
is_stuck(const struct relay *r, int64_t since)
{
	return has_pending(&r->down) || (r->down.leg.state == LEG_RUNNING &&
	    atomic_load(&r->down.pump.moved_ns) < since &&
	    sock_has_input(r->peer));
}

/* --linger: leave so long after the end of input at the latest. */
static enum verdict
judge_linger(struct relay *r, int64_t now, int64_t *wake, struct err *e)
{
	int64_t ended, end;

	ended = r->up.leg.state == LEG_ABSENT ? 0 :
	    atomic_load(&r->up.pump.ended_ns);
	if (r->config->linger_ns < 0 || ended == 0)
		return VERDICT_GO_ON;
	end = clock_after_ns(ended, r->config->linger_ns);
	if (now < end) {
		*wake = clock_min_ns(*wake, end);
		return VERDICT_GO_ON;
	}
	if (r->up.leg.state != LEG_ENDED)
		return relay_fail_time(r,
		    "not everything was acknowledged within --linger", e);
	if (!is_stuck(r, CLOCK_NEVER))
		return VERDICT_FINISH;
	if (now < end + LINGER_GRACE_MS * CLOCK_MS) {
		*wake = clock_min_ns(*wake, end + LINGER_GRACE_MS * CLOCK_MS);
		return VERDICT_GO_ON;
	}
	if (is_stuck(r, end))
		return relay_fail_time(r,
		    "not everything was written within --linger", e);
	return VERDICT_FINISH;
}

/* The peer has to acknowledge something once in a while. */
static enum verdict
judge_acknowledging(struct relay *r, int64_t now, int64_t *wake,
    struct err *e)
{
	int64_t since;

	if (atomic_load(&r->up.pump.state) != PUMP_SETTLING)
		return VERDICT_GO_ON;
	since = atomic_load(&r->up.pump.ended_ns);
	if (r->left_ns > since)
		since = r->left_ns;
	if (now >= since + ACKNOWLEDGE_LIMIT_MS * CLOCK_MS)
		return relay_fail_time(r,
		    "nothing was acknowledged for 60 s", e);
	*wake = clock_min_ns(*wake, now + ACKNOWLEDGE_LOOK_MS * CLOCK_MS);
	return VERDICT_GO_ON;
}

/*
 * Everything is acknowledged, which means that it lies in the peer's kernel.
 * If the peer talks, closing now would answer it with a reset, and it might
 * not read the rest: keep reading until it ends or falls silent.
 */
static enum verdict
judge_send_only(struct relay *r, int64_t now, int64_t *wake, struct err *e)
{
	int64_t ended, end;

	if (r->up.leg.state != LEG_ENDED)
		return judge_acknowledging(r, now, wake, e);
	if (r->down.leg.state != LEG_RUNNING ||
	    atomic_load(&r->down.pump.bytes) == 0)
		return VERDICT_FINISH;
	ended = atomic_load(&r->up.pump.ended_ns);
	end = clock_min_ns(atomic_load(&r->down.pump.moved_ns) +
	    TALKING_SILENCE_MS * CLOCK_MS, ended +
	    TALKING_LIMIT_MS * CLOCK_MS);
	if (now >= end)
		return VERDICT_FINISH;
	*wake = clock_min_ns(*wake, end);
	return VERDICT_GO_ON;
}

static bool
is_over(const struct way *way)
{
	return way->leg.state == LEG_ABSENT || way->leg.state == LEG_ENDED;
}

static enum verdict
judge_ends(struct relay *r, int64_t now, int64_t *wake, struct err *e)
{
	enum verdict v;

	if (sock_is_datagram(r->peer))
		return judge_datagram(r, now, wake, e);
	if (is_over(&r->up) && is_over(&r->down))
		return VERDICT_FINISH;
	v = judge_linger(r, now, wake, e);
	if (v == VERDICT_GO_ON && (r->config->send_only ||
	    (r->config->command && r->up.leg.state == LEG_ENDED)))
		v = judge_send_only(r, now, wake, e);
	if (v == VERDICT_GO_ON && r->down.leg.state == LEG_ENDED &&
	    !r->input_stopped && sock_is_terminal(r->in)) {
		sock_stop_input(r->in);
		r->input_stopped = true;
		stage_wake(&r->stage, UP);
	}
	return v;
}

/* What the command has written is still passed on, and then the end. */
static void
look_after_child(struct relay *r, int64_t *wake)
{
	struct err e = { .code = ERR_NONE };
	size_t got;
	char byte;

	if (sock_recv(r->config->child, &byte, sizeof(byte), &got, &e) ==
	    SK_EOF) {
		r->child_ended = true;
		sock_shutdown_read(r->in);
	} else
		*wake = clock_min_ns(*wake, sock_wake_ns(r->config->child,
		    SK_IN));
	err_clear(&e);
}

static enum verdict
judge(struct stage *stage, int64_t *wake_ns, struct err *e)
{
	struct relay *r = stage->owner;
	int64_t now = clock_now_ns();
	enum verdict v;

	note_acknowledged(r, now);
	if (r->config->child != NULL && !r->child_ended)
		look_after_child(r, wake_ns);
	v = judge_failures(r, e);
	if (v == VERDICT_GO_ON)
		v = judge_reader(r, now, wake_ns, e);
	if (v == VERDICT_GO_ON)
		v = judge_ends(r, now, wake_ns, e);
	if (v == VERDICT_GO_ON)
		v = judge_time(r, now, wake_ns, e);
	return v;
}

const struct judge relay_judge = { judge, watched, event };
