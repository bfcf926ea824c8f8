/*
 * One direction: whatever the source and the sink do to it, the same bytes
 * come out, in both modes. Sources and sinks are in memory, and under them
 * lies the fault transport.
 */
#include "flow/pump.h"

#include <pthread.h>

#include "fault.h"
#include "net.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum {
	ROUNDS = 10,
	SIZE_MAX_BYTES = 600 * 1024,
	LINE_MAX_BYTES = 3000,
	PIECES_MAX = 64,
	BUDGET = 64 * 1024,
	MANY_LINES = 60 * 1000,
};

/* A source that gives its pieces one a read, and a sink that keeps them. */
struct memory {
	const char *const *pieces;	/* of strings; or... */
	const char *bytes;		/* ...bytes, any number a read */
	size_t left;
	char *kept;
	size_t room, size;
	size_t count;			/* of datagrams */
	size_t lengths[PIECES_MAX];
	bool shut;
};

static enum sk_result
memory_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	struct memory *m = s->priv;

	(void)e;
	if (m->pieces != NULL) {
		if (*m->pieces == NULL)
			return SK_EOF;
		*got = strlen(*m->pieces);
		memcpy(buf, *m->pieces++, *got);
		return SK_OK;
	}
	if (m->left == 0)
		return SK_EOF;
	*got = len < m->left ? len : m->left;
	memcpy(buf, m->bytes, *got);
	m->bytes += *got;
	m->left -= *got;
	return SK_OK;
}

static void
keep(struct memory *m, const char *bytes, size_t len)
{
	while (m->size + len > m->room) {
		m->room = m->room > 0 ? 2 * m->room : SIZE_MAX_BYTES;
		m->kept = realloc(m->kept, m->room);
		if (m->kept == NULL)
			exit(1);
	}
	if (len > 0)
		memcpy(m->kept + m->size, bytes, len);
	m->size += len;
}

static enum sk_result
memory_try_send(struct sock *s, const void *buf, size_t len, size_t *put,
    struct err *e)
{
	struct memory *m = s->priv;

	if (s->tr->datagram && len > PUMP_DATAGRAM_MAX) {
		err_set(e, ERR_LOCAL, EMSGSIZE, s->name,
		    "a datagram of %zu bytes", len);
		return SK_ERROR;
	}
	keep(m, buf, len);
	m->lengths[m->count % PIECES_MAX] = len;
	m->count++;
	*put = len;
	return SK_OK;
}

static enum sk_result
memory_try_shutdown(struct sock *s, struct err *e)
{
	struct memory *m = s->priv;

	(void)e;
	m->shut = true;
	return SK_OK;
}

static const struct transport memory_stream = {
	.try_recv = memory_try_recv,
	.try_send = memory_try_send,
	.try_shutdown = memory_try_shutdown,
};

static const struct transport memory_datagram = {
	.datagram = true,
	.try_recv = memory_try_recv,
	.try_send = memory_try_send,
	.try_shutdown = memory_try_shutdown,
};

/* A pump from one memory to another, through faults. */
struct setting {
	enum sk_mode mode;
	int percent;
	uint64_t seed;
	enum pump_unit unit;
	bool crlf, hold;
	bool datagrams_in, datagrams_out;
};

static struct sock *
open_end(struct memory *m, bool datagram, const struct setting *set,
    const struct fault_config *faults, const char *name, struct err *e)
{
	struct sock *s = sock_make(datagram ? &memory_datagram :
	    &memory_stream, -1, set->mode, name, e);

	if (s == NULL)
		exit(1);
	s->priv = m;
	return fault_wrap(s, set->mode, faults, e);
}

/* Step until there is an outcome; the wants of the steps are waited for. */
static enum sk_result
finish(struct pump *p, struct err *e)
{
	enum sk_result r;

	for (;;) {
		r = pump_step(p, BUDGET, e);
		if (r == SK_WANT_READ || r == SK_WANT_WRITE)
			r = sock_wait(p->waits, p->side, r);
		if (r != SK_OK)
			return r;
	}
}

