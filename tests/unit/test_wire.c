/*
 * The bytes of the transfer protocol, both ways, against vectors that were not
 * made by wire.c (see vectors.py), and what becomes of them when they are
 * damaged.
 *
 * usage: test_wire [VECTORS]
 */
#include "transfer/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define VECTORS		"tests/unit/wire.vectors"

enum {
	FIELDS_MAX = 8,
	WORD_MAX = 64,
	ENTRIES_MAX = 16,
	FRAME_MAX = WIRE_HEADER + WIRE_DATA_MAX,
	CHECKED = 12,
};

/* What the manual says about the types; 1: from the sender, 2: receiver. */
static const struct type {
	const char *name;
	unsigned code;
	int from;
	uint32_t min, max;
} types[] = {
	{ "BEGIN", 0x01, 1, 17, 17 },
	{ "OFFER", 0x02, 1, 36, 8226 },
	{ "FROM", 0x03, 1, 8, 8 },
	{ "DATA", 0x04, 1, 1, 1048576 },
	{ "HOLE", 0x05, 1, 8, 8 },
	{ "CLOSE", 0x06, 1, 24, 24 },
	{ "DROP", 0x07, 1, 1, 1025 },
	{ "END", 0x08, 1, 48, 48 },
	{ "BYE", 0x09, 1, 0, 0 },
	{ "KEEPALIVE", 0x20, 3, 0, 0 },
	{ "ABORT", 0x21, 3, 1, 1025 },
	{ "GO", 0x41, 2, 0, 0 },
	{ "TAKE", 0x42, 2, 8, 8 },
	{ "CHECK", 0x43, 2, 16, 16 },
	{ "REFUSE", 0x44, 2, 1, 1025 },
	{ "FAILED", 0x45, 2, 9, 1033 },
	{ "CONFIRM", 0x46, 2, 16, 16 },
	{ "VERDICT", 0x47, 2, 32, 32 },
	{ "HAVE", 0x48, 2, 8, 8 },
};

/* The file of vectors. */

struct bytes {
	unsigned char *data;	/* with a NUL behind it */
	size_t len, room;
};

struct field {
	char key[WORD_MAX];
	struct bytes value;
};

struct vector {
	int line;
	char side;		/* S, R, or '-' for what is not sent */
	char what[WORD_MAX];
	struct field fields[FIELDS_MAX];
	size_t field_count;
	struct bytes sent;
};

static struct {
	struct vector *list;
	size_t count;
	size_t talk;		/* the first conversation */
} file;

static void die(int, const char *) __attribute__((noreturn));

static void
die(int line, const char *why)
{
	tap_note("line %d of the vectors: %s", line, why);
	(void)tap_ok(false, "the vectors can be read");
	exit(tap_done());
}

