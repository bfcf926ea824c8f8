#include "flow/pump.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum {
	/* What an attempt costs of the budget besides its bytes. */
	ATTEMPT_COST = 4096,
	/*
	 * Less than what any socket or pipe holds, and so often in a row that
	 * it is not only for want of room in the sink.
	 */
	LITTLE = 16 * 1024,
	LITTLES = 8,
	/* More than one that is not read takes by accident. */
	MUCH = 4 * 1024 * 1024,
};

void
pump_init(struct pump *p, struct sock *from, struct sock *to)
{
	memset(p, 0, sizeof(*p));
	p->from = from;
	p->to = to;
	p->size = PUMP_BUFFER;
	p->littles = LITTLES;
	atomic_init(&p->state, PUMP_FLOWING);
	atomic_init(&p->bytes, 0);
	atomic_init(&p->moved_ns, clock_now_ns());
	atomic_init(&p->ended_ns, 0);
	atomic_init(&p->pending, 0);
}

void
pump_release(struct pump *p)
{
	free(p->buf);
	p->buf = NULL;
}

void
pump_rest(struct pump *p)
{
	if (p->start != p->end || p->whole)
		return;
	pump_release(p);
	p->start = p->end = 0;
}

static void
touch(struct pump *p)
{
	atomic_store(&p->moved_ns, clock_now_ns());
}

static void
tell(struct pump *p)
{
	if (p->stage != NULL)
		stage_news(p->stage);
}

static void
enter(struct pump *p, enum pump_state state)
{
	atomic_store(&p->state, (int)state);
	tell(p);
}

static void
end_input(struct pump *p)
{
	int64_t now = clock_now_ns();

	atomic_store(&p->ended_ns, now);
	atomic_store(&p->moved_ns, now);
	enter(p, PUMP_DRAINING);
}

static enum sk_result
blame(struct pump *p, struct sock *s, enum sk_side side, enum sk_result r)
{
	p->waits = s;
	p->side = side;
	return r;
}

/* A refused datagram does not end the session: the peer may come back. */
static bool
is_refusal(struct pump *p, enum sk_result r, struct err *e)
{
	if (r != SK_ERROR || p->refusal == NULL || e->code != ERR_CONNECT ||
	    e->sys == 0)
		return false;
	atomic_store(&p->refusal->sys, e->sys);
	tell(p);
	err_clear(e);
	return true;
}

/*
 * LF to CRLF, from len raw bytes at the end of the free space to its
 * beginning. There is room for two bytes for each, so that the writing (at
 * most 2 * i) never overtakes the reading (at least len + i).
 */
static size_t
expand_lines(struct pump *p, const char *raw, size_t len, char *out)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		if (raw[i] == '\n' && !p->last_cr)
			out[n++] = '\r';
		p->last_cr = raw[i] == '\r';
		out[n++] = raw[i];
	}
	return n;
}

/* Make room at the end of the buffer; its size. */
static size_t
make_room(struct pump *p)
{
	if (p->start > 0) {
		memmove(p->buf, p->buf + p->start, p->end - p->start);
		p->end -= p->start;
		p->start = 0;
	}
	return p->size - p->end;
}

/* A little goes by memory, which takes less time then. */
static void
note_amount(struct pump *p, size_t amount)
{
	if (amount >= LITTLE)
		p->littles = 0;
	else if (p->littles < LITTLES)
		p->littles++;
}

/* So much has gone through that more of it is likely. */
static void
widen(struct pump *p)
{
	if (p->wide || atomic_load(&p->bytes) < MUCH)
		return;
	p->wide = true;
	sock_widen(p->from);
	sock_widen(p->to);
}

