#include "transfer/wire.h"

#include <string.h>

enum {
	MAGIC_SIZE = 8,
	CHECKED = 12,		/* bytes of a header that its check covers */
	NUMBER = 8,
	MODE_MAX = 07777,
	NANOSECONDS = 1000000000,
	CODE_MAX = 9,
};

/* Not text, and no line end of either kind passes unchanged through text. */
static const unsigned char magics[][MAGIC_SIZE] = {
	[WIRE_SENDER] = { 0x89, 'h', 'a', 'u', 'l', 'S', '\r', '\n' },
	[WIRE_RECEIVER] = { 0x89, 'h', 'a', 'u', 'l', 'R', '\r', '\n' },
};

enum { FROM_SENDER = 1, FROM_RECEIVER = 2, FROM_BOTH = 3 };

static const struct rule {
	enum wire_type type;
	int from;
	uint32_t min, max;	/* of the payload */
} rules[] = {
	{ WIRE_BEGIN, FROM_SENDER, 17, 17 },
	{ WIRE_OFFER, FROM_SENDER, WIRE_OFFER_FIXED, WIRE_CONTROL_MAX },
	{ WIRE_FROM, FROM_SENDER, NUMBER, NUMBER },
	{ WIRE_DATA, FROM_SENDER, 1, WIRE_DATA_MAX },
	{ WIRE_HOLE, FROM_SENDER, NUMBER, NUMBER },
	{ WIRE_CLOSE, FROM_SENDER, NUMBER + DIGEST_SIZE,
	    NUMBER + DIGEST_SIZE },
	{ WIRE_DROP, FROM_SENDER, 1, 1 + WIRE_TEXT_MAX },
	{ WIRE_END, FROM_SENDER, 4 * NUMBER + DIGEST_SIZE,
	    4 * NUMBER + DIGEST_SIZE },
	{ WIRE_BYE, FROM_SENDER, 0, 0 },
	{ WIRE_KEEPALIVE, FROM_BOTH, 0, 0 },
	{ WIRE_ABORT, FROM_BOTH, 1, 1 + WIRE_TEXT_MAX },
	{ WIRE_GO, FROM_RECEIVER, 0, 0 },
	{ WIRE_TAKE, FROM_RECEIVER, NUMBER, NUMBER },
	{ WIRE_CHECK, FROM_RECEIVER, DIGEST_SIZE, DIGEST_SIZE },
	{ WIRE_REFUSE, FROM_RECEIVER, 1, 1 + WIRE_TEXT_MAX },
	{ WIRE_FAILED, FROM_RECEIVER, NUMBER + 1, NUMBER + 1 + WIRE_TEXT_MAX },
	{ WIRE_CONFIRM, FROM_RECEIVER, 2 * NUMBER, 2 * NUMBER },
	{ WIRE_VERDICT, FROM_RECEIVER, 2 * NUMBER + DIGEST_SIZE,
	    2 * NUMBER + DIGEST_SIZE },
	{ WIRE_HAVE, FROM_RECEIVER, NUMBER, NUMBER },
};

/* Numbers. */

static unsigned char *
put(unsigned char *p, uint64_t number, int bytes)
{
	int i;

	for (i = bytes - 1; i >= 0; i--) {
		p[i] = (unsigned char)(number & 0xff);
		number >>= 8;
	}
	return p + bytes;
}

static unsigned char *
put_bytes(unsigned char *p, const void *bytes, size_t len)
{
	if (len > 0)
		memcpy(p, bytes, len);
	return p + len;
}

static uint64_t
get(const unsigned char **p, int bytes)
{
	uint64_t number = 0;
	int i;

	for (i = 0; i < bytes; i++)
		number = number << 8 | (*p)[i];
	*p += bytes;
	return number;
}

static void
get_digest(const unsigned char **p, unsigned char digest[DIGEST_SIZE])
{
	memcpy(digest, *p, DIGEST_SIZE);
	*p += DIGEST_SIZE;
}

/* Preambles. */