static void
append(struct bytes *b, const void *data, size_t len)
{
	if (b->room < b->len + len + 1) {
		b->room = 2 * (b->len + len + 1);
		b->data = realloc(b->data, b->room);
		if (b->data == NULL)
			die(0, "no memory");
	}
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

/* What was appended since from, as often as a "*N" at *s says. */
static void
repeat(struct bytes *b, size_t from, char **s)
{
	size_t unit = b->len - from;
	struct bytes more = { 0 };
	unsigned long n;

	if (**s != '*')
		return;
	append(&more, b->data + from, unit);
	for (n = strtoul(*s + 1, s, 10); n > 1; n--)
		append(b, more.data, unit);
	free(more.data);
}

static unsigned char
hex_byte(const char *digits, int line)
{
	unsigned byte;

	if (strspn(digits, "0123456789abcdef") < 2 ||
	    sscanf(digits, "%2x", &byte) != 1)
		die(line, "no hexadecimal digits");
	return (unsigned char)byte;
}

static void
read_hex(struct bytes *b, char *s, int line)
{
	unsigned char byte;
	size_t from;

	for (s += strspn(s, " \t"); *s != '\0'; s += strspn(s, " ")) {
		from = b->len;
		for (; *s != '\0' && strchr(" *", *s) == NULL; s += 2) {
			byte = hex_byte(s, line);
			append(b, &byte, 1);
		}
		repeat(b, from, &s);
	}
}

/* Texts in quotes, one after the other. */
static void
read_text(struct bytes *b, char **s, int line)
{
	unsigned char byte;
	size_t from;

	append(b, "", 0);
	while (**s == '"') {
		from = b->len;
		for (++*s; **s != '"'; ++*s) {
			if (**s == '\0')
				die(line, "a text does not end");
			byte = (unsigned char)**s;
			if (byte == '\\') {
				byte = hex_byte(*s + 2, line);
				*s += 3;
			}
			append(b, &byte, 1);
		}
		++*s;
		repeat(b, from, s);
	}
}

/* A word up to one of the bytes at ends. */
static void
read_word(char word[WORD_MAX], char **s, const char *ends, int line)
{
	size_t len = strcspn(*s, ends);

	if (len == 0 || len >= WORD_MAX)
		die(line, "a word is missing or too long");
	memcpy(word, *s, len);
	word[len] = '\0';
	*s += len;
}

static void
read_vector(char *s, int line)
{
	struct vector v = { .line = line, .side = '-' };
	struct field *f;

	if ((*s == 'S' || *s == 'R') && s[1] == ' ') {
		v.side = *s;
		s += 2;
	}
	append(&v.sent, "", 0);
	read_word(v.what, &s, " ", line);
	for (s += strspn(s, " "); *s != '\0'; s += strspn(s, " ")) {
		if (v.field_count == FIELDS_MAX)
			die(line, "too many fields");
		f = &v.fields[v.field_count++];
		read_word(f->key, &s, "=", line);
		if (*++s == '"')
			read_text(&f->value, &s, line);
		else {
			append(&f->value, s, strcspn(s, " "));
			s += f->value.len;
		}
	}
	file.list = realloc(file.list, (file.count + 1) * sizeof(v));
	if (file.list == NULL)
		die(line, "no memory");
	file.list[file.count++] = v;
}

static void
read_file(const char *path)
{
	FILE *in = fopen(path, "r");
	size_t room = 0;
	char *text = NULL;
	int line = 0;

	if (in == NULL) {
		perror(path);
		die(0, "cannot be opened");
	}
	while (getline(&text, &room, in) != -1) {
		line++;
		text[strcspn(text, "\n")] = '\0';
		if (*text == '\t' && file.count > 0)
			read_hex(&file.list[file.count - 1].sent, text, line);
		else if (*text != '#' && *text != '\0')
			read_vector(text, line);
	}
	free(text);
	(void)fclose(in);
	while (file.talk < file.count &&
	    strcmp(file.list[file.talk].what, "conversation") != 0)
		file.talk++;
	if (file.talk == file.count)
		die(line, "no conversations");
}

static bool
is(const struct vector *v, const char *what)
{
	return strcmp(v->what, what) == 0;
}

static const struct bytes *
value_of(const struct vector *v, const char *key)
{
	size_t i;

	for (i = 0; i < v->field_count; i++)
		if (strcmp(v->fields[i].key, key) == 0)
			return &v->fields[i].value;
	die(v->line, key);
}

static const char *
text_of(const struct vector *v, const char *key)
{
	return (const char *)value_of(v, key)->data;
}

static uint64_t
number_of(const struct vector *v, const char *key)
{
	const char *text = text_of(v, key);

	if (strcmp(text, "unknown") == 0)
		return WIRE_UNKNOWN;
	return strtoull(text, NULL, 10);
}

static void
hash_of(const struct vector *v, const char *key,
    unsigned char digest[DIGEST_SIZE])
{
	const char *text = text_of(v, key);
	int i;

	if (strlen(text) != (size_t)2 * DIGEST_SIZE)
		die(v->line, "no digest");
	for (i = 0; i < DIGEST_SIZE; i++)
		digest[i] = hex_byte(text + (ptrdiff_t)2 * i, v->line);
}

static enum wire_role
role_of(const struct vector *v)
{
	return v->side == 'S' ? WIRE_SENDER : WIRE_RECEIVER;
}

static enum wire_type
type_of(const struct vector *v)
{
	size_t i;

	for (i = 0; i < COUNT(types); i++)
		if (is(v, types[i].name))
			return (enum wire_type)types[i].code;
	die(v->line, "unknown type");
}

/* Payloads, by the functions of wire.h. */

union payload {
	uint64_t number;
	struct wire_begin begin;
	struct wire_offer offer;
	struct wire_close close;
	struct wire_end end;
	struct wire_confirm confirm;
	struct wire_verdict verdict;
	struct wire_reason reason;
	struct bytes content;	/* of DATA */
	unsigned char digest[DIGEST_SIZE];
};

/* The number of the word in a list, from 1. */
static int
choice(const struct vector *v, const char *key, const char *const *words)
{
	int i;

	for (i = 0; words[i] != NULL; i++)
		if (strcmp(text_of(v, key), words[i]) == 0)
			return i + 1;
	die(v->line, key);
}

static void
fill_offer(const struct vector *v, struct wire_offer *o)
{
	static const char *const kinds[] = {
		"file", "stream", "directory", "link", NULL
	};

	o->kind = (enum wire_kind)choice(v, "kind", kinds);
	o->mode = (unsigned)strtoul(text_of(v, "mode"), NULL, 8);
	o->mtime_s = strtoll(text_of(v, "mtime_s"), NULL, 10);
	o->mtime_ns = (uint32_t)number_of(v, "mtime_ns");
	o->size = number_of(v, "size");
	o->stored = number_of(v, "stored");
	o->name = text_of(v, "name");
	o->name_len = value_of(v, "name")->len;
	o->target = text_of(v, "target");
	o->target_len = value_of(v, "target")->len;
}

static void
fill_reason(const struct vector *v, struct wire_reason *r)
{
	r->entry = is(v, "FAILED") ? number_of(v, "entry") : 0;
	r->code = (unsigned)number_of(v, "code");
	r->text = text_of(v, "text");
	r->text_len = value_of(v, "text")->len;
}

/* The payload that the fields of a vector describe. */
static void
fill(const struct vector *v, enum wire_type type, union payload *u)
{
	static const char *const shapes[] = { "stream", "file", "tree", NULL };

	switch (type) {
	case WIRE_BEGIN:
		u->begin.shape = (enum wire_shape)choice(v, "shape", shapes);
		u->begin.entries = number_of(v, "entries");
		u->begin.bytes = number_of(v, "bytes");
		break;
	case WIRE_OFFER:
		fill_offer(v, &u->offer);
		break;
	case WIRE_FROM: case WIRE_HOLE: case WIRE_TAKE: case WIRE_HAVE:
		u->number = number_of(v, "number");
		break;
	case WIRE_DATA:
		u->content = *value_of(v, "content");
		break;
	case WIRE_CLOSE:
		u->close.size = number_of(v, "size");
		hash_of(v, "digest", u->close.digest);
		break;
	case WIRE_END:
		u->end.entries = number_of(v, "entries");
		u->end.bytes = number_of(v, "bytes");
		u->end.failed = number_of(v, "failed");
		u->end.missing = number_of(v, "missing");
		hash_of(v, "digest", u->end.digest);
		break;
	case WIRE_CHECK:
		hash_of(v, "digest", u->digest);
		break;
	case WIRE_CONFIRM:
		u->confirm.entries = number_of(v, "entries");
		u->confirm.bytes = number_of(v, "bytes");
		break;
	case WIRE_VERDICT:
		u->verdict.entries = number_of(v, "entries");
		u->verdict.failed = number_of(v, "failed");
		hash_of(v, "digest", u->verdict.digest);
		break;
	case WIRE_DROP: case WIRE_ABORT: case WIRE_REFUSE: case WIRE_FAILED:
		fill_reason(v, &u->reason);
		break;
	case WIRE_BYE: case WIRE_KEEPALIVE: case WIRE_GO:
		break;
	}
}

static size_t
put(unsigned char *buf, enum wire_type type, const union payload *u)
{
	switch (type) {
	case WIRE_BEGIN:
		return wire_put_begin(buf, &u->begin);
	case WIRE_OFFER:
		return wire_put_offer(buf, &u->offer);
	case WIRE_FROM: case WIRE_HOLE: case WIRE_TAKE: case WIRE_HAVE:
		return wire_put_number(buf, type, u->number);
	case WIRE_DATA:
		wire_put_data_header(buf, (uint32_t)u->content.len);
		memcpy(buf + WIRE_HEADER, u->content.data, u->content.len);
		return WIRE_HEADER + u->content.len;
	case WIRE_CLOSE:
		return wire_put_close(buf, &u->close);
	case WIRE_END:
		return wire_put_end(buf, &u->end);
	case WIRE_CHECK:
		return wire_put_check(buf, u->digest);
	case WIRE_CONFIRM:
		return wire_put_confirm(buf, &u->confirm);
	case WIRE_VERDICT:
		return wire_put_verdict(buf, &u->verdict);
	case WIRE_DROP: case WIRE_ABORT: case WIRE_REFUSE: case WIRE_FAILED:
		return wire_put_reason(buf, type, &u->reason);
	case WIRE_BYE: case WIRE_KEEPALIVE: case WIRE_GO:
		return wire_put_empty(buf, type);
	}
	return 0;
}

static bool
get(unsigned char *p, size_t len, enum wire_type type, union payload *u)
{
	switch (type) {
	case WIRE_BEGIN:
		return wire_get_begin(p, len, &u->begin);
	case WIRE_OFFER:
		return wire_get_offer(p, len, &u->offer);
	case WIRE_FROM: case WIRE_HOLE: case WIRE_TAKE: case WIRE_HAVE:
		return wire_get_number(p, len, &u->number);
	case WIRE_DATA:
		u->content.data = p;
		u->content.len = len;
		return true;
	case WIRE_CLOSE:
		return wire_get_close(p, len, &u->close);
	case WIRE_END:
		return wire_get_end(p, len, &u->end);
	case WIRE_CHECK:
		memcpy(u->digest, p, DIGEST_SIZE);
		return true;
	case WIRE_CONFIRM:
		return wire_get_confirm(p, len, &u->confirm);
	case WIRE_VERDICT:
		return wire_get_verdict(p, len, &u->verdict);
	case WIRE_DROP: case WIRE_ABORT: case WIRE_REFUSE: case WIRE_FAILED:
		return wire_get_reason(p, len, type, &u->reason);
	case WIRE_BYE: case WIRE_KEEPALIVE: case WIRE_GO:
		return true;
	}
	return false;
}

static bool
equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
	return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

static bool
equal_digests(const unsigned char *a, const unsigned char *b)
{
	return memcmp(a, b, DIGEST_SIZE) == 0;
}

static bool
same(enum wire_type type, const union payload *a, const union payload *b)
{
	switch (type) {
	case WIRE_BEGIN:
		return a->begin.shape == b->begin.shape &&
		    a->begin.entries == b->begin.entries &&
		    a->begin.bytes == b->begin.bytes;
	case WIRE_OFFER:
		return a->offer.kind == b->offer.kind &&
		    a->offer.mode == b->offer.mode &&
		    a->offer.mtime_s == b->offer.mtime_s &&
		    a->offer.mtime_ns == b->offer.mtime_ns &&
		    a->offer.size == b->offer.size &&
		    a->offer.stored == b->offer.stored &&
		    equal(a->offer.name, a->offer.name_len, b->offer.name,
		    b->offer.name_len) && equal(a->offer.target,
		    a->offer.target_len, b->offer.target, b->offer.target_len);
	case WIRE_FROM: case WIRE_HOLE: case WIRE_TAKE: case WIRE_HAVE:
		return a->number == b->number;
	case WIRE_DATA:
		return equal(a->content.data, a->content.len, b->content.data,
		    b->content.len);
	case WIRE_CLOSE:
		return a->close.size == b->close.size &&
		    equal_digests(a->close.digest, b->close.digest);
	case WIRE_END:
		return a->end.entries == b->end.entries &&
		    a->end.bytes == b->end.bytes &&
		    a->end.failed == b->end.failed &&
		    a->end.missing == b->end.missing &&
		    equal_digests(a->end.digest, b->end.digest);
	case WIRE_CHECK:
		return equal_digests(a->digest, b->digest);
	case WIRE_CONFIRM:
		return a->confirm.entries == b->confirm.entries &&
		    a->confirm.bytes == b->confirm.bytes;
	case WIRE_VERDICT:
		return a->verdict.entries == b->verdict.entries &&
		    a->verdict.failed == b->verdict.failed &&
		    equal_digests(a->verdict.digest, b->verdict.digest);
	case WIRE_DROP: case WIRE_ABORT: case WIRE_REFUSE: case WIRE_FAILED:
		return a->reason.entry == b->reason.entry &&
		    a->reason.code == b->reason.code &&
		    equal(a->reason.text, a->reason.text_len, b->reason.text,
		    b->reason.text_len);
	case WIRE_BYE: case WIRE_KEEPALIVE: case WIRE_GO:
		return true;
	}
	return false;
}

/*
 * Take a frame apart that has arrived from a role, with nothing behind it. One
 * that wants more than has come is not refused: its reader would wait.
 */
enum judgement { REFUSED, TAKEN, WANTS_MORE };

static enum judgement
judge(enum wire_role from, unsigned char *sent, size_t len,
    enum wire_type *type, union payload *u)
{
	struct wire_header h;

	if (len < WIRE_HEADER)
		return WANTS_MORE;
	if (!wire_get_header(sent, from, &h))
		return REFUSED;
	*type = h.type;
	if (h.length > len - WIRE_HEADER)
		return WANTS_MORE;
	return wire_check(&h, sent + WIRE_HEADER) &&
	    get(sent + WIRE_HEADER, h.length, h.type, u) &&
	    h.length == len - WIRE_HEADER ? TAKEN : REFUSED;
}

static enum judgement
judge_preamble(enum wire_role from, const unsigned char *sent, size_t len,
    struct wire_preamble *p)
{
	return len == WIRE_PREAMBLE && wire_is_preamble(sent, len, from) &&
	    wire_get_preamble(sent, p) ? TAKEN : REFUSED;
}

/* One vector at a time. */

/* Are the bytes that haul puts those of the vector? */
static void
compare(const struct vector *v, const unsigned char *put_here, size_t len)
{
	size_t i;

	if (tap_ok(equal(put_here, len, v->sent.data, v->sent.len),
	    "line %d: the bytes of this %s", v->line, v->what))
		return;
	for (i = 0; i < len && i < v->sent.len; i++)
		if (put_here[i] != v->sent.data[i])
			break;
	tap_note("%zu bytes, expected %zu; they differ from byte %zu on", len,
	    v->sent.len, i);
}

static void
test_preamble(const struct vector *v)
{
	struct wire_preamble p = {
		.version = (uint16_t)number_of(v, "version"),
		.silence_ms = (uint32_t)number_of(v, "silence_ms"),
	}, got = { 0 };
	unsigned char buf[WIRE_PREAMBLE];

	wire_put_preamble(buf, role_of(v), &p);
	compare(v, buf, sizeof(buf));
	tap_ok(judge_preamble(role_of(v), v->sent.data, v->sent.len, &got) ==
	    TAKEN && got.version == p.version && got.silence_ms ==
	    p.silence_ms, "line %d: what this PREAMBLE says", v->line);
}

static void
test_frame(const struct vector *v)
{
	static unsigned char buf[FRAME_MAX];
	enum wire_type type = type_of(v), got_type = WIRE_ABORT;
	union payload u, got;

	memset(&u, 0, sizeof(u));
	memset(&got, 0, sizeof(got));
	fill(v, type, &u);
	compare(v, buf, put(buf, type, &u));
	tap_ok(judge(role_of(v), v->sent.data, v->sent.len, &got_type,
	    &got) == TAKEN && got_type == type && same(type, &u, &got),
	    "line %d: what this %s says", v->line, v->what);
}

/* How many of the bits of a vector can be flipped and nobody sees it. */
static void
test_flips(const struct vector *v)
{
	bool preamble = is(v, "PREAMBLE");
	/* The content has no check but the digest in CLOSE. */
	size_t bits = 8 * (is(v, "DATA") ? WIRE_HEADER : v->sent.len);
	size_t bit, missed = 0, stuck = 0, example = 0;
	enum judgement judgement;
	struct wire_preamble p;
	enum wire_type type;
	union payload u;

	for (bit = 0; bit < bits; bit++) {
		v->sent.data[bit / 8] ^= (unsigned char)(1U << bit % 8);
		judgement = preamble ?
		    judge_preamble(role_of(v), v->sent.data, v->sent.len, &p) :
		    judge(role_of(v), v->sent.data, v->sent.len, &type, &u);
		v->sent.data[bit / 8] ^= (unsigned char)(1U << bit % 8);
		if (judgement == REFUSED)
			continue;
		missed += judgement == TAKEN;
		stuck += judgement == WANTS_MORE;
		example = bit;
	}
	if (!tap_ok(missed + stuck == 0,
	    "line %d: each bit of this %s that flips is seen", v->line,
	    v->what))
		tap_note("%zu of %zu are taken, %zu wait for more; one is bit "
		    "%zu of byte %zu", missed, bits, stuck, example % 8,
		    example / 8);
}

/* A frame of one side is none of the other, but for the two of both. */
static void
test_role(const struct vector *v)
{
	enum wire_role other = v->side == 'S' ? WIRE_RECEIVER : WIRE_SENDER;
	bool both = is(v, "KEEPALIVE") || is(v, "ABORT");
	struct wire_preamble p;
	enum wire_type type;
	union payload u;
	bool taken;

	if (is(v, "PREAMBLE"))
		taken = judge_preamble(other, v->sent.data, v->sent.len, &p) ==
		    TAKEN;
	else
		taken = judge(other, v->sent.data, v->sent.len, &type, &u) ==
		    TAKEN;
	tap_ok(taken == both, "line %d: this %s from the other side", v->line,
	    v->what);
}

static void
test_refused(const struct vector *v)
{
	struct wire_preamble p;
	enum wire_type type;
	union payload u;

	if (v->sent.len == WIRE_PREAMBLE && v->sent.data[0] == 0x89)
		tap_ok(judge_preamble(role_of(v), v->sent.data, v->sent.len,
		    &p) == REFUSED, "line %d: refused: %s", v->line,
		    text_of(v, "why"));
	else
		tap_ok(judge(role_of(v), v->sent.data, v->sent.len, &type,
		    &u) == REFUSED, "line %d: refused: %s", v->line,
		    text_of(v, "why"));
}

static void
test_hash(const struct vector *v)
{
	const struct bytes *content = value_of(v, "content");
	unsigned char expected[DIGEST_SIZE], got[DIGEST_SIZE];
	uint64_t check = strtoull(text_of(v, "xxh3_64"), NULL, 16);
	struct err e = { 0 };
	struct digest *d = digest_new(&e);
	size_t i, zeros;

	hash_of(v, "xxh3_128", expected);
	digest_of(content->data, content->len, got);
	tap_ok(equal_digests(got, expected) && digest_check(content->data,
	    content->len) == check, "line %d: hashes of %zu bytes", v->line,
	    content->len);
	if (d == NULL) {
		tap_ok(false, "memory for a digest");
		return;
	}
	/* In pieces that grow, after something that is forgotten. */
	digest_add(d, "forgotten", 9);
	digest_reset(d);
	for (i = 0; i < content->len / 2; i += i + 1) {
		digest_add(d, content->data + i, content->len / 2 - i < i + 1 ?
		    content->len / 2 - i : i + 1);
		digest_get(d, got);
	}
	i = content->len / 2;
	for (zeros = i; zeros < content->len; zeros++)
		if (content->data[zeros] != 0)
			break;
	if (zeros == content->len)
		digest_add_zeros(d, zeros - i);
	else
		digest_add(d, content->data + i, content->len - i);
	digest_get(d, got);
	tap_ok(equal_digests(got, expected), "line %d: the same in pieces",
	    v->line);
	digest_free(d);
}

static void
test_vectors(void)
{
	const struct vector *v;
	size_t i, t;
	bool seen;

	for (i = 0; i < file.count; i++) {
		v = &file.list[i];
		if (is(v, "hash"))
			test_hash(v);
		else if (is(v, "refused"))
			test_refused(v);
		else if (v->side != '-') {
			if (is(v, "PREAMBLE"))
				test_preamble(v);
			else
				test_frame(v);
			test_flips(v);
			test_role(v);
		}
	}
	for (t = 0; t < COUNT(types); t++) {
		seen = false;
		for (i = 0; i < file.count; i++)
			seen = seen || is(&file.list[i], types[t].name);
		tap_ok(seen, "there is a vector of %s", types[t].name);
	}
}

/* Conversations. */

struct entry {
	enum wire_kind kind;
	bool taken, finished;
	bool final;			/* HAVE: there under its name */
	bool compared, resumed;		/* CHECK is to come, FROM has come */
	uint64_t offered, there;	/* sizes */
	uint64_t size;
	unsigned char offer[DIGEST_SIZE], content[DIGEST_SIZE];
};

/* What both sides know, as far as a connection has been read. */
struct talk {
	enum wire_shape shape;
	struct entry entries[ENTRIES_MAX];
	size_t offered, answered;
	uint64_t dropped, failed;
	uint64_t bytes;			/* of the current entry */
	struct digest *digest;		/* of the current entry */
	const struct bytes *there;	/* what the receiver has of it */
	struct wire_end end;
	bool began, ended, judged, over;
};

#define REQUIRE(condition) do {						\
	if (!(condition))						\
		return #condition;					\
} while (0)

