#ifndef HAUL_FLOW_PROBE_H
#define HAUL_FLOW_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sock/ports.h"
#include "sock/sock.h"

/*
 * Which ports of which hosts answer. All are tried at the same time, as far as
 * there are descriptors: as many as 4,000, for which the limit of the process
 * is raised meanwhile.
 */
struct probe_target {
	struct addr addr;
	struct ports ports;	/* empty: addr is all there is */
};

enum probe_state {
	PROBE_UNTRIED,
	PROBE_OPEN,
	PROBE_CLOSED,		/* refused, unreachable */
	PROBE_SILENT,		/* no answer in time */
	PROBE_NAMELESS,		/* the name could not be resolved */
};

struct probe_result {
	const struct probe_target *target;
	/* What answered; else the first address, or the name. "": no host. */
	const char *host;
	unsigned port;		/* 0: none */
	enum probe_state state;
};

/*
 * A port is open when it is connected; a port of UDP, when it has answered an
 * empty datagram, which is sent again after half of the time. Further:
 *
 *   expect   it has sent these bytes (in one datagram) within the time of the
 *            try; a stream that ends before is closed, one that does not send
 *            them is silent
 *   hold_ns  the stream has neither ended nor broken for so long after it was
 *            connected (or else is closed), which is not a part of the time of
 *            the try
 *
 * With both, both must hold: the time of expect is that of the try, too.
 */
struct probe_config {
	enum sk_mode mode;
	const struct sock_config *sock;	/* of each connection */
	bool until_closed;	/* closed ports are what is wanted */
	int64_t try_ns;		/* of one try, the look-up included */
	const char *try_option;	/* that said so, for messages */
	int64_t retry_ns;	/* try again for so long; -1: no */
	int64_t hold_ns;	/* 0: none */
	const char *expect;
	size_t expect_len;	/* 0: nothing */
	int64_t deadline_ns;	/* of the run; CLOCK_NEVER: none */
	/*
	 * Results go to out (NULL: nowhere) in the order of the targets and
	 * their ports, each as soon as those before it are there: line puts it
	 * into buf, and returns its length; 0: it is not shown. Where tries are
	 * made again, what is not yet as wanted is told at the end. Calls come
	 * one after the other, from any thread.
	 */
	struct sock *out;
	size_t (*line)(void *context, const struct probe_result *, char *buf,
	    size_t size);
	void *context;
};

/*
 * Probe: SK_OK if all ports are as wanted. SK_INTERRUPTED, or SK_ERROR with a
 * reason for each target that is not: ERR_RESOLVE if a name could not be
 * resolved, or else ERR_CONNECT if a port is closed (open, with until_closed),
 * or else ERR_TIMEOUT; and after retry_ns, always that.
 */
enum sk_result probe_run(const struct probe_config *config,
    const struct probe_target *targets, size_t count, struct err *e);

#endif
