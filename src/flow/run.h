#ifndef HAUL_FLOW_RUN_H
#define HAUL_FLOW_RUN_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sock/sock.h"

/*
 * Whatever haul does with a connection is a run. A run goes through stages, one
 * after the other; a stage has one or two legs that go on side by side, and a
 * judge who looks after them. In blocking mode each leg is asleep in its own
 * call, two of them in threads of their own; in non-blocking mode all legs of
 * all runs are stepped by one event loop. Stages are the same for both.
 */
enum leg_state {
	LEG_ABSENT,
	LEG_RUNNING,
	LEG_ENDED,
	LEG_FAILED,
};

struct leg {
	unsigned char state;	/* enum leg_state */
	unsigned char side;	/* after a want: enum sk_side of waits */
	unsigned char want;	/* the driver's */
	bool ready;		/* the driver's: worth a step */
	void *owner;
	/*
	 * Go on until done, or something is wanted, or enough was done for a
	 * while: SK_EOF (done), SK_OK (to be continued), a want of waits and
	 * side, SK_TIMEOUT, SK_INTERRUPTED, SK_ERROR (*e filled). A want with
	 * waits NULL is for stage_wake, or for wake_ns to come.
	 */
	enum sk_result (*step)(struct leg *, struct err *e);
	struct sock *waits;	/* after a want or failure: whose call it was */
	int64_t wake_ns;	/* after a want of nobody; CLOCK_NEVER: none */
	struct err *err;	/* why it failed; malloc */
};

/* A leg that is about to run; wake_ns is CLOCK_NEVER. */
void leg_init(struct leg *leg, void *owner,
    enum sk_result (*step)(struct leg *, struct err *));

/* The reason of a failed leg, moved to *e. */
void leg_take_error(struct leg *leg, struct err *e);

/* Fill in a want of nobody, until stage_wake or wake_ns; SK_WANT_READ. */
enum sk_result leg_sleep(struct leg *leg, int64_t wake_ns);

enum verdict {
	VERDICT_GO_ON,
	VERDICT_FINISH,
	VERDICT_FAIL,		/* the error is filled */
};

enum {
	STAGE_LEGS = 2,
	STAGE_WATCHED = 3,	/* what the judge watches */
	STAGE_SOCKS = 4,
};

struct stage;

struct judge {
	/*
	 * Where the stage stands: asked whenever a leg has stopped, there is
	 * news, and when *wake_ns has come, which is set if it goes on.
	 */
	enum verdict (*judge)(struct stage *, int64_t *wake_ns,
	    struct err *e);
	/*
	 * Descriptors that are watched besides (-1: none), and what poll(2)
	 * has told of one. NULL: nothing is watched.
	 */
	void (*watched)(const struct stage *, struct pollfd *fds);
	void (*event)(struct stage *, int fd, short revents);
};

struct stage {
	void *owner;
	struct run *run;	/* set while it goes on */
	/*
	 * NULL: nobody. There is one leg then, in blocking mode it has no
	 * thread of its own, and it is over when this leg is.
	 */
	const struct judge *judge;
	struct leg *legs[STAGE_LEGS];
	/* Every socket that a leg may wait for; NULL: none. */
	struct sock *socks[STAGE_SOCKS];
	/*
	 * NULL, or one that a single leg waits for input of, and is to be woken
	 * from by stage_wake: in blocking mode the call returns SK_TIMEOUT
	 * then. (Otherwise stage_wake ends no call of a socket there.) A judge
	 * may look after it, who watches nothing, never names a time, and ends
	 * the stage once the leg has stopped: it is woken by stage_news, too.
	 */
	struct sock *nudged;
};

/* A stage of one leg, without a judge. */
void stage_init_single(struct stage *s, struct leg *leg, void *owner,
    enum sk_result (*step)(struct leg *, struct err *));

/*
 * A leg's want no longer holds: it is stepped again. Or the judge has something
 * new to look at. From any thread in blocking mode, from that of the loop
 * otherwise. Nothing happens if the stage does not go on.
 */
void stage_wake(struct stage *s, int leg);
void stage_news(struct stage *s);

struct run {
	struct stage *stage;	/* the one that goes on, or the first one */
	void *owner;
	unsigned char mode;	/* enum sk_mode */
	/*
	 * There never is a second thread: no stage has a judge, unless it is
	 * nudged. In blocking mode it costs no descriptors then, if the
	 * platform can (base/intr.h).
	 */
	bool single;
	/* over may be called in the run's thread, and in runner_add. */
	bool over_anywhere;
	/*
	 * A stage is over, with SK_OK, SK_INTERRUPTED or SK_ERROR and *e. The
	 * next one, or NULL: the run is over, with what is *r then. NULL:
	 * there never is a next one.
	 */
	struct stage *(*next)(struct run *, enum sk_result *r, struct err *e);
	/*
	 * Of a run in a runner: it is over for good, and may be freed; nobody
	 * may wake its stages once it is.
	 */
	void (*over)(struct run *, enum sk_result r, struct err *e);

	/* The driver's. */
	struct run_loop_part *loop;
	struct run_threads_part *threads;
};

/*
 * Run one to its end: SK_OK, SK_INTERRUPTED or SK_ERROR. What is left in a
 * failed leg is freed.
 */
enum sk_result run_alone(struct run *r, struct err *e);

/*
 * Any number of runs. A runner is for one thread; but runner_add may be called
 * by a leg of another run, and runner_stop by anybody.
 */
struct runner;

struct runner *runner_new(enum sk_mode mode, struct err *e);

/* How many descriptors a run costs in blocking mode. */
unsigned runner_fds(bool single);

/*
 * Start a run. True: it goes on, or is over already if it may be over anywhere:
 * it may have been freed. False with *e filled: no memory or thread. A single
 * run may have done something before it lacked one; it can be added again.
 */
bool runner_add(struct runner *r, struct run *run, struct err *e);

/*
 * Wait until all runs are over (SK_OK), or a deadline (SK_TIMEOUT), runner_stop
 * (SK_OK) or an interruption. Calls over of those that are.
 */
enum sk_result runner_wait(struct runner *r, int64_t deadline_ns,
    struct err *e);
void runner_stop(struct runner *r);

/* End what still runs (SK_INTERRUPTED). NULL is ignored. */
void runner_free(struct runner *r);

#endif
