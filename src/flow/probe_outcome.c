/* What came of a probe, for who is to be told. */
#include "flow/probe_impl.h"

#include <stdio.h>
#include <string.h>

struct counts {
	size_t of[PROBE_NAMELESS + 1];
	size_t unwanted;
};

static struct counts
count_host(const struct probe *p, const struct probe_host *h)
{
	struct counts n = { .unwanted = 0 };
	enum probe_state state;
	size_t i;

	for (i = 0; i < h->count; i++) {
		state = (enum probe_state)h->results[i].state;
		n.of[state]++;
		n.unwanted += !probe_wanted(p, state);
	}
	return n;
}

static enum err_code
code_of(const struct probe *p, const struct counts *n)
{
	if (n->of[PROBE_NAMELESS] > 0)
		return ERR_RESOLVE;
	return n->of[p->config->until_closed ? PROBE_OPEN : PROBE_CLOSED] > 0 ?
	    ERR_CONNECT : ERR_TIMEOUT;
}

/* Append ", 3 TEXT" if there are any. */
static void
add_count(char *text, size_t size, size_t n, const char *what)
{
	size_t len = strlen(text);

	if (n > 0)
		(void)snprintf(text + len, size - len, "%s%zu %s",
		    len > 0 ? ", " : "", n, what);
}

static void
describe_many(const struct probe *p, const struct probe_host *h,
    const struct counts *n, const char *within, struct err *e)
{
	bool closed = p->config->until_closed;
	char parts[128] = "";

	if (closed)
		add_count(parts, sizeof(parts), n->of[PROBE_OPEN], "open");
	else
		add_count(parts, sizeof(parts), n->of[PROBE_CLOSED], "closed");
	add_count(parts, sizeof(parts), n->of[PROBE_SILENT], "did not answer");
	add_count(parts, sizeof(parts), n->of[PROBE_NAMELESS],
	    "could not be resolved");
	add_count(parts, sizeof(parts), n->of[PROBE_UNTRIED], "not tried");
	err_set(e, ERR_CONNECT, 0, h->target->addr.host,
	    "%zu of %zu ports are not %s%s: %s", n->unwanted, h->count,
	    closed ? "closed" : "open", within, parts);
}

/* The reason of a target that has not become as wanted. */
static void
describe(const struct probe *p, struct probe_host *h,
    const struct counts *n, struct err *e)
{
	char name[ADDR_NAME_MAX], time[32], within[64] = "";
	const char *what = p->config->until_closed ? "not closed" : "not open";

	if (p->config->retry_ns >= 0)
		(void)snprintf(within, sizeof(within),
		    " within --retry-for (%s)",
		    probe_duration(p->config->retry_ns, time));
	if (h->count > 1 && h->failed == PROBE_UNTRIED) {
		describe_many(p, h, n, within, e);
		return;
	}
	if (h->why.code == ERR_NONE)
		err_set(&h->why, ERR_CONNECT, 0,
		    addr_name(&h->target->addr, name), "%s",
		    n->of[PROBE_UNTRIED] > 0 ? "not tried" : "still open");
	if (*within != '\0')
		err_set(&h->why, h->why.code, h->why.sys, h->why.who,
		    "%s%s%s%s", what, within, *h->why.text != '\0' ? ": " : "",
		    h->why.text);
	err_move(e, &h->why);
}

enum sk_result
probe_conclude(struct probe *p, struct err *e)
{
	enum err_code code = ERR_NONE;
	struct err reason = { .code = ERR_NONE };
	struct counts n;
	struct err *more;
	size_t i;

	for (i = 0; i < p->host_count; i++) {
		n = count_host(p, &p->hosts[i]);
		if (n.unwanted == 0)
			continue;
		if (code == ERR_NONE || code_of(p, &n) < code)
			code = code_of(p, &n);
		describe(p, &p->hosts[i], &n, &reason);
		for (more = &reason; more != NULL; more = more->next)
			err_append(e, more);
		err_clear(&reason);
	}
	if (code == ERR_NONE)
		return SK_OK;
	e->code = p->config->retry_ns >= 0 ? ERR_TIMEOUT : code;
	return SK_ERROR;
}
