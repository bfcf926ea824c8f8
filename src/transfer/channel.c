#include "transfer/channel.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum {
	PAGES_SIZE = (CHANNEL_START + CHANNEL_ROOM + CHANNEL_PAGE - 1) /
	    CHANNEL_PAGE * CHANNEL_PAGE,
};

bool
channel_open(struct channel *c, struct sock *peer, enum wire_role from,
    struct err *e)
{
	*c = (struct channel){ .peer = peer, .from = from, .silence_ns = -1 };
	c->in = aligned_alloc(CHANNEL_PAGE, PAGES_SIZE);
	c->out = aligned_alloc(CHANNEL_PAGE, PAGES_SIZE);
	c->out_start = c->out_end = CHANNEL_START;
	c->sent_ns = clock_now_ns();
	if (c->in == NULL || c->out == NULL) {
		err_no_memory(e);
		return false;
	}
	return true;
}

void
channel_close(struct channel *c)
{
	free(c->in);
	free(c->out);
	c->in = c->out = NULL;
}

/* Receive up to max bytes more behind what is there. */
static enum sk_result
fill(struct channel *c, size_t max, struct err *e)
{
	enum sk_result r;
	size_t got;

	if (!c->waiting)
		sock_set_side_deadline(c->peer, SK_IN, c->silence_ns < 0 ?
		    CLOCK_NEVER : clock_after_ns(clock_now_ns(),
		    c->silence_ns));
	r = sock_recv(c->peer, c->in + c->in_end, max, &got, e);
	c->waiting = r != SK_OK;
	c->heard |= got > 0;
	c->in_end += got;
	return r;
}

/*
 * The same for frames: what is there goes to the front, but so that the content
 * behind the header of a DATA frame begins at a page. All of it and the header
 * behind it come at once, or each frame would end in a read and a write of 16
 * bytes, and half of the others would go across pages.
 */
static enum sk_result
fill_frames(struct channel *c, struct err *e)
{
	size_t len = c->in_end - c->in_start;

	memmove(c->in + CHANNEL_START, c->in + c->in_start, len);
	c->in_start = CHANNEL_START;
	c->in_end = CHANNEL_START + len;
	return fill(c, WIRE_HEADER + CHANNEL_BUFFER + WIRE_HEADER - len, e);
}

/* The same for the content of a DATA frame, and the header behind it. */
static enum sk_result
fill_data(struct channel *c, struct err *e)
{
	size_t max = CHANNEL_BUFFER + WIRE_HEADER;

	if (max > c->data_left + WIRE_HEADER)
		max = c->data_left + WIRE_HEADER;
	c->in_start = c->in_end = c->data_taken % CHANNEL_PAGE;
	return fill(c, max, e);
}

static enum sk_result
foreign(struct channel *c, struct err *e)
{
	c->resembles = wire_resembles(c->in + c->in_start,
	    c->in_end - c->in_start, c->from);
	err_set(e, ERR_PEER, 0, sock_name(c->peer), "the peer does not speak "
	    "haul's transfer protocol; use --raw");
	return SK_ERROR;
}

static enum sk_result
damaged(struct channel *c, struct err *e)
{
	err_set(e, ERR_PEER, 0, sock_name(c->peer),
	    "what arrived is damaged, or no transfer");
	return SK_ERROR;
}

enum sk_result
channel_greeting(struct channel *c, struct wire_preamble *p, struct err *e)
{
	const unsigned char *in = c->in + c->in_start;
	enum sk_result r;
	size_t len;

	/* One byte may be enough to see that it is something else. */
	while ((len = c->in_end - c->in_start) < WIRE_PREAMBLE) {
		if (!wire_is_preamble(in, len, c->from))
			return foreign(c, e);
		r = fill_frames(c, e);
		if (r == SK_EOF)
			return foreign(c, e);
		if (r != SK_OK)
			return r;
		in = c->in + c->in_start;
	}
	if (!wire_is_preamble(in, len, c->from) || !wire_get_preamble(in, p))
		return foreign(c, e);
	c->in_start += WIRE_PREAMBLE;
	return SK_OK;
}