static struct entry *
current(struct talk *t)
{
	size_t i;

	for (i = 0; i < t->offered; i++)
		if (t->entries[i].taken && !t->entries[i].finished)
			return &t->entries[i];
	return NULL;
}

static const char *
hear_offer(struct talk *t, const struct vector *v, const struct wire_offer *o)
{
	struct entry *entry = &t->entries[t->offered++];

	REQUIRE(t->offered <= ENTRIES_MAX);
	REQUIRE((t->shape == WIRE_STREAM) == (o->name_len == 0));
	REQUIRE(t->shape == WIRE_TREE || (t->offered == 1 &&
	    o->kind <= WIRE_KIND_STREAM));
	entry->kind = o->kind;
	entry->offered = o->size;
	digest_of(v->sent.data + WIRE_HEADER, v->sent.len - WIRE_HEADER,
	    entry->offer);
	return NULL;
}

static const char *
hear_answer(struct talk *t, enum wire_type answer, uint64_t there)
{
	struct entry *entry = &t->entries[t->answered++];

	REQUIRE(t->answered <= t->offered);
	REQUIRE(there <= entry->offered);
	entry->there = there;
	entry->final = answer == WIRE_HAVE;
	entry->compared = there > 0 || entry->final;
	entry->taken = answer != WIRE_REFUSE;
	entry->finished = !entry->taken || entry->kind >= WIRE_KIND_DIRECTORY;
	REQUIRE(!entry->final || (there == entry->offered && there > 0));
	REQUIRE(!entry->compared || !entry->finished);
	if (current(t) == entry) {
		digest_reset(t->digest);
		t->bytes = 0;
	}
	return NULL;
}

