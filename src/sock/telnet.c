/*
 * Telnet over a connected stream: RFC 854, with every option refused. What is
 * negotiated is taken out of what is received and answered; in what is sent, a
 * byte 255 is doubled. Everything else goes through as it is: CR NUL, which
 * telnet sends for a bare CR, and the data before an urgent Data Mark too.
 */
#include "sock/impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	SE = 240,
	SB = 250,
	WILL = 251,
	WONT = 252,
	DO = 253,
	DONT = 254,
	IAC = 255,
	OPTIONS = 256,
	ANSWER = 3,			/* bytes of one */
	QUEUE_MAX = 32 * ANSWER,
	WIRE_MAX = 4096,		/* doubled at a time */
};

/* What the byte to come next is. */
enum telnet_state {
	STATE_DATA,
	STATE_COMMAND,			/* after IAC */
	STATE_OPTION,			/* after DO and its like */
	STATE_SUB,			/* after SB, up to IAC SE */
	STATE_SUB_COMMAND,
};

/* An option's number makes one bit. */
struct options {
	unsigned char bits[OPTIONS / 8];
};

/*
 * Who receives and who sends are two threads; lock guards all of it. What is
 * to be answered is a set, not a queue: whatever the peer sends, it does not
 * grow.
 */
struct telnet {
	pthread_mutex_t lock;
	enum telnet_state state;
	unsigned char verb;		/* DO and its like */
	bool shut;			/* nothing can be sent any more */
	bool failed;			/* sending answers has */
	unsigned char queued;		/* bytes in queue, to be sent next */
	unsigned char queue[QUEUE_MAX];
	struct options will, does;	/* WILL, DO that stand */
	struct options dont, wont;	/* answers to them, to be queued */
	unsigned short answers;		/* in these two */
};

static bool
is_in(const struct options *o, unsigned char option)
{
	return o->bits[option / 8] & 1 << option % 8;
}

static void
put_in(struct options *o, unsigned char option, bool in)
{
	unsigned char bit = (unsigned char)(1 << option % 8);

	if (in)
		o->bits[option / 8] |= bit;
	else
		o->bits[option / 8] &= (unsigned char)~bit;
}