static enum sk_result
run(const struct setting *set, struct memory *from, struct memory *to,
    const struct fault_config *in_faults,
    const struct fault_config *out_faults, struct pump *p, struct err *e)
{
	enum sk_result r;

	p->from = open_end(from, set->datagrams_in, set, in_faults, "source",
	    e);
	p->to = open_end(to, set->datagrams_out, set, out_faults, "sink", e);
	if (p->from == NULL || p->to == NULL)
		return SK_ERROR;
	pump_init(p, p->from, p->to);
	p->unit = set->unit;
	p->crlf = set->crlf;
	p->hold = set->hold;
	r = finish(p, e);
	pump_release(p);
	sock_abort(&p->from);
	sock_abort(&p->to);
	return r;
}

static enum sk_result
run_faulted(const struct setting *set, struct memory *from,
    struct memory *to, struct pump *p, struct err *e)
{
	struct fault_config in = { .seed = set->seed,
	    .percent = set->percent };
	struct fault_config out = { .seed = ~set->seed,
	    .percent = set->percent };

	return run(set, from, to, &in, &out, p, e);
}

static char *
random_bytes(uint64_t *state, size_t size)
{
	char *bytes = malloc(size + 1);
	size_t i;

	if (bytes == NULL)
		exit(1);
	for (i = 0; i < size; i++)
		bytes[i] = (char)tap_random(state);
	bytes[size] = '\0';
	return bytes;
}

/* Text with every mixture of CR, LF and short and long lines. */
static char *
random_text(uint64_t *state, size_t size)
{
	static const char alphabet[] = "\r\n\r\nab\r\n";
	char *text = random_bytes(state, size);
	size_t i, run_end = 0;

	for (i = 0; i < size; i++) {
		if (i >= run_end && tap_random(state) % 16 == 0)
			run_end = i + tap_random(state) % LINE_MAX_BYTES;
		text[i] = i < run_end ? 'x' :
		    alphabet[tap_random(state) % (sizeof(alphabet) - 1)];
	}
	return text;
}

/* What --crlf makes of a text; the caller frees it. */
static char *
with_crlf(const char *text, size_t size, size_t *out_size)
{
	char *out = malloc(2 * size + 1);
	size_t i;

	if (out == NULL)
		exit(1);
	*out_size = 0;
	for (i = 0; i < size; i++) {
		if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'))
			out[(*out_size)++] = '\r';
		out[(*out_size)++] = text[i];
	}
	return out;
}

static bool
same(const struct memory *m, const char *bytes, size_t size)
{
	return m->size == size && (size == 0 ||
	    memcmp(m->kept, bytes, size) == 0);
}

/* Bytes of random sizes, with 0 to 90 % of all calls faulted. */
static void
test_bytes(const struct setting *base, bool crlf)
{
	static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 65535, 65536,
	    65537, 262143, 262144, 262145 };
	struct setting set = *base;
	struct memory from, to;
	struct err e = { 0 };
	struct pump p;
	size_t size, expected_size, i;
	char *bytes, *expected;
	uint64_t state = base->seed;
	bool ok;

	set.crlf = crlf;
	for (i = 0; i < COUNT(sizes) + ROUNDS; i++) {
		size = i < COUNT(sizes) ? sizes[i] :
		    (size_t)(tap_random(&state) % SIZE_MAX_BYTES);
		set.percent = (int)(i * 90 / (COUNT(sizes) + ROUNDS - 1));
		if (i < COUNT(sizes))
			set.percent = i % 2 == 0 ? 0 : 50;
		set.seed = tap_random(&state);
		bytes = crlf ? random_text(&state, size) :
		    random_bytes(&state, size);
		expected = bytes;
		expected_size = size;
		if (crlf)
			expected = with_crlf(bytes, size, &expected_size);
		from = (struct memory){ .bytes = bytes, .left = size };
		to = (struct memory){ .size = 0 };
		ok = run_faulted(&set, &from, &to, &p, &e) == SK_EOF;
		tap_ok(ok && same(&to, expected, expected_size) && to.shut &&
		    atomic_load(&p.bytes) == expected_size,
		    "%s: %zu bytes%s, %d %% faulted",
		    net_mode_names[set.mode], size, crlf ? " with --crlf" :
		    "", set.percent);
		if (crlf)
			free(expected);
		free(bytes);
		free(to.kept);
		err_clear(&e);
	}
}