static const char *
hear_check(struct talk *t, const unsigned char digest[DIGEST_SIZE])
{
	unsigned char there[DIGEST_SIZE];

	REQUIRE(current(t) != NULL && current(t)->compared);
	REQUIRE(t->there != NULL && current(t)->there == t->there->len);
	digest_of(t->there->data, t->there->len, there);
	REQUIRE(equal_digests(there, digest));
	return NULL;
}

static const char *
hear_from(struct talk *t, uint64_t offset)
{
	struct entry *entry = current(t);

	REQUIRE(entry != NULL && entry->compared && !entry->resumed);
	REQUIRE(offset == entry->there || (offset == 0 && !entry->final));
	entry->resumed = true;
	if (offset > 0)
		digest_add(t->digest, t->there->data, t->there->len);
	t->bytes = offset;
	return NULL;
}

/* Content; of a hole there is none but its size. */
static const char *
hear_content(struct talk *t, const struct bytes *content, uint64_t size)
{
	struct entry *entry = current(t);

	REQUIRE(entry != NULL && (!entry->compared || entry->resumed));
	REQUIRE(size > 0 && size <= (content != NULL ? WIRE_DATA_MAX :
	    WIRE_HOLE_MAX));
	REQUIRE(size <= entry->offered - t->bytes);
	if (content != NULL)
		digest_add(t->digest, content->data, content->len);
	else
		digest_add_zeros(t->digest, size);
	t->bytes += size;
	return NULL;
}

