#include "feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sock/impl.h"
#include "tap.h"

enum {
	LONG_NAME = 255,
	/* So often the loop has come by in vain: the side is idle. */
	QUIET = 4,
};

unsigned char feed_content[FEED_CONTENT];

static char long_name[LONG_NAME + 2];

const char *const feed_names[] = {
	"a", "b", "c", "d", "d/a", "d/e", "d/e/f", "l", "l/a", "there",
	"there/x", "partial", "link", "link/x", "../out/x", "/tmp/x", "..",
	"d/../../out/secret", ".a.haul-part", "fifo", "", "../out", "out",
	long_name, long_name + 1, "a\nb\x1b[2J", "\xff\xfe",
};

const size_t feed_name_count = sizeof(feed_names) / sizeof(feed_names[0]);

static void
die(const char *why)
{
	(void)fprintf(stderr, "fuzz: %s\n", why);
	abort();
}

/* What the side that is tested tells of. */

static void
told(void *context, const struct err *why)
{
	char text[ERR_WHO_MAX + ERR_TEXT_MAX + 128];

	(void)context;
	if (why->code == ERR_NONE ||
	    strlen(err_format(why, text, sizeof(text))) == 0)
		die("a failure without a reason");
}

static void
arrived(void *context, const char *name,
    const unsigned char digest[DIGEST_SIZE])
{
	char text[DIGEST_TEXT];

	(void)context;
	(void)digest_format(digest, text);
	if (strlen(name) > WIRE_NAME_MAX)
		die("a long name");
}

const struct transfer_config feed_config = {
	.mode = SK_NONBLOCKING,
	.silence_ns = 60 * CLOCK_SEC,
	.deadline_ns = CLOCK_NEVER,
	.events = { .failed = told, .skipped = told, .arrived = arrived,
	    .status_fd = -1 },
};

/* What it says. */

static bool
is_sound(const struct wire_header *h, const unsigned char *p)
{
	struct wire_begin begin;
	struct wire_offer offer;
	struct wire_close close;
	struct wire_end end;
	struct wire_confirm confirm;
	struct wire_verdict verdict;
	struct wire_reason reason;
	uint64_t number;

	switch (h->type) {
	case WIRE_BEGIN:
		return wire_get_begin(p, h->length, &begin);
	case WIRE_OFFER:
		return wire_get_offer(p, h->length, &offer);
	case WIRE_FROM:
	case WIRE_HOLE:
	case WIRE_TAKE:
	case WIRE_HAVE:
		return wire_get_number(p, h->length, &number);
	case WIRE_CLOSE:
		return wire_get_close(p, h->length, &close);
	case WIRE_END:
		return wire_get_end(p, h->length, &end);
	case WIRE_CONFIRM:
		return wire_get_confirm(p, h->length, &confirm);
	case WIRE_VERDICT:
		return wire_get_verdict(p, h->length, &verdict);
	case WIRE_DROP:
	case WIRE_ABORT:
	case WIRE_REFUSE:
	case WIRE_FAILED:
		return wire_get_reason(p, h->length, h->type, &reason);
	case WIRE_DATA:
	case WIRE_BYE:
	case WIRE_KEEPALIVE:
	case WIRE_GO:
	case WIRE_CHECK:
		break;
	}
	return true;
}

/* The next whole preamble or frame in the buffer; how long it is, or 0. */
static size_t
hear_one(struct ear *e)
{
	struct wire_preamble preamble;
	struct wire_header h;
	const unsigned char *payload = e->buf + WIRE_HEADER;

	if (!e->greeted) {
		if (e->len < WIRE_PREAMBLE)
			return 0;
		if (!wire_is_preamble(e->buf, e->len, e->role) ||
		    !wire_get_preamble(e->buf, &preamble))
			die("no preamble");
		e->greeted = true;
		return WIRE_PREAMBLE;
	}
	if (e->len < WIRE_HEADER)
		return 0;
	if (!wire_get_header(e->buf, e->role, &h))
		die("no header");
	if (e->aborted || (e->left && h.type != WIRE_ABORT))
		die("a frame after the last one");
	if (h.type == WIRE_DATA) {
		e->data_left = h.length;
		return WIRE_HEADER;
	}
	if (e->len < WIRE_HEADER + h.length)
		return 0;
	if (!wire_check(&h, payload) || !is_sound(&h, payload))
		die("a bad payload");
	e->aborted = h.type == WIRE_ABORT;
	e->left = h.type == WIRE_BYE;
	if (h.type == WIRE_END)
		(void)wire_get_end(payload, h.length, &e->end);
	return WIRE_HEADER + h.length;
}

