#ifndef HAUL_FLOW_PROBE_IMPL_H
#define HAUL_FLOW_PROBE_IMPL_H

#include <pthread.h>
#include <sys/resource.h>

#include "flow/probe.h"
#include "flow/run.h"

/* Lines that a run of its own writes, so that nobody waits for their reader. */
struct lines {
	struct run run;
	struct stage stage;
	struct leg leg;
	struct sock *out;	/* NULL: nobody wants them */
	pthread_mutex_t lock;	/* of what follows */
	char *text, *now;	/* to be sent later, and what is being sent */
	size_t length, size, now_length, sent;
	bool running, finish;
	bool reader_gone;	/* the judge's */
};

/* Write what is added, until lines_finish; over is the run's. */
bool lines_begin(struct lines *l, struct runner *runner, enum sk_mode mode,
    void (*over)(struct run *, enum sk_result, struct err *), void *owner,
    struct err *e);
bool lines_add(struct lines *l, const char *text, size_t len);
void lines_finish(struct lines *l);

/* Write the rest now; at_once: as much of it as needs no waiting. */
enum sk_result lines_flush(struct lines *l, bool at_once, struct err *e);

/* A target while it is probed. */
struct probe_host {
	const struct probe_target *target;
	struct port_result *results;
	size_t count;			/* of the results, from 1 */
	bool direct;			/* there is no name to look up */
	struct sock *lookup;		/* NULL: none */
	char name[ADDR_HOST_MAX];	/* its first address */
	int64_t limit_ns, took_ns;	/* of the look-up */
	enum probe_state failed;	/* why there is none; or UNTRIED */
	struct err why;			/* of that, or of its only port */
	struct probe *probe;
	struct run run;			/* of the look-up */
	struct stage stage;
	struct leg leg;
};

struct port_result {
	struct probe_host *host;
	char *answered;			/* if not host->name; malloc */
	uint16_t port;			/* 0: none */
	unsigned char state;		/* enum probe_state */
};

struct probe {
	const struct probe_config *config;
	struct probe_host *hosts;
	size_t host_count;
	struct port_result *results;
	size_t count;
	size_t *borders;		/* of expect, see matches() */
	int64_t retry_end_ns;
	struct runner *runner;		/* of the round; NULL: none */
	struct rlimit limit;		/* of descriptors, before; if raised */
	bool raised;
	struct prober *probers;		/* of the round */
	size_t most, started;		/* of them */
	size_t left;			/* of those that go on */
	struct err failed;		/* of one of them */
	struct lines lines;
	pthread_mutex_t lock;		/* of what follows, and the results */
	size_t next;			/* to be tried in this round */
	size_t told;			/* those before it have been told */
	bool last;			/* no further round can follow */
};

/* Whether a port is as it should be. */
bool probe_wanted(const struct probe *p, enum probe_state state);

/* The end of a try that begins now. */
int64_t probe_limit_ns(const struct probe *p, int64_t took_ns);

/* Tell what can be told; the lock is held. False: no memory. */
bool probe_tell(struct probe *p);

/*
 * Have a runner: p->runner. Where nobody has to wait there is none, nor threads
 * and what else it takes: a single port that answers at once takes three tenths
 * less time in blocking mode (3 to 7 percent in the other, with the same code).
 */
bool probe_need_runner(struct probe *p, struct err *e);
void probe_free_runner(struct probe *p);

/* A run of the round has failed: it all has. */
void probe_failed(struct probe *p, struct err *e);

/* "5 s", in 32 bytes. */
const char *probe_duration(int64_t ns, char *text);

/* Look all names up. */
enum sk_result probe_names(struct probe *p, struct err *e);

/* A prober has to wait: another one may begin. */
void probe_go_on(struct probe *p);

/* SK_OK if all is as wanted, or SK_ERROR with *e. */
enum sk_result probe_conclude(struct probe *p, struct err *e);

/* One of those that try one port after the other; all zero at first. */
enum probe_phase {
	PHASE_CONNECT,
	PHASE_HANDSHAKE,
	PHASE_ASK,		/* datagrams */
	PHASE_HEAR,
	PHASE_DONE,
};

struct prober {
	struct run run;
	struct stage stage;
	struct leg leg;
	struct probe *probe;
	struct port_result *result;
	struct sock *sock;		/* NULL: no try goes on */
	enum probe_phase phase;
	bool waited;			/* for this port */
	bool asked;			/* once already */
	int64_t limit_ns, hold_end_ns;
	size_t matched;			/* of expect */
};

/*
 * Try the only port as far as that needs no waiting. True: the round is over,
 * with *r; false: prober_start goes on with it.
 */
bool prober_try_once(struct prober *pr, struct probe *p, enum sk_result *r,
    struct err *e);

/* Let go of the port that is tried; of none, too. */
void prober_leave(struct prober *pr);

/* Try ports until there are no more in this round. As runner_add. */
bool prober_start(struct prober *pr, struct probe *p, struct err *e);

#endif