static const char *
hear_close(struct talk *t, const struct wire_close *c)
{
	struct entry *entry = current(t);

	REQUIRE(entry != NULL && (!entry->compared || entry->resumed));
	REQUIRE(c->size == t->bytes);
	REQUIRE(entry->kind == WIRE_KIND_STREAM || c->size == entry->offered);
	entry->finished = true;
	entry->size = c->size;
	digest_get(t->digest, entry->content);
	REQUIRE(equal_digests(c->digest, entry->content));
	return NULL;
}

static const char *
hear_end(struct talk *t, const struct wire_end *end)
{
	unsigned char chain[DIGEST_SIZE] = { 0 };
	const struct entry *entry;
	uint64_t bytes = 0;

	REQUIRE(current(t) == NULL && t->answered == t->offered);
	for (entry = t->entries; entry < t->entries + t->offered; entry++) {
		wire_chain(chain, entry->offer, entry->size, entry->content);
		bytes += entry->size;
	}
	REQUIRE(end->entries == t->offered && end->bytes == bytes);
	REQUIRE(end->failed == t->dropped);
	REQUIRE(equal_digests(chain, end->digest));
	t->end = *end;
	t->ended = true;
	return NULL;
}

static const char *
hear_verdict(struct talk *t, const struct wire_verdict *v)
{
	REQUIRE(t->ended && v->entries == t->end.entries);
	REQUIRE(v->failed == t->failed);
	REQUIRE(t->failed + t->dropped > 0 ||
	    equal_digests(v->digest, t->end.digest));
	t->judged = true;
	return NULL;
}