void
wire_put_preamble(unsigned char *buf, enum wire_role role,
    const struct wire_preamble *p)
{
	unsigned char *q;

	q = put_bytes(buf, magics[role], MAGIC_SIZE);
	q = put(q, p->version, 2);
	q = put(q, 0, 2);
	q = put(q, p->silence_ms, 4);
	(void)put(q, digest_check(buf, (size_t)(q - buf)), 8);
}

bool
wire_is_preamble(const unsigned char *buf, size_t len, enum wire_role role)
{
	return memcmp(buf, magics[role], len < MAGIC_SIZE ? len :
	    (size_t)MAGIC_SIZE) == 0;
}

bool
wire_resembles(const unsigned char *buf, size_t len, enum wire_role role)
{
	size_t i, right = 0;

	for (i = 0; i < len && i < MAGIC_SIZE; i++)
		right += buf[i] == magics[role][i];
	return right > MAGIC_SIZE / 2;
}

bool
wire_get_preamble(const unsigned char *buf, struct wire_preamble *p)
{
	const unsigned char *q = buf + MAGIC_SIZE;
	uint64_t reserved;

	p->version = (uint16_t)get(&q, 2);
	reserved = get(&q, 2);
	p->silence_ms = (uint32_t)get(&q, 4);
	return get(&q, 8) == digest_check(buf, WIRE_PREAMBLE - 8) &&
	    (reserved == 0 || p->version != WIRE_VERSION);
}

/* Frames. */

/* XXH3-64, its lower half. */
static uint32_t
check(const unsigned char *bytes, size_t len)
{
	return (uint32_t)digest_check(bytes, len);
}

static void
put_header(unsigned char *buf, enum wire_type type, size_t length,
    uint32_t payload_check)
{
	unsigned char *p;

	p = put(buf, (uint64_t)type << 24, 4);
	p = put(p, length, 4);
	p = put(p, payload_check, 4);
	(void)put(p, check(buf, CHECKED), 4);
}

/* The header in front of a payload that ends at end; the size of both. */
static size_t
finish(unsigned char *buf, enum wire_type type, const unsigned char *end)
{
	size_t length = (size_t)(end - buf) - WIRE_HEADER;

	put_header(buf, type, length, check(buf + WIRE_HEADER, length));
	return WIRE_HEADER + length;
}

size_t
wire_put_empty(unsigned char *buf, enum wire_type type)
{
	return finish(buf, type, buf + WIRE_HEADER);
}

size_t
wire_put_number(unsigned char *buf, enum wire_type type, uint64_t number)
{
	return finish(buf, type, put(buf + WIRE_HEADER, number, NUMBER));
}

size_t
wire_put_begin(unsigned char *buf, const struct wire_begin *b)
{
	unsigned char *p = buf + WIRE_HEADER;

	p = put(p, b->shape, 1);
	p = put(p, b->entries, NUMBER);
	p = put(p, b->bytes, NUMBER);
	return finish(buf, WIRE_BEGIN, p);
}

size_t
wire_put_offer(unsigned char *buf, const struct wire_offer *o)
{
	unsigned char *p = buf + WIRE_HEADER;

	p = put(p, o->kind, 1);
	p = put(p, 0, 1);
	p = put(p, o->mode, 2);
	p = put(p, o->mtime_ns, 4);
	p = put(p, (uint64_t)o->mtime_s, NUMBER);
	p = put(p, o->size, NUMBER);
	p = put(p, o->stored, NUMBER);
	p = put(p, o->name_len, 2);
	p = put(p, o->target_len, 2);
	p = put_bytes(p, o->name, o->name_len);
	p = put_bytes(p, o->target, o->target_len);
	return finish(buf, WIRE_OFFER, p);
}

size_t
wire_put_close(unsigned char *buf, const struct wire_close *c)
{
	unsigned char *p = put(buf + WIRE_HEADER, c->size, NUMBER);

	return finish(buf, WIRE_CLOSE, put_bytes(p, c->digest, DIGEST_SIZE));
}