static enum sk_result
fill(struct pump *p, struct err *e)
{
	size_t room, got;
	enum sk_result r;
	char *raw;

	if (p->buf == NULL && (p->buf = malloc(p->size)) == NULL) {
		err_no_memory(e);
		return blame(p, p->from, SK_IN, SK_ERROR);
	}
	room = make_room(p);
	raw = p->buf + p->end;
	if (p->crlf) {
		raw += room - room / 2;
		room /= 2;
	}
	if (p->unit == PUMP_CHUNK && !sock_is_datagram(p->from))
		room = p->crlf ? PUMP_DATAGRAM_MAX / 2 : PUMP_DATAGRAM_MAX;
	r = sock_recv(p->from, raw, room, &got, e);
	if (is_refusal(p, r, e))
		return SK_OK;
	if (r == SK_EOF)
		end_input(p);
	if (r != SK_OK)
		return blame(p, p->from, SK_IN, r);
	note_amount(p, got);
	if (p->crlf)
		got = expand_lines(p, raw, got, p->buf + p->end);
	p->end += got;
	atomic_store(&p->pending, p->end - p->start);
	p->whole = p->unit == PUMP_CHUNK;
	touch(p);
	if (p->refusal != NULL && sock_is_datagram(p->from)) {
		atomic_store(&p->refusal->sys, 0);
		atomic_store(&p->refusal->answered, true);
	}
	return SK_OK;
}

/* How much goes out with the next send; false: read more first. */
static bool
next_unit(struct pump *p, size_t *len)
{
	const char *newline = NULL;

	*len = p->end - p->start;
	if (*len > 0 && (p->unit == PUMP_LINE ||
	    (p->unit == PUMP_STREAM && p->line_delay_ns > 0)))
		newline = memchr(p->buf + p->start, '\n', *len);
	if (newline != NULL)
		*len = (size_t)(newline - p->buf) + 1 - p->start;
	if (p->unit != PUMP_LINE)
		return *len > 0 || p->whole;
	return *len > 0 && (newline != NULL || *len > PUMP_DATAGRAM_MAX ||
	    atomic_load(&p->state) != PUMP_FLOWING);
}

/* Whether the sink has broken, where that only means that it is not heard. */
static bool
reads_no_more(struct pump *p, enum sk_result r, struct err *e)
{
	if (r != SK_ERROR || !p->lossy || e->code != ERR_BROKEN)
		return false;
	p->drops = true;
	err_clear(e);
	return true;
}

/*
 * A refusal that is told by a send may have been that of the datagram before,
 * and this one is to be sent again. The second time it is its own.
 */
static enum sk_result
send_unit(struct pump *p, size_t len, size_t *put, struct err *e)
{
	enum sk_result r;

	*put = len;
	if (p->drops)
		return SK_OK;
	r = sock_send(p->to, p->buf + p->start, len, put, e);
	if (is_refusal(p, r, e))
		r = sock_send(p->to, p->buf + p->start, len, put, e);
	if (!reads_no_more(p, r, e))
		return r;
	*put = len;
	return SK_OK;
}

void
pump_taken(struct pump *p, size_t len)
{
	p->start += len;
	atomic_store(&p->pending, p->end - p->start);
	p->whole = false;
	atomic_fetch_add(&p->bytes, len);
	touch(p);
}

static enum sk_result
check_unit(struct pump *p, size_t len, struct err *e)
{
	if (p->unit != PUMP_LINE || len <= PUMP_DATAGRAM_MAX)
		return SK_OK;
	err_set(e, ERR_LOCAL, 0, sock_name(p->from),
	    "a line of more than %d bytes is no datagram",
	    PUMP_DATAGRAM_MAX);
	return blame(p, p->from, SK_IN, SK_ERROR);
}

enum sk_result
pump_read(struct pump *p, const char **data, size_t *len, struct err *e)
{
	enum sk_result r;

	while (!next_unit(p, len)) {
		if (atomic_load(&p->state) != PUMP_FLOWING)
			return SK_EOF;
		p->whole = false;
		r = fill(p, e);
		if (r != SK_OK && r != SK_EOF)
			return r;
	}
	*data = p->buf + p->start;
	return check_unit(p, *len, e);
}