static void
hear(struct ear *e, const unsigned char *p, size_t len)
{
	size_t some;

	while (len > 0) {
		if (e->data_left > 0) {
			some = len < e->data_left ? len : e->data_left;
			e->data_left -= (uint32_t)some;
			p += some;
			len -= some;
			continue;
		}
		e->buf[e->len++] = *p++;
		len--;
		if (hear_one(e) > 0)
			e->len = 0;
	}
}

/* What the input says. */

static unsigned
take_byte(struct feed *f)
{
	return f->pos < f->size ? f->in[f->pos++] : 0;
}

static unsigned
take_two(struct feed *f)
{
	unsigned high = take_byte(f);

	return high << 8 | take_byte(f);
}

/* A frame of any type and length, with right checks. */
static void
put_frame(struct feed *f, unsigned type, const unsigned char *payload,
    size_t len, uint32_t length)
{
	uint64_t check = type == WIRE_DATA ? 0 : digest_check(payload, len);
	unsigned char *p = f->out;
	int i;

	memset(p, 0, WIRE_HEADER);
	p[0] = (unsigned char)type;
	for (i = 0; i < 4; i++) {
		p[4 + i] = (unsigned char)(length >> (24 - 8 * i));
		p[8 + i] = (unsigned char)(check >> (24 - 8 * i));
	}
	check = digest_check(p, 12);
	for (i = 0; i < 4; i++)
		p[12 + i] = (unsigned char)(check >> (24 - 8 * i));
	if (len > 0)
		memcpy(p + WIRE_HEADER, payload, len);
	f->out_len = WIRE_HEADER + len;
}

/* Entries without data are over as soon as it is their turn. */
static void
pass(struct feed *f, uint64_t size, const unsigned char *content)
{
	static const unsigned char nothing[DIGEST_SIZE];

	if (f->head < f->tail)
		wire_chain(f->chain, f->offers[f->head++ % FEED_OFFERS],
		    size, content != NULL ? content : nothing);
	while (f->head < f->tail && !f->is_file[f->head % FEED_OFFERS])
		wire_chain(f->chain, f->offers[f->head++ % FEED_OFFERS], 0,
		    nothing);
	digest_reset(f->digest);
	f->content = 0;
}

/* Keep a sender's accounts of a frame that is put. */
static void
account(struct feed *f, unsigned type, const unsigned char *p, size_t len)
{
	struct wire_offer o;
	uint64_t number;

	if (type == WIRE_OFFER && wire_get_offer(p, len, &o)) {
		f->is_file[f->tail % FEED_OFFERS] =
		    o.kind == WIRE_KIND_FILE || o.kind == WIRE_KIND_STREAM;
		digest_of(p, len, f->offers[f->tail++ % FEED_OFFERS]);
		f->end.entries++;
		if (f->head + 1 == f->tail &&
		    !f->is_file[f->head % FEED_OFFERS])
			pass(f, 0, NULL);
	} else if (type == WIRE_DATA) {
		digest_add(f->digest, p, len);
		f->content += len;
	} else if (type == WIRE_HOLE && wire_get_number(p, len, &number) &&
	    number <= WIRE_HOLE_MAX) {
		digest_add_zeros(f->digest, number);
		f->content += number;
	} else if (type == WIRE_DROP) {
		f->end.failed++;
		pass(f, 0, NULL);
	}
}

/* A frame with any payload; large holes only cost time. */
static void
put_any(struct feed *f, unsigned type)
{
	size_t len = take_two(f);
	unsigned char hole[8] = { 0 };
	const unsigned char *payload = f->in + f->pos;
	uint64_t number;

	if (len > f->size - f->pos)
		len = f->size - f->pos;
	f->pos += len;
	if (type == WIRE_HOLE && wire_get_number(payload, len, &number) &&
	    number <= WIRE_HOLE_MAX) {
		memcpy(hole + 6, payload + 6, 2);
		payload = hole;
	}
	put_frame(f, type, payload, len, (uint32_t)len);
	account(f, type, payload, len);
}

static void
put_preamble(struct feed *f, unsigned version, unsigned silence_ms)
{
	const struct wire_preamble p = { .version = (uint16_t)version,
	    .silence_ms = silence_ms };

	wire_put_preamble(f->out, f->role, &p);
	f->out_len = WIRE_PREAMBLE;
}

static void
put_bytes(struct feed *f)
{
	size_t len = take_byte(f);

	if (len > f->size - f->pos)
		len = f->size - f->pos;
	memcpy(f->out, f->in + f->pos, len);
	f->pos += len;
	f->out_len = len;
}

static void
put_header(struct feed *f)
{
	unsigned type = take_byte(f), high = take_two(f);

	put_frame(f, type, NULL, 0, (uint32_t)high << 16 | take_two(f));
}

