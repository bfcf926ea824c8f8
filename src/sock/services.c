/* What the ports are called: of several names of one, the first one. */
#include "sock/services_impl.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 256 };

struct service {
	struct service *next;	/* of the same bucket */
	unsigned port;
	char name[];
};

struct services {
	const char *proto;
	const struct ports *only;	/* NULL: all; while they are read */
	struct service *buckets[BUCKETS];	/* by the low byte */
};

static void
forget(struct services *s)
{
	struct service *p, *next;
	size_t i;

	for (i = 0; i < BUCKETS; i++) {
		for (p = s->buckets[i]; p != NULL; p = next) {
			next = p->next;
			free(p);
		}
		s->buckets[i] = NULL;
	}
}

static bool
is_wanted(const struct services *s, unsigned long port)
{
	return port <= PORTS_MAX && (s->only == NULL ||
	    (s->only->bits[port / 32] & UINT32_C(1) << (port % 32)) != 0);
}

void
services_add(struct services *s, const char *name, unsigned long port,
    const char *proto)
{
	size_t size = strlen(name) + 1;
	struct service *p;

	if (!is_wanted(s, port) || strcmp(proto, s->proto) != 0 ||
	    services_name(s, (unsigned)port) != NULL)
		return;
	/* Without memory, it has no name. */
	p = malloc(sizeof(*p) + size);
	if (p == NULL)
		return;
	p->port = (unsigned)port;
	memcpy(p->name, name, size);
	p->next = s->buckets[port % BUCKETS];
	s->buckets[port % BUCKETS] = p;
}

struct services *
services_read(bool datagram, const struct ports *only)
{
	struct services *s = calloc(1, sizeof(*s));
	const struct servent *entry;

	if (s == NULL)
		return NULL;
	s->proto = datagram ? "udp" : "tcp";
	s->only = only;
	if (!services_from_file(s)) {
		forget(s);
		setservent(0);
		while ((entry = getservent()) != NULL)
			services_add(s, entry->s_name,
			    ntohs((uint16_t)entry->s_port), entry->s_proto);
		endservent();
	}
	s->only = NULL;
	return s;
}

const char *
services_name(const struct services *s, unsigned port)
{
	const struct service *p = NULL;

	if (s != NULL)
		p = s->buckets[port % BUCKETS];
	while (p != NULL && p->port != port)
		p = p->next;
	return p != NULL ? p->name : NULL;
}

void
services_free(struct services *s)
{
	if (s != NULL)
		forget(s);
	free(s);
}
