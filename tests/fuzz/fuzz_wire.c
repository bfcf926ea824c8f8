/*
 * Everything that takes bytes apart. What is taken and put together again has
 * to be the same bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "transfer/name.h"

/* A copy without anything behind it, so that reading on is seen. */
static unsigned char *
copy_of(const unsigned char *data, size_t size)
{
	unsigned char *copy = malloc(size > 0 ? size : 1);

	if (copy == NULL)
		abort();
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

/* What was put stands behind a header. */
static void
compare(const unsigned char *raw, size_t raw_size, const unsigned char *p,
    size_t len)
{
	if (raw_size != WIRE_HEADER + len ||
	    memcmp(raw + WIRE_HEADER, p, len) != 0) {
		(void)fprintf(stderr, "fuzz: other bytes\n");
		abort();
	}
}

static void
take_preambles(const unsigned char *p, size_t size)
{
	unsigned char raw[WIRE_PREAMBLE];
	struct wire_preamble preamble;
	enum wire_role role;
	int i;

	for (i = 0; i < 2; i++) {
		role = i == 0 ? WIRE_SENDER : WIRE_RECEIVER;
		if (!wire_is_preamble(p, size, role) ||
		    size < WIRE_PREAMBLE || !wire_get_preamble(p, &preamble))
			continue;
		wire_put_preamble(raw, role, &preamble);
		if (preamble.version == WIRE_VERSION &&
		    memcmp(raw, p, sizeof(raw)) != 0)
			abort();
	}
}

static void
take_header(const unsigned char *p, size_t size)
{
	struct wire_header h;
	enum wire_role role = size % 2 == 0 ? WIRE_SENDER : WIRE_RECEIVER;

	if (size < WIRE_HEADER || !wire_get_header(p, role, &h))
		return;
	if (h.length > WIRE_DATA_MAX ||
	    (h.type != WIRE_DATA && h.length > WIRE_CONTROL_MAX))
		abort();
	if (h.type == WIRE_DATA || h.length <= size - WIRE_HEADER)
		(void)wire_check(&h, p + WIRE_HEADER);
}

static void
take_entries(const unsigned char *p, size_t len)
{
	static unsigned char raw[WIRE_HEADER + WIRE_CONTROL_MAX];
	struct wire_begin begin;
	struct wire_offer offer;
	struct wire_close close;
	struct wire_end end;

	if (wire_get_begin(p, len, &begin))
		compare(raw, wire_put_begin(raw, &begin), p, len);
	if (wire_get_offer(p, len, &offer)) {
		(void)name_fault(offer.name, offer.name_len);
		compare(raw, wire_put_offer(raw, &offer), p, len);
	}
	if (wire_get_close(p, len, &close))
		compare(raw, wire_put_close(raw, &close), p, len);
	if (wire_get_end(p, len, &end))
		compare(raw, wire_put_end(raw, &end), p, len);
}

static void
take_answers(const unsigned char *p, size_t len)
{
	static const enum wire_type reasons[] = { WIRE_DROP, WIRE_ABORT,
	    WIRE_REFUSE, WIRE_FAILED };
	static unsigned char raw[WIRE_HEADER + WIRE_CONTROL_MAX];
	struct wire_confirm confirm;
	struct wire_verdict verdict;
	struct wire_reason reason;
	uint64_t number;
	size_t i;

	if (wire_get_number(p, len, &number))
		compare(raw, wire_put_number(raw, WIRE_TAKE, number), p, len);
	if (wire_get_confirm(p, len, &confirm))
		compare(raw, wire_put_confirm(raw, &confirm), p, len);
	if (wire_get_verdict(p, len, &verdict))
		compare(raw, wire_put_verdict(raw, &verdict), p, len);
	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (wire_get_reason(p, len, reasons[i], &reason))
			compare(raw, wire_put_reason(raw, reasons[i],
			    &reason), p, len);
}

/* A name that is taken has a partial file whose name is not. */
static void
take_name(const unsigned char *p, size_t len)
{
	char name[WIRE_NAME_MAX + 1], partial[NAME_COMPONENT_MAX + 1];

	if (name_fault((const char *)p, len) != NULL ||
	    memchr(p, '/', len) != NULL)
		return;
	memcpy(name, p, len);
	name[len] = '\0';
	name_partial(name, partial);
	if (name_fault(partial, strlen(partial)) == NULL ||
	    !name_is_partial(partial) || name_is_partial(name))
		abort();
}

/* The same as a whole frame with right checks: of each type. */
static void
take_frame(const unsigned char *p, size_t len)
{
	unsigned char raw[WIRE_HEADER];
	struct wire_header h = { .type = WIRE_ABORT };

	wire_put_data_header(raw, (uint32_t)len);
	(void)wire_get_header(raw, WIRE_SENDER, &h);
	h.length = (uint32_t)len;
	(void)wire_check(&h, p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char *p = copy_of(data, size);

	take_preambles(p, size);
	take_header(p, size);
	take_entries(p, size);
	take_answers(p, size);
	take_name(p, size);
	take_frame(p, size);
	free(p);
	return 0;
}