static const char *
hear_frame(struct talk *t, const struct vector *v, enum wire_type type,
    const union payload *u)
{
	switch (type) {
	case WIRE_OFFER:
		return hear_offer(t, v, &u->offer);
	case WIRE_TAKE:
		return hear_answer(t, WIRE_TAKE, u->number);
	case WIRE_HAVE:
		return hear_answer(t, WIRE_HAVE, u->number);
	case WIRE_REFUSE:
		t->failed++;
		return hear_answer(t, WIRE_REFUSE, 0);
	case WIRE_CHECK:
		return hear_check(t, u->digest);
	case WIRE_FROM:
		return hear_from(t, u->number);
	case WIRE_DATA:
		return hear_content(t, &u->content, u->content.len);
	case WIRE_HOLE:
		return hear_content(t, NULL, u->number);
	case WIRE_CLOSE:
		return hear_close(t, &u->close);
	case WIRE_DROP:
		REQUIRE(current(t) != NULL);
		current(t)->finished = true;
		t->dropped++;
		break;
	case WIRE_FAILED:
		REQUIRE(u->reason.entry < t->answered);
		REQUIRE(t->entries[u->reason.entry].taken);
		t->failed++;
		break;
	case WIRE_CONFIRM:
		REQUIRE(u->confirm.entries <= t->offered);
		break;
	case WIRE_END:
		return hear_end(t, &u->end);
	case WIRE_VERDICT:
		return hear_verdict(t, &u->verdict);
	case WIRE_BYE:
		REQUIRE(t->judged);
		t->over = true;
		break;
	case WIRE_ABORT:
		t->over = true;
		break;
	case WIRE_GO:
		REQUIRE(t->began);
		break;
	case WIRE_BEGIN:
		REQUIRE(!t->began);
		t->began = true;
		t->shape = u->begin.shape;
		break;
	case WIRE_KEEPALIVE:
		break;
	}
	return NULL;
}