static enum sk_result
flush_unit(struct pump *p, size_t len, struct err *e)
{
	enum sk_result r;
	size_t put;

	if (check_unit(p, len, e) != SK_OK)
		return SK_ERROR;
	r = send_unit(p, len, &put, e);
	if (r != SK_OK)
		return blame(p, p->to, SK_OUT, r);
	if (p->line_delay_ns > 0 && put > 0 &&
	    p->buf[p->start + put - 1] == '\n')
		sock_delay(p->to, SK_OUT, clock_after_ns(clock_now_ns(),
		    p->line_delay_ns));
	pump_taken(p, put);
	return SK_OK;
}

/* One read or one write. */
static enum sk_result
copy(struct pump *p, size_t *spent, struct err *e)
{
	size_t len;

	if (!next_unit(p, &len)) {
		p->whole = false;
		return fill(p, e);
	}
	*spent += len;
	return flush_unit(p, len, e);
}

/* The same inside the kernel. */
static enum sk_result
move(struct pump *p, size_t budget, size_t *spent, struct err *e)
{
	enum sk_result r;
	size_t moved;

	r = sock_move(p->from, p->to, budget, &moved, &p->waits, e);
	p->side = p->waits == p->from ? SK_IN : SK_OUT;
	atomic_store(&p->pending, sock_moving(p->from));
	if (r == SK_EOF)
		end_input(p);
	if (p->waits == p->to && reads_no_more(p, r, e))
		return SK_OK;
	if (r == SK_OK && moved > 0) {
		*spent += moved;
		atomic_fetch_add(&p->bytes, moved);
		note_amount(p, moved);
		widen(p);
		touch(p);
	}
	return r;
}

static bool
can_move(const struct pump *p)
{
	return !p->no_move && !p->drops && !p->crlf && p->line_delay_ns == 0 &&
	    p->unit == PUMP_STREAM &&
	    p->start == p->end && sock_can_move(p->from, p->to) &&
	    (p->littles < LITTLES || sock_is_file(p->from) ||
	    sock_moving(p->from) > 0);
}

static enum sk_result
flow(struct pump *p, size_t budget, size_t *spent, struct err *e)
{
	enum sk_result r;

	r = can_move(p) ? move(p, budget, spent, e) : copy(p, spent, e);
	return r == SK_EOF ? SK_OK : r;
}

/* SK_EOF: all is out. */
static enum sk_result
drain(struct pump *p, size_t *spent, struct err *e)
{
	size_t len;

	return next_unit(p, &len) ? copy(p, spent, e) : SK_EOF;
}

static enum sk_result
shut(struct pump *p, struct err *e)
{
	enum sk_result r = SK_OK;

	if (!p->hold && !p->drops)
		r = sock_shutdown_write(p->to, e);
	if (reads_no_more(p, r, e))
		r = SK_OK;
	if (r == SK_OK)
		enter(p, PUMP_SETTLING);
	return blame(p, p->to, SK_OUT, r);
}

static enum sk_result
settle(struct pump *p, struct err *e)
{
	enum sk_result r;

	r = p->drops ? SK_OK : sock_drain(p->to, e);
	if (r == SK_OK || is_refusal(p, r, e) || reads_no_more(p, r, e)) {
		enter(p, PUMP_DONE);
		return SK_OK;
	}
	return blame(p, p->to, SK_OUT, r);
}

enum sk_result
pump_step(struct pump *p, size_t budget, struct err *e)
{
	enum sk_result r = SK_OK;
	size_t spent = 0;

	for (; r == SK_OK && spent < budget; spent += ATTEMPT_COST)
		switch ((enum pump_state)atomic_load(&p->state)) {
		case PUMP_FLOWING:
			r = flow(p, budget, &spent, e);
			break;
		case PUMP_DRAINING:
			r = drain(p, &spent, e);
			if (r != SK_EOF)
				break;
			/* The owner lets go of the sink before it is shut. */
			enter(p, PUMP_SHUTTING);
			return SK_OK;
		case PUMP_SHUTTING:
			r = shut(p, e);
			break;
		case PUMP_SETTLING:
			r = settle(p, e);
			break;
		case PUMP_DONE:
			return SK_EOF;
		}
	return r;
}
