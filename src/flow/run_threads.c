/* The blocking mode: a thread for each leg, and one that looks after them. */
#include "flow/run_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/intr.h"

enum { THREAD_STACK = 256 * 1024 };

struct worker {
	struct leg *leg;
	const struct latch *abort;
	struct latch *news;	/* set when done */
	pthread_t thread;
	bool started, joined;
	atomic_bool done;
	enum sk_result result;
	struct err err;
};

static void *
work(void *arg)
{
	struct worker *w = arg;

	do
		w->result = w->leg->step(w->leg, &w->err);
	while (w->result == SK_OK && !latch_is_set(w->abort));
	if (w->result == SK_OK)
		w->result = SK_INTERRUPTED;
	atomic_store(&w->done, true);
	latch_set(w->news);
	return NULL;
}

static bool
start(struct worker *w, struct err *e)
{
	pthread_attr_t attr;
	int sys;

	if (w->leg->state == LEG_ABSENT)
		return true;
	sys = pthread_attr_init(&attr);
	if (sys == 0) {
		(void)pthread_attr_setstacksize(&attr, THREAD_STACK);
		sys = pthread_create(&w->thread, &attr, work, w);
		(void)pthread_attr_destroy(&attr);
	}
	w->started = sys == 0;
	if (!w->started)
		err_set(e, ERR_LOCAL, sys, "", "cannot start a thread");
	return w->started;
}

static void
join(struct worker *w)
{
	if (w->started && !w->joined)
		(void)pthread_join(w->thread, NULL);
	w->joined = true;
}

/* Sleep until there is news, or something to tell, or wake_ns. */
static bool
look(struct run *r, struct worker *workers, int64_t wake_ns)
{
	struct pollfd fds[RUN_WATCHED + 1];
	int i;

	r->watched(r, fds);
	fds[RUN_WATCHED] = (struct pollfd){ .fd = r->news->fd,
	    .events = POLLIN };
	if (intr_poll(fds, RUN_WATCHED + 1, wake_ns) < 0)
		return false;
	for (i = 0; i < RUN_WATCHED; i++)
		if (fds[i].fd != -1 && fds[i].revents != 0)
			r->event(r, fds[i].fd, fds[i].revents);
	latch_reset(r->news);
	for (i = 0; i < RUN_LEGS; i++) {
		if (!workers[i].started || workers[i].joined ||
		    !atomic_load(&workers[i].done))
			continue;
		join(&workers[i]);
		if (!run_leg_stopped(workers[i].leg, workers[i].result,
		    &workers[i].err))
			return false;
	}
	return true;
}

static enum sk_result
supervise(struct run *r, struct worker *workers, struct err *e)
{
	enum sk_result result;
	int64_t wake_ns;

	for (;;) {
		if (!run_goes_on(r, &wake_ns, &result, e))
			return result;
		if (!look(r, workers, wake_ns))
			return SK_INTERRUPTED;
	}
}

enum sk_result
run_threads(struct run *r, struct latch *abort, struct err *e)
{
	struct worker workers[RUN_LEGS] = { 0 };
	enum sk_result result = SK_ERROR;
	bool started = true;
	int i;

	for (i = 0; i < RUN_LEGS && started; i++) {
		workers[i].leg = r->legs[i];
		workers[i].abort = abort;
		workers[i].news = r->news;
		started = start(&workers[i], e);
	}
	if (started)
		result = supervise(r, workers, e);
	latch_set(abort);
	for (i = 0; i < RUN_LEGS; i++) {
		join(&workers[i]);
		err_clear(&workers[i].err);
	}
	return result;
}