/* What is wrong with a conversation; NULL: nothing. */
static const char *
hear(struct digest *digest, const struct vector *first,
    const struct vector *end)
{
	struct talk t = { .digest = digest };
	const struct vector *v;
	struct wire_preamble p;
	enum wire_type type;
	const char *wrong;
	union payload u;

	for (v = first; v < end; v++) {
		if (is(v, "there")) {
			t.there = value_of(v, "content");
			continue;
		}
		if (v < first + 2) {
			REQUIRE(role_of(v) == (v == first ? WIRE_RECEIVER :
			    WIRE_SENDER));
			REQUIRE(judge_preamble(role_of(v), v->sent.data,
			    v->sent.len, &p) == TAKEN);
			continue;
		}
		REQUIRE(judge(role_of(v), v->sent.data, v->sent.len, &type,
		    &u) == TAKEN);
		REQUIRE(v != first + 2 || type == WIRE_BEGIN);
		REQUIRE(v != first + 3 || type == WIRE_GO);
		REQUIRE(!t.over);
		wrong = hear_frame(&t, v, type, &u);
		if (wrong != NULL)
			return wrong;
	}
	REQUIRE(t.over);
	return NULL;
}

/* Does a CLOSE tell the digest of this content? */
static bool
is_closed(const struct vector *v, const struct vector *end)
{
	for (; v < end; v++)
		if (is(v, "CLOSE") || is(v, "DROP"))
			return is(v, "CLOSE");
	return false;
}

static void
test_conversation(struct digest *digest, const struct vector *first,
    const struct vector *end, const char *name)
{
	const char *wrong = hear(digest, first, end);
	size_t bit, missed = 0;
	const struct vector *v;

	if (!tap_ok(wrong == NULL, "line %d: the conversation: %s",
	    first->line, name))
		tap_note("not so: %s", wrong);
	for (v = first; v < end; v++) {
		if (is(v, "DATA") && !is_closed(v, end))
			continue;
		for (bit = 0; bit < 8 * v->sent.len; bit++) {
			v->sent.data[bit / 8] ^= (unsigned char)(1U << bit % 8);
			missed += hear(digest, first, end) == NULL;
			v->sent.data[bit / 8] ^= (unsigned char)(1U << bit % 8);
		}
	}
	tap_int((long long)missed, 0,
	    "line %d: flipped bits that nobody sees: %s", first->line, name);
}