/* LF to CRLF, with the reads ending between CR and LF. */
static void
test_crlf(const struct setting *base)
{
	static const struct crlf_case {
		const char *pieces[8];
		const char *expected;
	} cases[] = {
		{ { "a\nb\n" }, "a\r\nb\r\n" },
		{ { "a\r\nb\r\n" }, "a\r\nb\r\n" },
		{ { "a\r", "\nb" }, "a\r\nb" },
		{ { "a", "\r", "\n", "b" }, "a\r\nb" },
		{ { "a", "\n", "\n", "b" }, "a\r\n\r\nb" },
		{ { "\n" }, "\r\n" },
		{ { "\r" }, "\r" },
		{ { "\r", "x", "\n" }, "\rx\r\n" },
		{ { "\r\r", "\n\n", "\r" }, "\r\r\n\r\n\r" },
		{ { "\n\r", "\n\r\n" }, "\r\n\r\n\r\n" },
	};
	struct setting set = *base;
	struct memory from, to;
	struct err e = { 0 };
	struct pump p;
	size_t i;

	set.crlf = true;
	for (i = 0; i < COUNT(cases); i++) {
		from = (struct memory){ .pieces = cases[i].pieces };
		to = (struct memory){ .size = 0 };
		tap_ok(run_faulted(&set, &from, &to, &p, &e) == SK_EOF &&
		    same(&to, cases[i].expected, strlen(cases[i].expected)),
		    "%s: --crlf, case %zu", net_mode_names[set.mode], i);
		free(to.kept);
		err_clear(&e);
	}
}

/* Each line a datagram, its newline included, however the reads cut it. */
static void
test_lines(const struct setting *base)
{
	struct setting set = *base;
	struct memory from, to;
	struct err e = { 0 };
	struct pump p;
	char *text;
	size_t i, lines, size;
	uint64_t state = base->seed;
	static const char few[] = "one\n\nthree\nno newline";
	static const size_t lengths[] = { 4, 1, 6, 10 };

	set.unit = PUMP_LINE;
	set.datagrams_out = true;
	from = (struct memory){ .bytes = few, .left = sizeof(few) - 1 };
	to = (struct memory){ .size = 0 };
	tap_ok(run_faulted(&set, &from, &to, &p, &e) == SK_EOF &&
	    same(&to, few, sizeof(few) - 1) && to.count == COUNT(lengths) &&
	    memcmp(to.lengths, lengths, sizeof(lengths)) == 0,
	    "%s: a datagram for each line", net_mode_names[set.mode]);
	free(to.kept);

	text = random_text(&state, SIZE_MAX_BYTES);
	for (lines = i = 0; i < SIZE_MAX_BYTES; i++)
		lines += text[i] == '\n';
	lines += text[SIZE_MAX_BYTES - 1] != '\n';
	from = (struct memory){ .bytes = text, .left = SIZE_MAX_BYTES };
	to = (struct memory){ .size = 0 };
	set.percent = 5;
	tap_ok(run_faulted(&set, &from, &to, &p, &e) == SK_EOF &&
	    same(&to, text, SIZE_MAX_BYTES) && to.count == lines,
	    "%s: %zu lines", net_mode_names[set.mode], lines);
	free(to.kept);
	free(text);

	for (size = PUMP_DATAGRAM_MAX; size <= PUMP_DATAGRAM_MAX + 1;
	    size++) {
		text = random_bytes(&state, size);
		memset(text, 'x', size);
		text[size - 1] = '\n';
		from = (struct memory){ .bytes = text, .left = size };
		to = (struct memory){ .size = 0 };
		set.percent = 30;
		if (size == PUMP_DATAGRAM_MAX)
			tap_ok(run_faulted(&set, &from, &to, &p, &e) ==
			    SK_EOF && to.count == 1 && to.size == size,
			    "%s: the longest line", net_mode_names[set.mode]);
		else
			tap_ok(run_faulted(&set, &from, &to, &p, &e) ==
			    SK_ERROR && e.code == ERR_LOCAL && to.count == 0,
			    "%s: a line too long is an error",
			    net_mode_names[set.mode]);
		free(to.kept);
		free(text);
		err_clear(&e);
	}
}

