#include "flow/chunk.h"

#include <stdlib.h>
#include <string.h>

struct chunk *
chunks_add(struct chunks *q, const void *data, size_t len,
    const void *origin, size_t readers)
{
	struct chunk *c = malloc(sizeof(*c) + len);

	if (c == NULL)
		return NULL;
	c->next = NULL;
	c->origin = origin;
	c->readers = readers;
	c->len = len;
	memcpy(c->data, data, len);
	if (q->last != NULL)
		q->last->next = c;
	else
		q->first = c;
	q->last = c;
	c->position = q->added;
	q->added += sizeof(*c) + len;
	q->bytes += sizeof(*c) + len;
	return c;
}

static void
drop_first(struct chunks *q)
{
	struct chunk *c = q->first;

	q->first = c->next;
	if (q->first == NULL)
		q->last = NULL;
	q->bytes -= sizeof(*c) + c->len;
	free(c);
}

void
chunks_release(struct chunks *q, struct chunk *c)
{
	c->readers--;
	while (q->first != NULL && q->first->readers == 0)
		drop_first(q);
}

struct chunk *
chunk_for(struct chunk *c, const void *reader)
{
	while (c != NULL && c->origin == reader)
		c = c->next;
	return c;
}

void
chunks_free(struct chunks *q)
{
	while (q->first != NULL)
		drop_first(q);
}
