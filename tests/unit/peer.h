#ifndef HAUL_TESTS_PEER_H
#define HAUL_TESTS_PEER_H

#include <pthread.h>
#include <sys/socket.h>

#include "net.h"
#include "transfer/place.h"
#include "transfer/transfer.h"
#include "transfer/wire.h"

/*
 * What the tests of transfers share: a side of a transfer that runs in a thread
 * of its own, and a fake peer that is told each byte that it says.
 */
enum {
	PEER_LIMIT_MS = 20 * 1000,	/* a test never hangs */
	PEER_PAYLOAD = WIRE_DATA_MAX,
	PEER_OFFERS = 8,
};

/* A real side. Zero is non-blocking, 10 s of silence, and to receive. */
struct side {
	enum sk_mode mode;
	int64_t silence_ms;
	struct place *place;		/* it receives there... */
	char *const *operands;		/* ...or sends these */
	struct sock *peer;

	enum sk_result r;
	struct err err;
	struct transfer_status status;
	struct transfer_result result;
	int failed, skipped, arrived;	/* what it has told of */
	char failure[512];		/* the first of what failed */
	int code;			/* the exit status of haul */
	pthread_t thread;
	bool started;
};

static inline void
side_failed(void *context, const struct err *why)
{
	struct side *s = context;

	if (s->failed++ == 0)
		(void)err_format(why, s->failure, sizeof(s->failure));
}

static inline void
side_skipped(void *context, const struct err *why)
{
	struct side *s = context;

	(void)why;
	s->skipped++;
}

static inline void
side_arrived(void *context, const char *name,
    const unsigned char digest[DIGEST_SIZE])
{
	struct side *s = context;

	(void)name;
	(void)digest;
	s->arrived++;
}

static inline void
side_run(struct side *s)
{
	const struct transfer_config config = { .mode = s->mode,
	    .silence_ns = (s->silence_ms > 0 ? s->silence_ms : 10 * 1000) *
	    CLOCK_MS, .deadline_ns = clock_now_ns() + PEER_LIMIT_MS *
	    CLOCK_MS, .events = { .context = s, .failed = side_failed,
	    .skipped = side_skipped, .arrived = side_arrived,
	    .status_fd = -1 } };

	err_clear(&s->err);
	memset(&s->result, 0, sizeof(s->result));
	s->failed = s->skipped = s->arrived = 0;
	s->failure[0] = '\0';
	transfer_status_init(&s->status);
	if (s->operands != NULL)
		s->r = transfer_send(&config, s->operands, &s->peer,
		    &s->status, &s->result, &s->err);
	else
		s->r = transfer_receive(&config, s->place, &s->peer,
		    &s->status, &s->result, &s->err);
	sock_abort(&s->peer);
	transfer_status_destroy(&s->status);
	if (s->r == SK_OK)
		s->code = 0;
	else
		s->code = s->r == SK_ERROR ? (int)s->err.code : -1;
}

static inline void *
side_thread(void *arg)
{
	side_run(arg);
	return NULL;
}

static inline void
side_start(struct side *s)
{
	s->started = s->peer != NULL &&
	    pthread_create(&s->thread, NULL, side_thread, s) == 0;
}

static inline void
side_join(struct side *s)
{
	if (s->started)
		(void)pthread_join(s->thread, NULL);
	else
		s->code = -1;
	s->started = false;
}

/* What is left of a reason. */
static inline void
side_end(struct side *s)
{
	err_clear(&s->err);
}

/* To be called when a test of it has failed. */
static inline void
side_note(const struct side *s, const char *what)
{
	char text[ERR_WHO_MAX + ERR_TEXT_MAX + 128];

	tap_note("%s: status %d: %s", what, s->code,
	    err_format(&s->err, text, sizeof(text)));
	if (s->failed > 0)
		tap_note("%s: %d failed: %s", what, s->failed, s->failure);
}

/* Connected, plain and blocking descriptors. */
static inline bool
peer_pair(int fds[2], bool tcp)
{
	if (!tcp)
		return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0;
	if (!net_plain_pair(fds, 0))
		return false;
	sock_set_nodelay(fds[0]);
	sock_set_nodelay(fds[1]);
	return true;
}