size_t
wire_put_end(unsigned char *buf, const struct wire_end *end)
{
	unsigned char *p = buf + WIRE_HEADER;

	p = put(p, end->entries, NUMBER);
	p = put(p, end->bytes, NUMBER);
	p = put(p, end->failed, NUMBER);
	p = put(p, end->missing, NUMBER);
	return finish(buf, WIRE_END, put_bytes(p, end->digest, DIGEST_SIZE));
}

size_t
wire_put_check(unsigned char *buf, const unsigned char digest[DIGEST_SIZE])
{
	return finish(buf, WIRE_CHECK, put_bytes(buf + WIRE_HEADER, digest,
	    DIGEST_SIZE));
}

size_t
wire_put_confirm(unsigned char *buf, const struct wire_confirm *c)
{
	unsigned char *p = put(buf + WIRE_HEADER, c->entries, NUMBER);

	return finish(buf, WIRE_CONFIRM, put(p, c->bytes, NUMBER));
}

size_t
wire_put_verdict(unsigned char *buf, const struct wire_verdict *v)
{
	unsigned char *p = buf + WIRE_HEADER;

	p = put(p, v->entries, NUMBER);
	p = put(p, v->failed, NUMBER);
	return finish(buf, WIRE_VERDICT, put_bytes(p, v->digest, DIGEST_SIZE));
}

size_t
wire_put_reason(unsigned char *buf, enum wire_type type,
    const struct wire_reason *r)
{
	size_t len = r->text_len < WIRE_TEXT_MAX ? r->text_len :
	    (size_t)WIRE_TEXT_MAX;
	unsigned char *p = buf + WIRE_HEADER;

	if (type == WIRE_FAILED)
		p = put(p, r->entry, NUMBER);
	p = put(p, r->code, 1);
	return finish(buf, type, put_bytes(p, r->text, len));
}

void
wire_put_data_header(unsigned char *buf, uint32_t length)
{
	put_header(buf, WIRE_DATA, length, 0);
}

bool
wire_get_header(const unsigned char *buf, enum wire_role from,
    struct wire_header *h)
{
	int side = from == WIRE_SENDER ? FROM_SENDER : FROM_RECEIVER;
	const unsigned char *p = buf + 1;
	size_t i;

	h->type = (enum wire_type)buf[0];
	if (get(&p, 3) != 0)
		return false;
	h->length = (uint32_t)get(&p, 4);
	h->check = (uint32_t)get(&p, 4);
	if (get(&p, 4) != check(buf, CHECKED))
		return false;
	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].type == h->type)
			return (rules[i].from & side) != 0 &&
			    h->length >= rules[i].min &&
			    h->length <= rules[i].max;
	return false;
}

bool
wire_check(const struct wire_header *h, const unsigned char *payload)
{
	return h->type == WIRE_DATA ? h->check == 0 :
	    check(payload, h->length) == h->check;
}

/* Payloads. */

/* A size or count: a number that also fits off_t; or unknown. */
static bool
get_size(const unsigned char **p, uint64_t *size)
{
	*size = get(p, NUMBER);
	return *size <= INT64_MAX;
}

static bool
get_size_or_unknown(const unsigned char **p, uint64_t *size)
{
	return get_size(p, size) || *size == WIRE_UNKNOWN;
}

bool
wire_get_number(const unsigned char *p, size_t len, uint64_t *number)
{
	return len == NUMBER && get_size(&p, number);
}

bool
wire_get_begin(const unsigned char *p, size_t len, struct wire_begin *b)
{
	if (len != 1 + 2 * NUMBER)
		return false;
	b->shape = (enum wire_shape)get(&p, 1);
	return get_size_or_unknown(&p, &b->entries) &&
	    get_size_or_unknown(&p, &b->bytes) && b->shape >= WIRE_STREAM &&
	    b->shape <= WIRE_TREE;
}