/* The rest of a DATA frame, as far as it is there. */
static enum sk_result
next_piece(struct channel *c, struct frame *f, struct err *e)
{
	enum sk_result r;

	if (c->in_start == c->in_end && (r = fill_data(c, e)) != SK_OK)
		return r;
	f->type = WIRE_DATA;
	f->payload = c->in + c->in_start;
	f->len = c->in_end - c->in_start;
	if (f->len > c->data_left)
		f->len = c->data_left;
	return SK_OK;
}

/* SK_OK once so many bytes are there. */
static enum sk_result
gather(struct channel *c, size_t size, struct err *e)
{
	enum sk_result r;

	while (c->in_end - c->in_start < size)
		if ((r = fill_frames(c, e)) != SK_OK)
			return r;
	return SK_OK;
}

enum sk_result
channel_next(struct channel *c, struct frame *f, struct err *e)
{
	struct wire_header h;
	enum sk_result r;
	const unsigned char *header;

	if (c->data_left > 0)
		return next_piece(c, f, e);
	if ((r = gather(c, WIRE_HEADER, e)) != SK_OK)
		return r;
	if (!wire_get_header(c->in + c->in_start, c->from, &h))
		return damaged(c, e);
	if (h.type != WIRE_DATA &&
	    (r = gather(c, WIRE_HEADER + h.length, e)) != SK_OK)
		return r;
	header = c->in + c->in_start;
	if (!wire_check(&h, header + WIRE_HEADER))
		return damaged(c, e);
	c->in_start += WIRE_HEADER;
	if (h.type == WIRE_DATA) {
		c->data_left = h.length;
		c->data_taken = 0;
		return next_piece(c, f, e);
	}
	f->type = h.type;
	f->payload = header + WIRE_HEADER;
	f->len = h.length;
	c->in_start += h.length;
	return SK_OK;
}

bool
channel_has_frame(const struct channel *c)
{
	size_t len = c->in_end - c->in_start;
	struct wire_header h;

	if (c->data_left > 0)
		return len > 0;
	if (len < WIRE_HEADER)
		return false;
	if (!wire_get_header(c->in + c->in_start, c->from, &h))
		return true;
	return len >= WIRE_HEADER + (h.type == WIRE_DATA ? 1 : h.length);
}

void
channel_take(struct channel *c, size_t len)
{
	c->in_start += len;
	c->data_left -= (uint32_t)len;
	c->data_taken += (uint32_t)len;
}

enum sk_result
channel_discard(struct channel *c, struct err *e)
{
	c->in_start = c->in_end = 0;
	return fill(c, CHANNEL_BUFFER, e);
}

size_t
channel_pending(const struct channel *c)
{
	return c->out_end - c->out_start;
}

bool
channel_is_going_out(const struct channel *c)
{
	return c->out_start > CHANNEL_START;
}

unsigned char *
channel_end(struct channel *c)
{
	return c->out + c->out_end;
}

void
channel_put(struct channel *c, size_t size)
{
	c->out_end += size;
}

unsigned char *
channel_new_buffer(void)
{
	return aligned_alloc(CHANNEL_PAGE, PAGES_SIZE);
}

void
channel_exchange(struct channel *c, unsigned char **buffer)
{
	unsigned char *old = c->out;

	c->out = *buffer;
	*buffer = old;
}

enum sk_result
channel_flush(struct channel *c, struct err *e)
{
	enum sk_result r;
	size_t put;

	while (c->out_start < c->out_end) {
		r = sock_send(c->peer, c->out + c->out_start,
		    c->out_end - c->out_start, &put, e);
		if (r != SK_OK)
			return r;
		c->out_start += put;
		c->sent_ns = clock_now_ns();
	}
	c->out_start = c->out_end = CHANNEL_START;
	return SK_OK;
}
