#ifndef HAUL_TESTS_FAULT_H
#define HAUL_TESTS_FAULT_H

#include <stdint.h>

#include "sock/sock.h"

/*
 * A transport around any socket that makes trouble: it shortens counts, puts
 * calls off (with a want that comes true within a millisecond), and breaks the
 * connection. What goes wrong follows from the seed alone.
 */
struct fault_config {
	uint64_t seed;
	int percent;		/* of the calls are faulted, 0 to 90 */
	bool breaks;		/* ECONNRESET... */
	uint64_t break_after;	/* ...when so many bytes went in or out */
};

/*
 * Put the transport around inner, which belongs to the new socket from now on,
 * and is freed on failure too. NULL with *e filled without memory. Datagrams
 * are put off, but never shortened.
 */
struct sock *fault_wrap(struct sock *inner, enum sk_mode mode,
    const struct fault_config *config, struct err *e);

/* How many calls of s were faulted so far. */
uint64_t fault_count(const struct sock *s);

#endif
