/* Runs, stages and legs: what is the same in both modes. */
#include "flow/run_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

void
leg_init(struct leg *leg, void *owner,
    enum sk_result (*step)(struct leg *, struct err *))
{
	memset(leg, 0, sizeof(*leg));
	leg->state = LEG_RUNNING;
	leg->ready = true;
	leg->owner = owner;
	leg->step = step;
	leg->wake_ns = CLOCK_NEVER;
}

void
leg_take_error(struct leg *leg, struct err *e)
{
	if (leg->err == NULL) {
		err_no_memory(e);
		return;
	}
	err_move(e, leg->err);
	free(leg->err);
	leg->err = NULL;
}

enum sk_result
leg_sleep(struct leg *leg, int64_t wake_ns)
{
	leg->waits = NULL;
	leg->wake_ns = wake_ns;
	return SK_WANT_READ;
}

/* A leg that fails without memory for the reason has that for its reason. */
static void
keep_error(struct leg *leg, struct err *e)
{
	leg->state = LEG_FAILED;
	leg->err = calloc(1, sizeof(*leg->err));
	if (leg->err != NULL)
		err_move(leg->err, e);
	err_clear(e);
}

bool
run_leg_stopped(struct leg *leg, enum sk_result result, struct err *e)
{
	leg->ready = result == SK_OK;
	leg->want = SK_OK;
	switch (result) {
	case SK_EOF:
		leg->state = LEG_ENDED;
		return true;
	case SK_ERROR:
		keep_error(leg, e);
		return true;
	case SK_OK:
		return true;
	case SK_WANT_READ:
	case SK_WANT_WRITE:
		leg->want = (unsigned char)result;
		return true;
	case SK_TIMEOUT:
		err_set(e, ERR_TIMEOUT, 0, leg->waits != NULL ?
		    sock_name(leg->waits) : "", "timed out");
		keep_error(leg, e);
		return true;
	case SK_INTERRUPTED:
		break;
	}
	return false;
}

static enum verdict
judge_single(struct leg *leg, struct err *e)
{
	switch ((enum leg_state)leg->state) {
	case LEG_RUNNING:
		return VERDICT_GO_ON;
	case LEG_FAILED:
		leg_take_error(leg, e);
		return VERDICT_FAIL;
	case LEG_ABSENT:
	case LEG_ENDED:
		break;
	}
	return VERDICT_FINISH;
}

bool
run_goes_on(struct stage *s, int64_t *wake_ns, enum sk_result *result,
    struct err *e)
{
	*wake_ns = CLOCK_NEVER;
	switch (s->judge != NULL ? s->judge->judge(s, wake_ns, e) :
	    judge_single(s->legs[0], e)) {
	case VERDICT_GO_ON:
		return true;
	case VERDICT_FINISH:
		*result = SK_OK;
		return false;
	case VERDICT_FAIL:
		break;
	}
	*result = SK_ERROR;
	return false;
}

static void
release(struct stage *s)
{
	int i;

	for (i = 0; i < STAGE_LEGS; i++)
		if (s->legs[i] != NULL && s->legs[i]->err != NULL) {
			err_clear(s->legs[i]->err);
			free(s->legs[i]->err);
			s->legs[i]->err = NULL;
		}
}

bool
run_next(struct run *r, enum sk_result *result, struct err *e)
{
	struct stage *next;

	release(r->stage);
	next = r->next != NULL ? r->next(r, result, e) : NULL;
	if (next == NULL)
		return false;
	/* It may be known to others already, and its run with it. */
	if (next->run != r)
		next->run = r;
	r->stage = next;
	return true;
}

void
run_set_abort(struct stage *s, const struct latch *abort)
{
	int i;

	for (i = 0; i < STAGE_SOCKS; i++)
		if (s->socks[i] != NULL)
			sock_set_abort(s->socks[i], abort);
}

void
stage_init_single(struct stage *s, struct leg *leg, void *owner,
    enum sk_result (*step)(struct leg *, struct err *))
{
	memset(s, 0, sizeof(*s));
	leg_init(leg, owner, step);
	s->owner = owner;
	s->legs[0] = leg;
}

void
stage_wake(struct stage *s, int leg)
{
	if (s->run == NULL)
		return;
	if (s->run->mode == SK_BLOCKING)
		run_threads_wake(s->run, leg);
	else
		run_loop_wake(s->run, leg);
}

void
stage_news(struct stage *s)
{
	if (s->run == NULL)
		return;
	if (s->run->mode == SK_BLOCKING)
		run_threads_news(s->run);
	else
		run_loop_news(s->run);
}

enum sk_result
run_alone(struct run *r, struct err *e)
{
	return r->mode == SK_BLOCKING ? run_threads_alone(r, e) :
	    run_loop_alone(r, e);
}

struct runner *
runner_new(enum sk_mode mode, struct err *e)
{
	return mode == SK_BLOCKING ? runner_threads.new(e) :
	    runner_loop.new(e);
}

bool
runner_add(struct runner *r, struct run *run, struct err *e)
{
	return r->type->add(r, run, e);
}

enum sk_result
runner_wait(struct runner *r, int64_t deadline_ns, struct err *e)
{
	return r->type->wait(r, deadline_ns, e);
}

void
runner_stop(struct runner *r)
{
	r->type->stop(r);
}

void
runner_free(struct runner *r)
{
	if (r != NULL)
		r->type->free(r);
}