/* Whether kind, sizes and lengths go together. */
static bool
is_consistent(const struct wire_offer *o)
{
	bool link = o->kind == WIRE_KIND_LINK;

	if (o->kind < WIRE_KIND_FILE || o->kind > WIRE_KIND_LINK ||
	    o->mode > MODE_MAX || o->mtime_ns >= NANOSECONDS ||
	    o->name_len > WIRE_NAME_MAX || o->target_len > WIRE_NAME_MAX)
		return false;
	if (o->kind == WIRE_KIND_STREAM && (o->size != WIRE_UNKNOWN ||
	    o->stored != WIRE_UNKNOWN))
		return false;
	if (o->kind == WIRE_KIND_FILE && (o->size > INT64_MAX ||
	    o->stored > o->size))
		return false;
	if ((link || o->kind == WIRE_KIND_DIRECTORY) &&
	    (o->size != 0 || o->stored != 0))
		return false;
	return link == (o->target_len > 0);
}

bool
wire_get_offer(const unsigned char *p, size_t len, struct wire_offer *o)
{
	uint64_t reserved;

	if (len < WIRE_OFFER_FIXED)
		return false;
	o->kind = (enum wire_kind)get(&p, 1);
	reserved = get(&p, 1);
	o->mode = (unsigned)get(&p, 2);
	o->mtime_ns = (uint32_t)get(&p, 4);
	o->mtime_s = (int64_t)get(&p, NUMBER);
	o->size = get(&p, NUMBER);
	o->stored = get(&p, NUMBER);
	o->name_len = (size_t)get(&p, 2);
	o->target_len = (size_t)get(&p, 2);
	o->name = (const char *)p;
	o->target = (const char *)p + o->name_len;
	return reserved == 0 && is_consistent(o) &&
	    len == WIRE_OFFER_FIXED + o->name_len + o->target_len;
}

bool
wire_get_close(const unsigned char *p, size_t len, struct wire_close *c)
{
	if (len != NUMBER + DIGEST_SIZE)
		return false;
	if (!get_size(&p, &c->size))
		return false;
	get_digest(&p, c->digest);
	return true;
}

bool
wire_get_end(const unsigned char *p, size_t len, struct wire_end *end)
{
	if (len != 4 * NUMBER + DIGEST_SIZE)
		return false;
	if (!get_size(&p, &end->entries) || !get_size(&p, &end->bytes) ||
	    !get_size(&p, &end->failed) || !get_size(&p, &end->missing))
		return false;
	get_digest(&p, end->digest);
	return true;
}

bool
wire_get_confirm(const unsigned char *p, size_t len, struct wire_confirm *c)
{
	if (len != (size_t)2 * NUMBER)
		return false;
	return get_size(&p, &c->entries) && get_size(&p, &c->bytes);
}

bool
wire_get_verdict(const unsigned char *p, size_t len, struct wire_verdict *v)
{
	if (len != 2 * NUMBER + DIGEST_SIZE)
		return false;
	if (!get_size(&p, &v->entries) || !get_size(&p, &v->failed))
		return false;
	get_digest(&p, v->digest);
	return true;
}

bool
wire_get_reason(const unsigned char *p, size_t len, enum wire_type type,
    struct wire_reason *r)
{
	size_t fixed = type == WIRE_FAILED ? NUMBER + 1 : 1;

	if (len < fixed || len - fixed > WIRE_TEXT_MAX)
		return false;
	r->entry = 0;
	if (type == WIRE_FAILED && !get_size(&p, &r->entry))
		return false;
	r->code = (unsigned)get(&p, 1);
	r->text = (const char *)p;
	r->text_len = len - fixed;
	return r->code >= 1 && r->code <= CODE_MAX;
}

void
wire_chain(unsigned char chain[DIGEST_SIZE],
    const unsigned char offer[DIGEST_SIZE], uint64_t size,
    const unsigned char content[DIGEST_SIZE])
{
	unsigned char record[3 * DIGEST_SIZE + NUMBER], *p = record;

	p = put_bytes(p, chain, DIGEST_SIZE);
	p = put_bytes(p, offer, DIGEST_SIZE);
	p = put(p, size, NUMBER);
	p = put_bytes(p, content, DIGEST_SIZE);
	digest_of(record, (size_t)(p - record), chain);
}