/* Each read a datagram, at most as large as one can be. */
static void
test_chunks(const struct setting *base)
{
	static const char *const pieces[] = { "a", "bb\n", "ccc", NULL };
	struct setting set = *base;
	struct memory from = { .pieces = pieces }, to = { .size = 0 };
	struct err e = { 0 };
	struct pump p;
	uint64_t state = base->seed;
	char *bytes = random_bytes(&state, SIZE_MAX_BYTES);
	size_t i, largest = 0;

	set.unit = PUMP_CHUNK;
	set.datagrams_out = true;
	tap_ok(run_faulted(&set, &from, &to, &p, &e) == SK_EOF &&
	    to.count == 3 && to.lengths[0] == 1 && to.lengths[1] == 3 &&
	    to.lengths[2] == 3, "%s: a datagram for each read",
	    net_mode_names[set.mode]);
	free(to.kept);

	from = (struct memory){ .bytes = bytes, .left = SIZE_MAX_BYTES };
	to = (struct memory){ .size = 0 };
	set.percent = 0;
	tap_ok(run_faulted(&set, &from, &to, &p, &e) == SK_EOF &&
	    same(&to, bytes, SIZE_MAX_BYTES), "%s: chunks of a large input",
	    net_mode_names[set.mode]);
	for (i = 0; i < to.count && i < PIECES_MAX; i++)
		if (to.lengths[i] > largest)
			largest = to.lengths[i];
	tap_int((long long)largest, PUMP_DATAGRAM_MAX,
	    "%s: the largest of them", net_mode_names[set.mode]);
	free(to.kept);

	/* LF to CRLF makes a read larger, but no datagram too large. */
	memset(bytes, '\n', MANY_LINES);
	from = (struct memory){ .bytes = bytes, .left = MANY_LINES };
	to = (struct memory){ .size = 0 };
	set.crlf = true;
	tap_ok(run_faulted(&set, &from, &to, &p, &e) == SK_EOF &&
	    to.size == 2 * MANY_LINES, "%s: chunks with --crlf",
	    net_mode_names[set.mode]);
	free(to.kept);
	free(bytes);
	err_clear(&e);
}

/* A datagram stays a datagram: no size is cut, merged or taken for an end. */
static void
test_datagrams(const struct setting *base)
{
	enum { LARGE = 65507 };
	char *large = malloc(LARGE + 1), *over = malloc(LARGE + 2);
	const char *pieces[] = { "", "a", "", large, "", "", "bc", NULL };
	const char *too_large[] = { "a", over, "b", NULL };
	static const size_t lengths[] = { 0, 1, 0, LARGE, 0, 0, 2 };
	struct setting set = *base;
	struct memory from = { .pieces = pieces }, to = { .size = 0 };
	struct err e = { 0 };
	struct pump p;

	if (large == NULL || over == NULL)
		exit(1);
	memset(large, 'l', LARGE);
	large[LARGE] = '\0';
	memset(over, 'o', LARGE + 1);
	over[LARGE + 1] = '\0';
	set.datagrams_in = set.datagrams_out = true;
	set.unit = PUMP_CHUNK;
	tap_ok(run_faulted(&set, &from, &to, &p, &e) == SK_EOF &&
	    to.count == COUNT(lengths) &&
	    memcmp(to.lengths, lengths, sizeof(lengths)) == 0,
	    "%s: datagrams as they are", net_mode_names[set.mode]);
	free(to.kept);

	from = (struct memory){ .pieces = pieces };
	to = (struct memory){ .size = 0 };
	set.datagrams_out = false;
	set.unit = PUMP_STREAM;
	tap_ok(run_faulted(&set, &from, &to, &p, &e) == SK_EOF &&
	    to.size == LARGE + 3, "%s: datagrams to a stream",
	    net_mode_names[set.mode]);
	free(to.kept);

	from = (struct memory){ .pieces = too_large };
	to = (struct memory){ .size = 0 };
	set.datagrams_out = true;
	set.unit = PUMP_CHUNK;
	tap_ok(run_faulted(&set, &from, &to, &p, &e) == SK_ERROR &&
	    e.code == ERR_LOCAL && to.size == 1,
	    "%s: too large a datagram is an error, not cut",
	    net_mode_names[set.mode]);
	free(to.kept);
	free(large);
	free(over);
	err_clear(&e);
}

