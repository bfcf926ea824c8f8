/* Bytes on their way to several readers: alive until the last has had them. */
#include "flow/chunk.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"

enum {
	READERS = 5,
	ROUNDS = 20000,
	SIZE_MAX_CHUNK = 100,
};

static void
test_one(void)
{
	struct chunks q = { 0 };
	struct chunk *a, *b;

	a = chunks_add(&q, "hello", 5, NULL, 2);
	tap_ok(a != NULL && q.first == a && q.last == a, "the first");
	tap_ok(a->len == 5 && memcmp(a->data, "hello", 5) == 0, "a copy");
	tap_ok(q.bytes >= 5, "counted with what it costs");
	b = chunks_add(&q, "", 0, NULL, 1);
	tap_ok(b != NULL && a->next == b && q.last == b, "an empty one behind");
	chunks_release(&q, a);
	tap_ok(q.first == a, "alive with one reader left");
	chunks_release(&q, b);
	tap_ok(q.first == a && q.last == b,
	    "who has been read stays behind one that has not");
	chunks_release(&q, a);
	tap_ok(q.first == NULL && q.last == NULL, "both go");
	tap_int((long long)q.bytes, 0, "and cost nothing");
	a = chunks_add(&q, "again", 5, NULL, 1);
	tap_ok(q.first == a && q.last == a, "the queue can be used again");
	chunks_free(&q);
	tap_ok(q.first == NULL && q.last == NULL && q.bytes == 0, "freed");
	chunks_free(&q);
}

static void
test_origin(void)
{
	struct chunks q = { 0 };
	struct chunk *a, *b, *c;
	int me, you;

	a = chunks_add(&q, "a", 1, &me, 1);
	b = chunks_add(&q, "b", 1, &me, 1);
	c = chunks_add(&q, "c", 1, &you, 1);
	tap_ok(chunk_for(a, &me) == c, "not what one has sent itself");
	tap_ok(chunk_for(a, &you) == a && chunk_for(b, &you) == b &&
	    chunk_for(c, &you) == NULL, "but what the other has");
	tap_ok(chunk_for(NULL, &me) == NULL, "nothing after the last");
	chunks_free(&q);
}

/* What a reader has had so far, compared with what was for it. */
struct reader {
	struct chunk *at;
	uint64_t want, got;		/* sums over what it has to get */
};

static uint64_t
sum(uint64_t before, const char *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		before = before * 31 + (unsigned char)data[i];
	return before + 1;
}

static void
publish(struct chunks *q, struct reader *readers, uint64_t *seed)
{
	size_t len = tap_random(seed) % SIZE_MAX_CHUNK, i;
	struct reader *origin = &readers[tap_random(seed) % READERS];
	char data[SIZE_MAX_CHUNK];
	struct chunk *c;

	for (i = 0; i < len; i++)
		data[i] = (char)tap_random(seed);
	c = chunks_add(q, data, len, origin, READERS - 1);
	for (i = 0; i < READERS; i++) {
		if (&readers[i] == origin)
			continue;
		readers[i].want = sum(readers[i].want, data, len);
		if (readers[i].at == NULL)
			readers[i].at = c;
	}
}

static void
read_one(struct chunks *q, struct reader *r)
{
	struct chunk *c = r->at;

	if (c == NULL)
		return;
	r->got = sum(r->got, c->data, c->len);
	r->at = chunk_for(c->next, r);
	chunks_release(q, c);
}

static void
test_random(void)
{
	struct reader readers[READERS] = { 0 };
	struct chunks q = { 0 };
	uint64_t seed = tap_seed();
	int i, good = 0;

	for (i = 0; i < ROUNDS; i++)
		if (tap_random(&seed) % (READERS + 1) == 0)
			publish(&q, readers, &seed);
		else
			read_one(&q, &readers[tap_random(&seed) % READERS]);
	for (i = 0; i < READERS; i++) {
		while (readers[i].at != NULL)
			read_one(&q, &readers[i]);
		good += readers[i].got == readers[i].want;
	}
	tap_int(good, READERS, "each reader has had what was for it, in order");
	tap_ok(q.first == NULL && q.bytes == 0, "and nothing is left");
}

int
main(void)
{
	tap_start();
	test_one();
	test_origin();
	test_random();
	return tap_done();
}
