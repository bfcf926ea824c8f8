#include "flow/run_impl.h"

bool
run_leg_stopped(struct leg *leg, enum sk_result result, struct err *e)
{
	switch (result) {
	case SK_EOF:
		leg->state = LEG_ENDED;
		return true;
	case SK_ERROR:
		leg->state = LEG_FAILED;
		err_move(&leg->err, e);
		return true;
	case SK_OK:
	case SK_WANT_READ:
	case SK_WANT_WRITE:
		return true;
	case SK_TIMEOUT:
		leg->state = LEG_FAILED;
		err_set(&leg->err, ERR_TIMEOUT, 0, sock_name(leg->waits),
		    "timed out");
		return true;
	case SK_INTERRUPTED:
		break;
	}
	return false;
}

bool
run_goes_on(struct run *r, int64_t *wake_ns, enum sk_result *result,
    struct err *e)
{
	switch (r->judge(r, wake_ns, e)) {
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
set_abort(const struct run *r, const struct latch *abort)
{
	int i;

	for (i = 0; i < RUN_SOCKS; i++)
		if (r->socks[i] != NULL)
			sock_set_abort(r->socks[i], abort);
}

static enum sk_result
run_blocking(struct run *r, struct err *e)
{
	struct latch abort = LATCH_CLOSED, news = LATCH_CLOSED;
	enum sk_result result = SK_ERROR;

	if (latch_open(&abort, e) && latch_open(&news, e)) {
		r->news = &news;
		set_abort(r, &abort);
		result = run_threads(r, &abort, e);
		set_abort(r, NULL);
		r->news = NULL;
	}
	latch_close(&abort);
	latch_close(&news);
	return result;
}

enum sk_result
run_legs(struct run *r, struct err *e)
{
	return r->mode == SK_BLOCKING ? run_blocking(r, e) : run_loop(r, e);
}

void
run_release(struct run *r)
{
	int i;

	for (i = 0; i < RUN_LEGS; i++)
		if (r->legs[i] != NULL)
			err_clear(&r->legs[i]->err);
}