static void
put_offer(struct feed *f)
{
	unsigned kind = take_byte(f);
	const char *name = feed_names[take_byte(f) % feed_name_count];
	uint64_t size = take_two(f);
	struct wire_offer o = { .kind = (enum wire_kind)(kind % 8),
	    .mode = 0600 | kind >> 3, .mtime_s = (int64_t)size,
	    .name = name, .name_len = strlen(name) };

	if (o.kind == WIRE_KIND_FILE)
		o.size = o.stored = size;
	if (o.kind == WIRE_KIND_STREAM)
		o.size = o.stored = WIRE_UNKNOWN;
	if (o.kind == WIRE_KIND_LINK) {
		o.target = feed_names[size % feed_name_count];
		o.target_len = strlen(o.target);
	}
	f->out_len = wire_put_offer(f->out, &o);
	account(f, WIRE_OFFER, f->out + WIRE_HEADER,
	    f->out_len - WIRE_HEADER);
}

static void
put_close(struct feed *f, unsigned wrong)
{
	struct wire_close c = { .size = f->content };

	digest_get(f->digest, c.digest);
	c.digest[wrong % DIGEST_SIZE] ^= (unsigned char)wrong;
	f->out_len = wire_put_close(f->out, &c);
	f->end.bytes += c.size;
	pass(f, c.size, c.digest);
}

static void
put_end(struct feed *f)
{
	memcpy(f->end.digest, f->chain, DIGEST_SIZE);
	f->out_len = wire_put_end(f->out, &f->end);
}

static void
put_check(struct feed *f)
{
	unsigned char digest[DIGEST_SIZE];
	size_t from = take_byte(f) % 16, len = take_two(f) % FEED_CONTENT;

	if (from + len > FEED_CONTENT)
		len = FEED_CONTENT - from;
	digest_of(feed_content + from, len, digest);
	f->out_len = wire_put_check(f->out, digest);
}

static void
put_reason(struct feed *f, enum wire_type type)
{
	const struct wire_reason r = { .entry = take_byte(f),
	    .code = 1 + take_byte(f) % 9, .text = "a reason", .text_len = 8 };

	f->out_len = wire_put_reason(f->out, type, &r);
	account(f, type, f->out + WIRE_HEADER, f->out_len - WIRE_HEADER);
}

static void
put_confirm(struct feed *f)
{
	const struct wire_confirm c = { .entries = take_byte(f),
	    .bytes = take_two(f) };

	f->out_len = wire_put_confirm(f->out, &c);
}

static void
put_verdict(struct feed *f)
{
	struct wire_verdict v = { .entries = f->ear.end.entries,
	    .failed = take_byte(f) };

	memcpy(v.digest, f->ear.end.digest, DIGEST_SIZE);
	f->out_len = wire_put_verdict(f->out, &v);
}

static void
put_data(struct feed *f)
{
	size_t from = f->content % FEED_CONTENT, len = take_two(f);

	if (len > FEED_CONTENT - from)
		len = FEED_CONTENT - from;
	put_frame(f, WIRE_DATA, feed_content + from, len, (uint32_t)len);
	account(f, WIRE_DATA, feed_content + from, len);
}

static void
put_number(struct feed *f, enum wire_type type, uint64_t number)
{
	f->out_len = wire_put_number(f->out, type, number);
	account(f, type, f->out + WIRE_HEADER, f->out_len - WIRE_HEADER);
}

static void
put_begin(struct feed *f)
{
	const struct wire_begin b = { .entries = WIRE_UNKNOWN,
	    .shape = (enum wire_shape)(take_byte(f) % 5),
	    .bytes = WIRE_UNKNOWN };

	f->out_len = wire_put_begin(f->out, &b);
}

static void
put_record(struct feed *f)
{
	unsigned op = take_byte(f);

	switch (op) {
	case FEED_PREAMBLE:
		put_preamble(f, WIRE_VERSION, 0);
		break;
	case FEED_VERSION:
		put_preamble(f, take_byte(f), take_two(f));
		break;
	case FEED_BYTES:
		put_bytes(f);
		break;
	case FEED_LENGTH:
		put_header(f);
		break;
	case FEED_BEGIN:
		put_begin(f);
		break;
	case FEED_OFFER:
		put_offer(f);
		break;
	case FEED_DATA:
		put_data(f);
		break;
	case FEED_HOLE:
		put_number(f, WIRE_HOLE, take_two(f));
		break;
	case FEED_CLOSE:
		put_close(f, 0);
		break;
	case FEED_WRONG:
		put_close(f, take_byte(f));
		break;
	case FEED_DROP:
		put_reason(f, WIRE_DROP);
		break;
	case FEED_END:
		put_end(f);
		break;
	case FEED_BYE:
		f->out_len = wire_put_empty(f->out, WIRE_BYE);
		break;
	case FEED_GO:
		f->out_len = wire_put_empty(f->out, WIRE_GO);
		break;
	case FEED_TAKE:
		put_number(f, WIRE_TAKE, take_two(f));
		break;
	case FEED_HAVE:
		put_number(f, WIRE_HAVE, take_two(f));
		break;
	case FEED_CHECK:
		put_check(f);
		break;
	case FEED_REFUSE:
		put_reason(f, WIRE_REFUSE);
		break;
	case FEED_FAILED:
		put_reason(f, WIRE_FAILED);
		break;
	case FEED_CONFIRM:
		put_confirm(f);
		break;
	case FEED_VERDICT:
		put_verdict(f);
		break;
	default:
		put_any(f, op & 0x7f);
	}
}