/* A fake peer. */
struct fake {
	int fd;
	enum wire_role role;		/* ours */
	unsigned type;			/* of the last frame; 0: the end */
	size_t len;
	unsigned char payload[PEER_PAYLOAD + 1];
	unsigned aborted;		/* the code of an ABORT */
	size_t heard, said;		/* bytes in all */
	/* The bit of what it says that is damaged; SIZE_MAX: none. */
	size_t flip_byte;
	unsigned flip_bit;
	/* As a sender. */
	unsigned char chain[DIGEST_SIZE];
	unsigned char offers[PEER_OFFERS][DIGEST_SIZE];	/* not over yet */
	size_t offered, over;
	struct wire_end end;
};

static inline bool
fake_send(struct fake *f, const void *data, size_t len)
{
	const char *p = data;
	ssize_t n;

	f->said += len;
	for (; len > 0; p += n, len -= (size_t)n) {
		n = send(f->fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
	}
	return true;
}

/* Whatever goes wrong here shows in what the other side says. */
static inline void
fake_put(struct fake *f, const void *data, size_t len)
{
	const char *p = data;
	size_t before = f->flip_byte - f->said;
	char damaged;

	if (f->flip_byte < f->said || before >= len) {
		(void)fake_send(f, p, len);
		return;
	}
	damaged = (char)(p[before] ^ (char)(1 << f->flip_bit));
	if (fake_send(f, p, before) && fake_send(f, &damaged, 1))
		(void)fake_send(f, p + before + 1, len - before - 1);
}

static inline void
fake_text(struct fake *f, const char *text)
{
	fake_put(f, text, strlen(text));
}

static inline void
fake_shut(struct fake *f)
{
	(void)shutdown(f->fd, SHUT_WR);
}

static inline bool
fake_get(struct fake *f, void *data, size_t len)
{
	char *p = data;
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n) {
		n = recv(f->fd, p, len, 0);
		if (n <= 0)
			return false;
		f->heard += (size_t)n;
	}
	return true;
}

/* The other side's greeting or preamble. */
static inline bool
fake_hear(struct fake *f)
{
	enum wire_role other = f->role == WIRE_SENDER ? WIRE_RECEIVER :
	    WIRE_SENDER;
	unsigned char raw[WIRE_PREAMBLE];
	struct wire_preamble p;

	return fake_get(f, raw, sizeof(raw)) &&
	    wire_is_preamble(raw, sizeof(raw), other) &&
	    wire_get_preamble(raw, &p) && p.version == WIRE_VERSION;
}

static inline void
fake_greet(struct fake *f, uint16_t version, uint32_t silence_ms)
{
	const struct wire_preamble p = { .version = version,
	    .silence_ms = silence_ms };
	unsigned char raw[WIRE_PREAMBLE];

	wire_put_preamble(raw, f->role, &p);
	fake_put(f, raw, sizeof(raw));
}

/* The code of a reason; 0: it is none. */
static inline unsigned
fake_code(const struct fake *f)
{
	struct wire_reason r;

	return wire_get_reason(f->payload, f->len, (enum wire_type)f->type,
	    &r) ? r.code : 0;
}

/* The next frame of any kind: its type, or 0. */
static inline unsigned
fake_any(struct fake *f)
{
	enum wire_role other = f->role == WIRE_SENDER ? WIRE_RECEIVER :
	    WIRE_SENDER;
	unsigned char raw[WIRE_HEADER];
	struct wire_header h;

	f->type = 0;
	f->len = 0;
	if (!fake_get(f, raw, sizeof(raw)) ||
	    !wire_get_header(raw, other, &h) ||
	    !fake_get(f, f->payload, h.length) ||
	    !wire_check(&h, f->payload))
		return 0;
	f->len = h.length;
	f->payload[h.length] = '\0';
	f->type = h.type;
	if (f->type == WIRE_ABORT)
		f->aborted = fake_code(f);
	return f->type;
}

/* The next one that says something. */
static inline unsigned
fake_next(struct fake *f)
{
	while (fake_any(f) == WIRE_CONFIRM || f->type == WIRE_KEEPALIVE)
		continue;
	return f->type;
}

/* Go on until one of a type comes; nothing comes after an ABORT. */
static inline bool
fake_await(struct fake *f, enum wire_type type)
{
	while (fake_any(f) != 0 && f->type != (unsigned)type &&
	    f->type != WIRE_ABORT)
		continue;
	return f->type == (unsigned)type;
}

static inline uint64_t
fake_number(const struct fake *f)
{
	uint64_t number = UINT64_MAX;

	(void)wire_get_number(f->payload, f->len, &number);
	return number;
}