void
telnet_begin(struct sock *s)
{
	struct telnet *t = calloc(1, sizeof(*t));
	int on = 1;

	s->priv = t;
	if (t == NULL)
		return;		/* for the first call to report */
	(void)pthread_mutex_init(&t->lock, NULL);
	/* A Data Mark is urgent, and would be missing behind its IAC. */
	(void)setsockopt(s->fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

static void
telnet_release(struct sock *s)
{
	struct telnet *t = s->priv;

	if (t == NULL)
		return;
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

/* NULL with *e filled: there was no memory for it. */
static struct telnet *
enter(struct sock *s, struct err *e)
{
	struct telnet *t = s->priv;

	if (t == NULL)
		err_no_memory(e);
	else
		(void)pthread_mutex_lock(&t->lock);
	return t;
}

static enum sk_result
leave(struct telnet *t, enum sk_result r)
{
	(void)pthread_mutex_unlock(&t->lock);
	return r;
}

/* A request is answered once, until the peer has taken it back. */
static void
refuse(struct telnet *t, unsigned char option)
{
	bool does = t->verb == DO || t->verb == DONT;
	struct options *stands = does ? &t->does : &t->will;
	struct options *answer = does ? &t->wont : &t->dont;
	bool wants = t->verb == DO || t->verb == WILL;

	if (wants && !is_in(stands, option) && !is_in(answer, option)) {
		put_in(answer, option, true);
		t->answers++;
	}
	put_in(stands, option, wants);
}

/* Follow one byte; true if it is data. */
static bool
follow(struct telnet *t, unsigned char c)
{
	switch (t->state) {
	case STATE_DATA:
		if (c != IAC)
			return true;
		t->state = STATE_COMMAND;
		break;
	case STATE_COMMAND:
		t->state = STATE_DATA;
		if (c == IAC)
			return true;
		if (c == SB)
			t->state = STATE_SUB;
		else if (c >= WILL) {
			t->state = STATE_OPTION;
			t->verb = c;
		}
		break;
	case STATE_OPTION:
		t->state = STATE_DATA;
		refuse(t, c);
		break;
	case STATE_SUB:
		if (c == IAC)
			t->state = STATE_SUB_COMMAND;
		break;
	case STATE_SUB_COMMAND:
		t->state = c == SE ? STATE_DATA : STATE_SUB;
		break;
	}
	return false;
}

/* Take the data out of len bytes, to the front; returns its length. */
static size_t
filter(struct telnet *t, unsigned char *buf, size_t len)
{
	unsigned char *iac;
	size_t i, count = 0;

	if (t->state == STATE_DATA) {
		iac = memchr(buf, IAC, len);
		if (iac == NULL)
			return len;
		count = (size_t)(iac - buf);
	}
	for (i = count; i < len; i++)
		if (follow(t, buf[i]))
			buf[count++] = buf[i];
	return count;
}

/* Whole answers, as many as there is room for. */
static void
queue_answers(struct telnet *t, struct options *answer, unsigned char verb)
{
	unsigned option;

	for (option = 0; option < OPTIONS && t->answers > 0 &&
	    t->queued + ANSWER <= QUEUE_MAX; option++) {
		if (!is_in(answer, (unsigned char)option))
			continue;
		t->queue[t->queued++] = IAC;
		t->queue[t->queued++] = verb;
		t->queue[t->queued++] = (unsigned char)option;
		put_in(answer, (unsigned char)option, false);
		t->answers--;
	}
}

/* Send what is queued, and what is to be answered. */
static enum sk_result
flush(struct sock *s, struct telnet *t, struct err *e)
{
	enum sk_result r;
	size_t put;

	if (t->failed) {
		err_set(e, ERR_BROKEN, ECONNRESET, s->name, "sending");
		return SK_ERROR;
	}
	while (!t->shut && (t->queued > 0 || t->answers > 0)) {
		queue_answers(t, &t->wont, WONT);
		queue_answers(t, &t->dont, DONT);
		r = transport_stream.try_send(s, t->queue, t->queued, &put, e);
		if (r != SK_OK) {
			t->failed = r == SK_ERROR;
			return r;
		}
		t->queued = (unsigned char)(t->queued - put);
		memmove(t->queue, t->queue + put, t->queued);
	}
	return SK_OK;
}

/*
 * Answer as far as it is possible now. If sending fails, that is for who sends
 * to report: there may be more to receive. A peer that has ended its direction
 * negotiates no more; most have closed by then, and would reset us for it.
 */
static void
answer_peer(struct sock *s, struct telnet *t)
{
	struct err ignored = { 0 };
	char byte;

	if (t->answers > 0 &&
	    recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
		t->dont = t->wont = (struct options){ { 0 } };
		t->answers = 0;
	}
	(void)flush(s, t, &ignored);
	err_clear(&ignored);
}

static enum sk_result
telnet_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	struct telnet *t = enter(s, e);
	enum sk_result r;
	size_t raw = 0;

	if (t == NULL)
		return SK_ERROR;
	r = transport_stream.try_recv(s, buf, len, &raw, e);
	if (r == SK_OK) {
		*got = filter(t, buf, raw);
		if (*got == 0)
			r = SK_WANT_READ;
	}
	answer_peer(s, t);
	return leave(t, r);
}

/* Who waits for more to receive has the answers to send meanwhile. */
static size_t
telnet_pollfds(const struct sock *s, enum sk_result want, struct pollfd *fds)
{
	struct telnet *t = s->priv;
	bool pending = false;

	if (t != NULL) {
		(void)pthread_mutex_lock(&t->lock);
		pending = (t->queued > 0 || t->answers > 0) && !t->shut &&
		    !t->failed;
		(void)pthread_mutex_unlock(&t->lock);
	}
	fds[0] = (struct pollfd){ .fd = s->fd, .events = POLLOUT };
	if (want == SK_WANT_READ)
		fds[0].events = (short)(POLLIN | (pending ? POLLOUT : 0));
	return 1;
}

/*
 * Send bytes with each IAC doubled. Where the kernel takes the first of the
 * two alone, the second is sent before anything else.
 */
static enum sk_result
send_doubled(struct sock *s, struct telnet *t, const unsigned char *buf,
    size_t len, size_t *put, struct err *e)
{
	unsigned char wire[WIRE_MAX];
	size_t i, count = 0, sent = 0;
	enum sk_result r;

	for (i = 0; i < len && count + 2 <= sizeof(wire); i++) {
		wire[count++] = buf[i];
		if (buf[i] == IAC)
			wire[count++] = IAC;
	}
	r = transport_stream.try_send(s, wire, count, &sent, e);
	if (r != SK_OK)
		return r;
	for (i = 0, count = 0; count < sent; i++)
		count += buf[i] == IAC ? 2 : 1;
	if (count > sent)
		t->queue[t->queued++] = IAC;
	*put = i;
	return SK_OK;
}

static enum sk_result
telnet_try_send(struct sock *s, const void *buf, size_t len, size_t *put,
    struct err *e)
{
	struct telnet *t = enter(s, e);
	enum sk_result r;

	if (t == NULL)
		return SK_ERROR;
	r = flush(s, t, e);
	if (r != SK_OK)
		return leave(t, r);
	if (memchr(buf, IAC, len) == NULL)
		r = transport_stream.try_send(s, buf, len, put, e);
	else
		r = send_doubled(s, t, buf, len, put, e);
	return leave(t, r);
}

/* The answers first, then a function of the plain stream. */
static enum sk_result
flush_and(struct sock *s, bool shuts,
    enum sk_result (*function)(struct sock *, struct err *), struct err *e)
{
	struct telnet *t = enter(s, e);
	enum sk_result r;

	if (t == NULL)
		return SK_ERROR;
	r = flush(s, t, e);
	if (r == SK_OK)
		r = function(s, e);
	if (r == SK_OK && shuts)
		t->shut = true;
	return leave(t, r);
}

static enum sk_result
telnet_try_shutdown(struct sock *s, struct err *e)
{
	return flush_and(s, true, transport_stream.try_shutdown, e);
}

static enum sk_result
telnet_try_drain(struct sock *s, struct err *e)
{
	return flush_and(s, false, transport_stream.try_drain, e);
}

static enum sk_result
telnet_try_probe(struct sock *s, struct err *e)
{
	return transport_stream.try_probe(s, e);
}

static enum sk_result
telnet_try_next(struct sock *s, struct err *e)
{
	return transport_stream.try_next(s, e);
}

const struct transport transport_telnet = {
	.try_recv = telnet_try_recv,
	.try_send = telnet_try_send,
	.try_shutdown = telnet_try_shutdown,
	.try_drain = telnet_try_drain,
	.pollfds = telnet_pollfds,
	.try_probe = telnet_try_probe,
	.try_next = telnet_try_next,
	.release = telnet_release,
};