/* A source or a sink that breaks: the blame, and what came before. */
static void
test_breaks(const struct setting *base)
{
	struct fault_config faults[2];
	struct setting set = *base;
	struct memory from, to;
	struct err e = { 0 };
	struct pump p;
	uint64_t state = base->seed;
	char *bytes = random_bytes(&state, SIZE_MAX_BYTES);
	uint64_t after;
	enum sk_result r;
	int i, side;

	for (i = 0; i < ROUNDS; i++) {
		side = i % 2;
		after = i < 2 ? 0 : tap_random(&state) % SIZE_MAX_BYTES;
		memset(faults, 0, sizeof(faults));
		faults[0].percent = faults[1].percent = i * 5;
		faults[0].seed = tap_random(&state);
		faults[1].seed = tap_random(&state);
		faults[side].breaks = true;
		faults[side].break_after = after;
		from = (struct memory){ .bytes = bytes,
		    .left = SIZE_MAX_BYTES };
		to = (struct memory){ .size = 0 };
		r = run(&set, &from, &to, &faults[0], &faults[1], &p, &e);
		tap_ok(r == SK_ERROR && e.code == ERR_BROKEN &&
		    e.sys == ECONNRESET && !to.shut &&
		    strcmp(e.text, side == 0 ? "receiving" : "sending") == 0 &&
		    strcmp(e.who, side == 0 ? "source" : "sink") == 0 &&
		    (int)p.side == (side == 0 ? SK_IN : SK_OUT),
		    "%s: the %s breaks after %llu bytes",
		    net_mode_names[set.mode], side == 0 ? "source" : "sink",
		    (unsigned long long)after);
		tap_ok(same(&to, bytes, (size_t)after) &&
		    atomic_load(&p.bytes) == after,
		    "%s: what came before is delivered",
		    net_mode_names[set.mode]);
		free(to.kept);
		err_clear(&e);
	}
	free(bytes);
}

static void
test_hold(const struct setting *base)
{
	struct setting set = *base;
	struct memory from = { .bytes = "x", .left = 1 }, to = { .size = 0 };
	struct err e = { 0 };
	struct pump p;

	set.hold = true;
	tap_ok(run_faulted(&set, &from, &to, &p, &e) == SK_EOF && !to.shut &&
	    to.size == 1 && atomic_load(&p.ended_ns) != 0,
	    "%s: held, the sink is not told of the end",
	    net_mode_names[set.mode]);
	free(to.kept);
	err_clear(&e);
}

