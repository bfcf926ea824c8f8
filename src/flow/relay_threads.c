/* The blocking mode: a thread for each leg, and one that looks after them. */
#include "flow/relay_impl.h"

#include <errno.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/intr.h"

enum {
	STEP_BUDGET = 1024 * 1024,
	THREAD_STACK = 256 * 1024,
};

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
		w->result = pump_step(&w->leg->pump, STEP_BUDGET, &w->err);
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
look(struct relay *r, struct worker *workers, int64_t wake_ns)
{
	struct latch *news = workers[0].news;
	struct pollfd fds[RELAY_WATCHED + 1] = {
		{ .fd = news->fd, .events = POLLIN },
	};
	int watched[RELAY_WATCHED];
	int i;

	relay_watched(r, watched);
	for (i = 0; i < RELAY_WATCHED; i++)
		fds[i + 1] = (struct pollfd){ .fd = watched[i] };
	if (intr_poll(fds, RELAY_WATCHED + 1, wake_ns) < 0)
		return false;
	for (i = 0; i < RELAY_WATCHED; i++)
		relay_event(r, watched[i], fds[i + 1].revents);
	latch_reset(news);
	for (i = 0; i < 2; i++) {
		if (!workers[i].started || workers[i].joined ||
		    !atomic_load(&workers[i].done))
			continue;
		join(&workers[i]);
		if (!relay_leg_stopped(workers[i].leg, workers[i].result,
		    &workers[i].err))
			return false;
	}
	return true;
}

static enum sk_result
supervise(struct relay *r, struct worker *workers, struct err *e)
{
	int64_t wake_ns;

	for (;;) {
		switch (relay_judge(r, &wake_ns, e)) {
		case VERDICT_FINISH:
			return SK_OK;
		case VERDICT_FAIL:
			return SK_ERROR;
		case VERDICT_GO_ON:
			break;
		}
		if (!look(r, workers, wake_ns))
			return SK_INTERRUPTED;
	}
}

enum sk_result
relay_run_threads(struct relay *r, struct err *e)
{
	struct latch abort = LATCH_CLOSED, stop = LATCH_CLOSED;
	struct latch news = LATCH_CLOSED;
	struct worker workers[2] = {
		{ .leg = &r->up, .abort = &abort, .news = &news },
		{ .leg = &r->down, .abort = &abort, .news = &news },
	};
	enum sk_result result = SK_ERROR;
	int i;

	if (!latch_open(&abort, e) || !latch_open(&stop, e) ||
	    !latch_open(&news, e))
		goto out;
	r->up.pump.news = r->down.pump.news = &news;
	sock_set_abort(r->peer, &abort);
	if (r->in != NULL) {
		sock_set_abort(r->in, &abort);
		sock_set_stop(r->in, &stop);
	}
	if (r->out != NULL)
		sock_set_abort(r->out, &abort);
	if (start(&workers[0], e) && start(&workers[1], e))
		result = supervise(r, workers, e);
out:
	if (abort.fd != -1)
		latch_set(&abort);
	for (i = 0; i < 2; i++) {
		join(&workers[i]);
		err_clear(&workers[i].err);
	}
	sock_set_abort(r->peer, NULL);
	if (r->in != NULL) {
		sock_set_abort(r->in, NULL);
		sock_set_stop(r->in, NULL);
	}
	if (r->out != NULL)
		sock_set_abort(r->out, NULL);
	latch_close(&abort);
	latch_close(&stop);
	latch_close(&news);
	return result;
}