/* Whether the text of a reason has this in it. */
static inline bool
fake_says(const struct fake *f, const char *text)
{
	struct wire_reason r;

	return wire_get_reason(f->payload, f->len, (enum wire_type)f->type,
	    &r) && strstr(r.text, text) != NULL;
}

/* Any frame, with right checks. */
static inline void
fake_frame(struct fake *f, unsigned type, unsigned reserved,
    const void *payload, size_t len)
{
	uint64_t checks[2] = { digest_check(payload, len) };
	unsigned char raw[WIRE_HEADER] = { (unsigned char)type,
	    (unsigned char)(reserved >> 16), (unsigned char)(reserved >> 8),
	    (unsigned char)reserved };
	int i;

	if (type == WIRE_DATA)
		checks[0] = 0;
	for (i = 0; i < 4; i++) {
		raw[4 + i] = (unsigned char)(len >> (24 - 8 * i));
		raw[8 + i] = (unsigned char)(checks[0] >> (24 - 8 * i));
	}
	checks[1] = digest_check(raw, 12);
	for (i = 0; i < 4; i++)
		raw[12 + i] = (unsigned char)(checks[1] >> (24 - 8 * i));
	fake_put(f, raw, sizeof(raw));
	fake_put(f, payload, len);
}

static inline void
fake_empty(struct fake *f, enum wire_type type)
{
	unsigned char raw[WIRE_HEADER];

	fake_put(f, raw, wire_put_empty(raw, type));
}

static inline void
fake_put_number(struct fake *f, enum wire_type type, uint64_t number)
{
	unsigned char raw[WIRE_HEADER + sizeof(number)];

	fake_put(f, raw, wire_put_number(raw, type, number));
}

static inline void
fake_reason(struct fake *f, enum wire_type type, uint64_t entry,
    unsigned code, const char *text)
{
	const struct wire_reason r = { .entry = entry, .code = code,
	    .text = text, .text_len = strlen(text) };
	unsigned char raw[WIRE_HEADER + sizeof(entry) + 1 + WIRE_TEXT_MAX];

	fake_put(f, raw, wire_put_reason(raw, type, &r));
}

/* Half-close and hear the other side out. */
static inline void
fake_finish(struct fake *f)
{
	fake_shut(f);
	while (fake_any(f) != 0)
		continue;
}

/* As a sender. */

static inline void
fake_announce(struct fake *f, enum wire_shape shape)
{
	const struct wire_begin b = { .shape = shape,
	    .entries = WIRE_UNKNOWN, .bytes = WIRE_UNKNOWN };
	unsigned char raw[WIRE_HEADER + 32];

	fake_put(f, raw, wire_put_begin(raw, &b));
}

static inline void
fake_begin(struct fake *f, enum wire_shape shape)
{
	fake_greet(f, WIRE_VERSION, 0);
	fake_announce(f, shape);
}

static inline void
fake_offer(struct fake *f, const struct wire_offer *o)
{
	unsigned char raw[WIRE_HEADER + WIRE_CONTROL_MAX];
	size_t size = wire_put_offer(raw, o);

	digest_of(raw + WIRE_HEADER, size - WIRE_HEADER,
	    f->offers[f->offered++ % PEER_OFFERS]);
	f->end.entries++;
	fake_put(f, raw, size);
}

/* The oldest offer is over; without content, or with it. */
static inline void
fake_pass(struct fake *f, uint64_t size, const unsigned char *content)
{
	static const unsigned char nothing[DIGEST_SIZE];

	f->end.bytes += size;
	wire_chain(f->chain, f->offers[f->over++ % PEER_OFFERS], size,
	    content != NULL ? content : nothing);
}

static inline void
fake_data(struct fake *f, const void *data, size_t len)
{
	unsigned char raw[WIRE_HEADER];

	wire_put_data_header(raw, (uint32_t)len);
	fake_put(f, raw, sizeof(raw));
	fake_put(f, data, len);
}

static inline void
fake_close(struct fake *f, uint64_t size,
    const unsigned char digest[DIGEST_SIZE])
{
	struct wire_close c = { .size = size };
	unsigned char raw[WIRE_HEADER + sizeof(c)];

	memcpy(c.digest, digest, DIGEST_SIZE);
	fake_put(f, raw, wire_put_close(raw, &c));
	fake_pass(f, size, digest);
}

