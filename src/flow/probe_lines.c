/* The lines of a probe: a run that writes what others add. */
#include "flow/probe_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Take what was added for what is sent next. False: there is nothing. */
static bool
take(struct lines *l)
{
	char *text;

	(void)pthread_mutex_lock(&l->lock);
	if (l->sent == l->now_length && l->length > 0) {
		text = l->now;
		l->now = l->text;
		l->now_length = l->length;
		l->text = text;
		l->length = l->size = l->sent = 0;
	}
	(void)pthread_mutex_unlock(&l->lock);
	return l->sent < l->now_length;
}

static enum sk_result
send_some(struct lines *l, struct err *e)
{
	enum sk_result r;
	size_t put;

	r = sock_send(l->out, l->now + l->sent, l->now_length - l->sent, &put,
	    e);
	l->sent += put;
	return r;
}

static bool
is_finished(struct lines *l)
{
	bool finished;

	(void)pthread_mutex_lock(&l->lock);
	finished = l->finish && l->length == 0;
	(void)pthread_mutex_unlock(&l->lock);
	return finished;
}

static enum sk_result
lines_step(struct leg *leg, struct err *e)
{
	struct lines *l = leg->owner;
	enum sk_result r;

	if (!take(l))
		return is_finished(l) ? SK_EOF : leg_sleep(leg, CLOCK_NEVER);
	r = send_some(l, e);
	leg->waits = l->out;
	leg->side = SK_OUT;
	return r;
}

static enum verdict
judge(struct stage *s, int64_t *wake_ns, struct err *e)
{
	struct lines *l = s->owner;

	(void)wake_ns;
	if (l->leg.state == LEG_FAILED) {
		leg_take_error(&l->leg, e);
		return VERDICT_FAIL;
	}
	if (l->leg.state == LEG_ENDED)
		return VERDICT_FINISH;
	if (!l->reader_gone)
		return VERDICT_GO_ON;
	err_set(e, ERR_LOCAL, EPIPE, sock_name(l->out), "%s", "");
	e->quiet = true;
	return VERDICT_FAIL;
}

/* Our reader may leave while there is nothing to write. */
static void
watched(const struct stage *s, struct pollfd *fds)
{
	const struct lines *l = s->owner;

	fds[0] = (struct pollfd){ .fd = l->reader_gone ? -1 :
	    sock_watch_fd(l->out) };
	fds[1] = (struct pollfd){ .fd = -1 };
}

static void
event(struct stage *s, int fd, short revents)
{
	struct lines *l = s->owner;

	if (fd == sock_watch_fd(l->out) &&
	    (revents & (POLLERR | POLLHUP | POLLNVAL)))
		l->reader_gone = true;
}

/* Nobody wakes the run from now on. What is still added is for lines_flush. */
static struct stage *
next(struct run *r, enum sk_result *result, struct err *e)
{
	struct lines *l = r->stage->owner;

	(void)result;
	(void)e;
	(void)pthread_mutex_lock(&l->lock);
	l->running = false;
	(void)pthread_mutex_unlock(&l->lock);
	return NULL;
}

bool
lines_begin(struct lines *l, struct runner *runner, enum sk_mode mode,
    void (*over)(struct run *, enum sk_result, struct err *), void *owner,
    struct err *e)
{
	static const struct judge judges = { judge, watched, event };

	stage_init_single(&l->stage, &l->leg, l, lines_step);
	l->stage.judge = &judges;
	l->stage.socks[0] = l->out;
	l->stage.run = &l->run;
	l->run = (struct run){ .stage = &l->stage, .owner = owner,
	    .mode = (unsigned char)mode, .next = next, .over = over };
	l->finish = false;
	l->running = true;
	if (runner_add(runner, &l->run, e))
		return true;
	l->running = false;
	return false;
}

static bool
make_room(struct lines *l, size_t len)
{
	size_t size = l->size > 0 ? l->size : 4096;
	char *text;

	while (size - l->length < len)
		size *= 2;
	if (size == l->size)
		return true;
	text = realloc(l->text, size);
	if (text == NULL)
		return false;
	l->text = text;
	l->size = size;
	return true;
}

bool
lines_add(struct lines *l, const char *text, size_t len)
{
	bool ok;

	if (l->out == NULL || len == 0)
		return true;
	(void)pthread_mutex_lock(&l->lock);
	ok = make_room(l, len);
	if (ok) {
		memcpy(l->text + l->length, text, len);
		l->length += len;
		if (l->running)
			stage_wake(&l->stage, 0);
	}
	(void)pthread_mutex_unlock(&l->lock);
	return ok;
}

void
lines_finish(struct lines *l)
{
	(void)pthread_mutex_lock(&l->lock);
	l->finish = true;
	if (l->running)
		stage_wake(&l->stage, 0);
	(void)pthread_mutex_unlock(&l->lock);
}

enum sk_result
lines_flush(struct lines *l, bool at_once, struct err *e)
{
	enum sk_result r = SK_OK;

	if (l->out == NULL)
		return SK_OK;
	if (at_once)
		sock_set_mode(l->out, SK_NONBLOCKING);
	while (r == SK_OK && take(l)) {
		r = send_some(l, e);
		if (!at_once && (r == SK_WANT_READ || r == SK_WANT_WRITE))
			r = sock_wait(l->out, SK_OUT, r);
	}
	return r;
}