/* A budget is kept, so that no direction starves another. */
static void
test_budget(const struct setting *base)
{
	struct fault_config none = { .percent = 0 };
	struct memory from, to = { .size = 0 };
	struct err e = { 0 };
	struct pump p;
	uint64_t state = base->seed;
	char *bytes = random_bytes(&state, SIZE_MAX_BYTES);

	from = (struct memory){ .bytes = bytes, .left = SIZE_MAX_BYTES };
	p.from = open_end(&from, false, base, &none, "source", &e);
	p.to = open_end(&to, false, base, &none, "sink", &e);
	pump_init(&p, p.from, p.to);
	/* The least budget is good for one attempt: a read, then a write. */
	tap_ok(pump_step(&p, 1, &e) == SK_OK && to.count == 0 &&
	    pump_step(&p, 1, &e) == SK_OK && to.count == 1,
	    "%s: a step ends when its budget is spent",
	    net_mode_names[base->mode]);
	tap_ok(pump_step(&p, SIZE_MAX, &e) == SK_OK &&
	    atomic_load(&p.state) == PUMP_SHUTTING && !to.shut,
	    "%s: and before the sink is shut", net_mode_names[base->mode]);
	tap_ok(pump_step(&p, 1, &e) == SK_OK && to.shut &&
	    pump_step(&p, 1, &e) == SK_OK &&
	    pump_step(&p, 1, &e) == SK_EOF &&
	    pump_step(&p, 1, &e) == SK_EOF && same(&to, bytes,
	    SIZE_MAX_BYTES), "%s: done stays done",
	    net_mode_names[base->mode]);
	pump_release(&p);
	sock_abort(&p.from);
	sock_abort(&p.to);
	free(to.kept);
	free(bytes);
	err_clear(&e);
}

struct mover {
	struct pump pump;
	enum sk_result result;
	struct err err;
};

static void *
move_all(void *arg)
{
	struct mover *m = arg;

	m->result = finish(&m->pump, &m->err);
	pump_release(&m->pump);
	return NULL;
}

/* Into a real socket and out of it, with faults, in two threads. */
static void
test_sockets(const struct setting *base, enum net_kind kind)
{
	struct sock_config config = { .mode = base->mode };
	struct fault_config none = { .percent = 0 };
	struct fault_config faults = { base->seed, 30, false, 0 };
	uint64_t state = base->seed;
	char *bytes = random_bytes(&state, SIZE_MAX_BYTES);
	struct memory from = { .bytes = bytes, .left = SIZE_MAX_BYTES };
	struct memory to = { .size = 0 };
	struct sock *pair[2], *source, *sink;
	struct mover up = { .result = SK_ERROR }, down = up;
	struct err e = { 0 };
	pthread_t thread;

	source = open_end(&from, false, base, &none, "source", &e);
	sink = open_end(&to, false, base, &none, "sink", &e);
	if (!tap_ok(net_pair(kind, &config, pair, &e), "%s: %s: a pair",
	    net_mode_names[base->mode], net_kind_names[kind]))
		goto out;
	pair[0] = fault_wrap(pair[0], base->mode, &faults, &e);
	faults.seed++;
	pair[1] = fault_wrap(pair[1], base->mode, &faults, &e);
	pump_init(&up.pump, source, pair[0]);
	pump_init(&down.pump, pair[1], sink);
	if (pthread_create(&thread, NULL, move_all, &up) != 0)
		goto out;
	(void)move_all(&down);
	(void)pthread_join(thread, NULL);
	tap_ok(up.result == SK_EOF && down.result == SK_EOF &&
	    same(&to, bytes, SIZE_MAX_BYTES), "%s: %s: the same bytes",
	    net_mode_names[base->mode], net_kind_names[kind]);
	tap_ok(net_close(&pair[1], &e) == SK_OK &&
	    net_close(&pair[0], &e) == SK_OK, "%s: %s: closed in order",
	    net_mode_names[base->mode], net_kind_names[kind]);
out:
	sock_abort(&pair[0]);
	sock_abort(&pair[1]);
	sock_abort(&source);
	sock_abort(&sink);
	free(to.kept);
	free(bytes);
	err_clear(&up.err);
	err_clear(&down.err);
	err_clear(&e);
}

int
main(void)
{
	struct setting set = { .mode = SK_NONBLOCKING, .percent = 20 };

	tap_start();
	set.seed = tap_seed();
	for (; set.mode <= SK_BLOCKING; set.mode++) {
		test_bytes(&set, false);
		test_bytes(&set, true);
		test_crlf(&set);
		test_lines(&set);
		test_chunks(&set);
		test_datagrams(&set);
		test_breaks(&set);
		test_hold(&set);
		test_budget(&set);
		test_sockets(&set, NET_UNIX);
		test_sockets(&set, NET_TCP4);
	}
	net_clean();
	return tap_done();
}