/* A whole file: the offer, the data, the end. */
static inline struct wire_offer
fake_file_offer(const char *name, size_t size)
{
	return (struct wire_offer){ .kind = WIRE_KIND_FILE, .mode = 0644,
	    .mtime_s = 1234567890, .mtime_ns = 123456789, .size = size,
	    .stored = size, .name = name, .name_len = strlen(name) };
}

static inline void
fake_content(struct fake *f, const void *data, size_t size)
{
	unsigned char digest[DIGEST_SIZE];
	const char *p = data;
	size_t i, len;

	for (i = 0; i < size; i += len) {
		len = size - i < WIRE_DATA_MAX ? size - i :
		    (size_t)WIRE_DATA_MAX;
		fake_data(f, p + i, len);
	}
	digest_of(data, size, digest);
	fake_close(f, size, digest);
}

static inline void
fake_file(struct fake *f, const char *name, const void *data, size_t size)
{
	const struct wire_offer o = fake_file_offer(name, size);

	fake_offer(f, &o);
	fake_content(f, data, size);
}

static inline void
fake_directory(struct fake *f, const char *name, unsigned mode)
{
	const struct wire_offer o = { .kind = WIRE_KIND_DIRECTORY,
	    .mode = mode, .mtime_s = 1234567890, .name = name,
	    .name_len = strlen(name) };

	fake_offer(f, &o);
	fake_pass(f, 0, NULL);
}

static inline void
fake_link(struct fake *f, const char *name, const char *target)
{
	const struct wire_offer o = { .kind = WIRE_KIND_LINK, .mode = 0777,
	    .mtime_s = 1234567890, .name = name, .name_len = strlen(name),
	    .target = target, .target_len = strlen(target) };

	fake_offer(f, &o);
	fake_pass(f, 0, NULL);
}

static inline void
fake_end(struct fake *f)
{
	unsigned char raw[WIRE_HEADER + sizeof(f->end)];

	memcpy(f->end.digest, f->chain, DIGEST_SIZE);
	fake_put(f, raw, wire_put_end(raw, &f->end));
}

/* As a receiver. */

static inline void
fake_check(struct fake *f, const void *data, size_t size)
{
	unsigned char digest[DIGEST_SIZE], raw[WIRE_HEADER + DIGEST_SIZE];

	digest_of(data, size, digest);
	fake_put(f, raw, wire_put_check(raw, digest));
}

static inline void
fake_confirm(struct fake *f, uint64_t entries, uint64_t bytes)
{
	const struct wire_confirm c = { .entries = entries, .bytes = bytes };
	unsigned char raw[WIRE_HEADER + sizeof(c)];

	fake_put(f, raw, wire_put_confirm(raw, &c));
}

static inline void
fake_verdict(struct fake *f, uint64_t entries, uint64_t failed,
    const unsigned char digest[DIGEST_SIZE])
{
	struct wire_verdict v = { .entries = entries, .failed = failed };
	unsigned char raw[WIRE_HEADER + sizeof(v)];

	memcpy(v.digest, digest, DIGEST_SIZE);
	fake_put(f, raw, wire_put_verdict(raw, &v));
}

/* Connect a side with a fake of the other role, and start it. */
static inline bool
fake_meet(struct fake *f, struct side *s, bool tcp)
{
	const struct timeval limit = { .tv_sec = PEER_LIMIT_MS / 1000 };
	struct err e = { 0 };
	int fds[2];

	f->fd = -1;
	if (!peer_pair(fds, tcp))
		return false;
	f->fd = fds[0];
	f->role = s->operands != NULL ? WIRE_RECEIVER : WIRE_SENDER;
	f->type = 0;
	f->heard = f->said = f->len = 0;
	f->aborted = 0;
	f->flip_byte = SIZE_MAX;
	f->offered = f->over = 0;
	memset(f->chain, 0, sizeof(f->chain));
	memset(&f->end, 0, sizeof(f->end));
	(void)setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
	    sizeof(limit));
	(void)setsockopt(f->fd, SOL_SOCKET, SO_SNDTIMEO, &limit,
	    sizeof(limit));
	s->peer = net_adopt(fds[1], s->mode, &e);
	err_clear(&e);
	side_start(s);
	return s->started;
}

static inline void
fake_part(struct fake *f, struct side *s)
{
	if (f->fd != -1)
		(void)close(f->fd);
	f->fd = -1;
	side_join(s);
}

#endif