static void
test_conversations(void)
{
	struct err e = { 0 };
	struct digest *digest = digest_new(&e);
	const struct vector *v, *next, *end = file.list + file.count;

	if (digest == NULL) {
		tap_ok(false, "memory for a digest");
		return;
	}
	for (v = file.list + file.talk; v < end; v = next) {
		next = v + 1;
		while (next < end && !is(next, "conversation"))
			next++;
		test_conversation(digest, v + 1, next, text_of(v, "name"));
	}
	digest_free(digest);
}

/* Headers. */

static unsigned char *
put_word(unsigned char *p, uint32_t word)
{
	int shift;

	for (shift = 24; shift >= 0; shift -= 8)
		*p++ = (unsigned char)(word >> shift);
	return p;
}

static bool
takes_header(enum wire_role from, unsigned code, uint32_t length)
{
	unsigned char buf[WIRE_HEADER], *p = buf;
	struct wire_header h;

	p = put_word(p, code << 24);
	p = put_word(p, length);
	p = put_word(p, 0);
	(void)put_word(p, (uint32_t)digest_check(buf, CHECKED));
	return wire_get_header(buf, from, &h) && h.type == code &&
	    h.length == length;
}

/* Each type from each side, with lengths around its limits. */
static void
test_headers(void)
{
	static const uint32_t lengths[] = { 0, 1, 7, 8, 9, 16, 17, 32, 35, 36,
	    255, 256, 4131, 65535, 65536, 1048575, 1048576, 1048577,
	    16777216, INT32_MAX, UINT32_C(1) << 31, UINT32_MAX };
	const struct type *t;
	unsigned code;
	size_t i, wrong;
	int side;
	bool ok;

	for (code = 0; code < 256; code++) {
		for (t = types; t < types + COUNT(types); t++)
			if (t->code == code)
				break;
		wrong = 0;
		for (side = 1; side <= 2; side++)
			for (i = 0; i < COUNT(lengths); i++) {
				ok = t < types + COUNT(types) &&
				    (t->from & side) != 0 &&
				    lengths[i] >= t->min &&
				    lengths[i] <= t->max;
				wrong += takes_header(side == 1 ? WIRE_SENDER :
				    WIRE_RECEIVER, code, lengths[i]) != ok;
			}
		tap_int((long long)wrong, 0, "headers of type 0x%02x", code);
	}
}

/* A text that is too long is cut, whatever the frame. */
static void
test_long_texts(void)
{
	static const enum wire_type with_text[] = {
		WIRE_DROP, WIRE_ABORT, WIRE_REFUSE, WIRE_FAILED
	};
	static char text[WIRE_TEXT_MAX + 1];
	unsigned char buf[WIRE_HEADER + WIRE_CONTROL_MAX];
	struct wire_reason r = { .entry = 7, .code = 1, .text = text,
	    .text_len = sizeof(text) };
	enum wire_type type;
	union payload got;
	size_t i, size;

	memset(text, 't', sizeof(text));
	for (i = 0; i < COUNT(with_text); i++) {
		size = wire_put_reason(buf, with_text[i], &r);
		tap_ok(judge(with_text[i] == WIRE_DROP ? WIRE_SENDER :
		    WIRE_RECEIVER, buf, size, &type, &got) == TAKEN &&
		    got.reason.text_len == WIRE_TEXT_MAX,
		    "type 0x%02x with a text too long", with_text[i]);
	}
}

/* What can become a preamble is seen with each byte. */
static void
test_beginnings(void)
{
	struct wire_preamble p = { .version = 1 };
	unsigned char buf[WIRE_PREAMBLE];
	size_t len, at, wrong = 0;
	int role;

	for (role = WIRE_SENDER; role <= WIRE_RECEIVER; role++) {
		wire_put_preamble(buf, (enum wire_role)role, &p);
		for (len = 0; len <= WIRE_PREAMBLE; len++) {
			wrong += !wire_is_preamble(buf, len,
			    (enum wire_role)role);
			for (at = 0; at < len && at < 8; at++) {
				buf[at] ^= 1;
				wrong += wire_is_preamble(buf, len,
				    (enum wire_role)role);
				buf[at] ^= 1;
			}
		}
	}
	tap_int((long long)wrong, 0, "the first bytes of a preamble");
}

int
main(int argc, char **argv)
{
	tap_start();
	read_file(argc > 1 ? argv[1] : VECTORS);
	test_vectors();
	test_conversations();
	test_headers();
	test_long_texts();
	test_beginnings();
	return tap_done();
}