/* Make out hold something, if there is anything left. */
static void
refill(struct feed *f)
{
	while (f->out_pos == f->out_len && f->pos < f->size) {
		f->out_pos = f->out_len = 0;
		if (!(f->flags & FEED_RAW)) {
			put_record(f);
			continue;
		}
		f->out_len = f->size - f->pos;
		if (f->out_len > sizeof(f->out))
			f->out_len = sizeof(f->out);
		memcpy(f->out, f->in + f->pos, f->out_len);
		f->pos += f->out_len;
	}
}

/* The transport. */

static size_t
piece(struct feed *f, size_t len)
{
	static const size_t most[] = { 0, 4096, 40, 3 };
	size_t max = most[(f->flags & FEED_PIECES) >> 2];

	if (max == 0 || len < 2)
		return len;
	max = 1 + (size_t)(tap_random(&f->random) % max);
	return len < max ? len : max;
}

/* Not now; the loop comes back at once. */
static enum sk_result
put_off(struct sock *s, enum sk_side side, enum sk_result want)
{
	sock_pause(s, side, clock_now_ns(), true);
	return want;
}

static enum sk_result
feed_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	struct feed *f = s->priv;

	(void)e;
	if ((f->flags & FEED_GATED) && f->quiet < QUIET) {
		f->quiet++;
		return put_off(s, SK_IN, SK_WANT_READ);
	}
	refill(f);
	if (f->out_pos == f->out_len)
		return SK_EOF;
	if (len > f->out_len - f->out_pos)
		len = f->out_len - f->out_pos;
	*got = piece(f, len);
	memcpy(buf, f->out + f->out_pos, *got);
	f->out_pos += *got;
	/* The side may have an answer to it. */
	if (f->out_pos == f->out_len)
		f->quiet = 0;
	return SK_OK;
}

static enum sk_result
feed_try_send(struct sock *s, const void *buf, size_t len, size_t *put,
    struct err *e)
{
	struct feed *f = s->priv;

	(void)e;
	if ((f->flags & FEED_SLOW) && tap_random(&f->random) % 4 == 0)
		return put_off(s, SK_OUT, SK_WANT_WRITE);
	*put = f->flags & FEED_SLOW ? piece(f, len) : len;
	hear(&f->ear, buf, *put);
	f->quiet = 0;
	return SK_OK;
}

static enum sk_result
feed_try_shutdown(struct sock *s, struct err *e)
{
	struct feed *f = s->priv;

	(void)e;
	if (f->ear.len > 0 || f->ear.data_left > 0)
		die("the end within a frame");
	return SK_OK;
}

static size_t
feed_pollfds(const struct sock *s, enum sk_result want, struct pollfd *fds)
{
	(void)s;
	(void)want;
	(void)fds;
	return 0;
}

static const struct transport transport_feed = {
	.try_recv = feed_try_recv,
	.try_send = feed_try_send,
	.try_shutdown = feed_try_shutdown,
	.pollfds = feed_pollfds,
};

static void
fill_content(void)
{
	size_t i;

	if (feed_content[1] != 0)
		return;
	for (i = 0; i < FEED_CONTENT; i++)
		feed_content[i] = (unsigned char)(i * 7 + i / 256);
	memset(long_name, 'n', sizeof(long_name) - 1);
}

struct sock *
feed_start(struct feed *f, enum wire_role role, const unsigned char *in,
    size_t size)
{
	struct err e = { 0 };
	struct sock *s;

	fill_content();
	memset(f, 0, sizeof(*f));
	f->role = role;
	f->ear.role = role == WIRE_SENDER ? WIRE_RECEIVER : WIRE_SENDER;
	f->in = in;
	f->size = size;
	f->pos = FEED_START;
	f->flags = in[FEED_FLAGS];
	f->random = in[FEED_SEED];
	f->digest = digest_new(&e);
	s = sock_make(&transport_feed, -1, SK_NONBLOCKING, "peer", &e);
	if (f->digest == NULL || s == NULL)
		die("no memory");
	s->priv = f;
	return s;
}

void
feed_end(struct feed *f)
{
	digest_free(f->digest);
}
