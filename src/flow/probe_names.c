/* Looking up the names of a probe, each once a round, all at the same time. */
#include "flow/probe_impl.h"

#include "base/clock.h"
#include "sock/lookup.h"

/* How a look-up stands. SK_ERROR: no other would do better. */
static enum sk_result
conclude(struct probe_host *h, enum sk_result r, struct err *e)
{
	const struct addr *a = &h->target->addr;
	char name[ADDR_NAME_MAX], within[32];
	const char *who = h->count > 1 ? a->host : addr_name(a, name);

	if (r == SK_OK) {
		sock_found_host(h->lookup, h->name);
		h->took_ns += clock_now_ns();
		return SK_EOF;
	}
	if (r == SK_ERROR && e->code != ERR_RESOLVE)
		return r;
	h->failed = r == SK_TIMEOUT ? PROBE_SILENT : PROBE_NAMELESS;
	if (r == SK_TIMEOUT)
		err_set(&h->why, ERR_TIMEOUT, 0, who,
		    "not looked up within %s (%s)",
		    h->probe->config->try_option,
		    probe_duration(h->probe->config->try_ns, within));
	else
		err_set(&h->why, e->code, e->sys, who, "%s", e->text);
	err_clear(e);
	return SK_EOF;
}

static enum sk_result
step(struct leg *leg, struct err *e)
{
	struct probe_host *h = leg->owner;
	enum sk_result r;

	r = sock_connect(h->lookup, e);
	leg->waits = h->lookup;
	leg->side = SK_OUT;
	if (r == SK_WANT_READ || r == SK_WANT_WRITE || r == SK_INTERRUPTED)
		return r;
	return conclude(h, r, e);
}

static void
over(struct run *r, enum sk_result result, struct err *e)
{
	struct probe_host *h = r->owner;

	if (result == SK_ERROR)
		probe_failed(h->probe, e);
}

/* Addresses are there at once; a run looks a name up. */
static bool
begin(struct probe_host *h, struct err *e)
{
	struct sock_config config = *h->probe->config->sock;
	enum sk_result r = SK_ERROR;

	config.mode = SK_NONBLOCKING;
	h->took_ns = -clock_now_ns();
	h->lookup = sock_lookup(&h->target->addr, &config, e);
	if (h->lookup != NULL) {
		sock_set_deadline(h->lookup, probe_limit_ns(h->probe, 0));
		r = sock_connect(h->lookup, e);
	}
	if (r != SK_WANT_READ)
		return conclude(h, r, e) == SK_EOF;
	sock_set_mode(h->lookup, h->probe->config->mode);
	stage_init_single(&h->stage, &h->leg, h, step);
	h->stage.socks[0] = h->lookup;
	h->run = (struct run){ .stage = &h->stage, .owner = h,
	    .single = true, .over = over,
	    .mode = (unsigned char)h->probe->config->mode };
	return probe_need_runner(h->probe, e) &&
	    runner_add(h->probe->runner, &h->run, e);
}

/* What is to be tried again is looked up again. */
static bool
is_due(const struct probe_host *h)
{
	size_t i;

	if (h->direct)
		return false;
	for (i = 0; i < h->count; i++)
		if (!probe_wanted(h->probe, (enum probe_state)
		    h->results[i].state))
			return true;
	return false;
}

enum sk_result
probe_names(struct probe *p, struct err *e)
{
	enum sk_result r = SK_ERROR;
	struct probe_host *h;
	size_t i;

	for (i = 0; i < p->host_count; i++) {
		h = &p->hosts[i];
		if (!is_due(h))
			continue;
		sock_abort(&h->lookup);
		err_clear(&h->why);
		h->failed = PROBE_UNTRIED;
		if (!begin(h, e))
			goto out;
	}
	r = p->runner == NULL ? SK_OK :
	    runner_wait(p->runner, p->config->deadline_ns, e);
out:
	probe_free_runner(p);
	return r;
}
