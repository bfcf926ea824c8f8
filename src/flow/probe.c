/* Probing: rounds of tries, and what came of them. */
#include "flow/probe_impl.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/intr.h"
#include "sock/lookup.h"

enum {
	AT_ONCE_MAX = 4000,
	FIRST = 32,		/* in non-blocking mode */
	SPARE = 24,		/* descriptors for everything else */
	ADDRESSES_MAX = 32,	/* that one connection tries at a time */
	LINE_BYTES = 1024,
	RETRY_FIRST_MS = 50,
	RETRY_LAST_MS = 1000,
	RETRY_GRACE_MS = 250,	/* for the last try, at the very end */
};

const char *
probe_duration(int64_t ns, char *text)
{
	(void)snprintf(text, 32, "%.4g s", (double)ns / (double)CLOCK_SEC);
	return text;
}

bool
probe_wanted(const struct probe *p, enum probe_state state)
{
	return state == (p->config->until_closed ? PROBE_CLOSED : PROBE_OPEN);
}

int64_t
probe_limit_ns(const struct probe *p, int64_t took_ns)
{
	int64_t now = clock_now_ns(), end = p->retry_end_ns, limit;

	limit = clock_min_ns(clock_after_ns(now, p->config->try_ns - took_ns),
	    p->config->deadline_ns);
	if (end < now + RETRY_GRACE_MS * CLOCK_MS)
		end = now + RETRY_GRACE_MS * CLOCK_MS;
	return clock_min_ns(limit, end);
}

void
probe_failed(struct probe *p, struct err *e)
{
	if (p->failed.code == ERR_NONE)
		err_move(&p->failed, e);
	runner_stop(p->runner);
}

static void
raise_limit(struct probe *p)
{
	struct rlimit raised;

	if (p->raised || getrlimit(RLIMIT_NOFILE, &p->limit) != 0)
		return;
	raised = p->limit;
	raised.rlim_cur = raised.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &raised);
	p->raised = true;
}

bool
probe_need_runner(struct probe *p, struct err *e)
{
	if (p->runner == NULL) {
		raise_limit(p);
		p->runner = runner_new(p->config->mode, e);
	}
	return p->runner != NULL;
}

void
probe_free_runner(struct probe *p)
{
	runner_free(p->runner);
	p->runner = NULL;
}

static bool
tell(struct probe *p, const struct port_result *r)
{
	struct probe_result result = {
		.target = r->host->target,
		.host = r->answered != NULL ? r->answered : r->host->name,
		.port = r->port,
		.state = (enum probe_state)r->state,
	};
	char line[LINE_BYTES];
	size_t len;

	if (p->config->line == NULL)
		return true;
	len = p->config->line(p->config->context, &result, line, sizeof(line));
	return lines_add(&p->lines, line, len);
}

bool
probe_tell(struct probe *p)
{
	const struct port_result *r;

	for (; p->told < p->count; p->told++) {
		r = &p->results[p->told];
		if (r->state == PROBE_UNTRIED || (!p->last &&
		    !probe_wanted(p, (enum probe_state)r->state)))
			break;
		if (!tell(p, r))
			return false;
	}
	return true;
}

/* How many descriptors a try can take. */
static size_t
descriptors(const struct probe *p)
{
	size_t i, n, most = 1;

	for (i = 0; i < p->host_count; i++) {
		n = p->hosts[i].lookup == NULL ? 1 :
		    sock_found_count(p->hosts[i].lookup);
		if (n > most)
			most = n;
	}
	if (most > ADDRESSES_MAX)
		most = ADDRESSES_MAX;
	/* The look-up of a source takes two more. */
	if (p->config->sock->source_host != NULL)
		most += 2;
	return most + (p->config->mode == SK_BLOCKING ?
	    runner_fds(true) : 0);
}

/* How many tries can go on at the same time. */
static size_t
at_once(const struct probe *p)
{
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY };
	size_t n = AT_ONCE_MAX, used;
	int lowest;

	/* New descriptors are the lowest: about so many are in use. */
	lowest = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	used = SPARE + (lowest > 0 ? (size_t)lowest : 0);
	if (lowest != -1)
		(void)close(lowest);
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur != RLIM_INFINITY)
		n = limit.rlim_cur > used ? ((size_t)limit.rlim_cur - used) /
		    descriptors(p) : 1;
	if (n > AT_ONCE_MAX)
		n = AT_ONCE_MAX;
	if (n > p->count)
		n = p->count;
	return n > 0 ? n : 1;
}

static bool
all_claimed(struct probe *p)
{
	bool all;

	(void)pthread_mutex_lock(&p->lock);
	all = p->next == p->count;
	(void)pthread_mutex_unlock(&p->lock);
	return all;
}

void
probe_go_on(struct probe *p)
{
	struct err ignored = { .code = ERR_NONE };

	if (p->config->mode == SK_NONBLOCKING && p->started < p->most &&
	    !all_claimed(p) && !prober_start(&p->probers[p->started], p,
	    &ignored))
		p->most = p->started;
	err_clear(&ignored);
}

/*
 * In non-blocking mode further ones follow as soon as one has to wait. Threads
 * all begin now; where there is no memory or thread for so many, fewer do.
 */
static bool
start_probers(struct probe *p, struct err *e)
{
	size_t n = p->most;

	if (p->config->mode == SK_NONBLOCKING && n > FIRST)
		n = FIRST;
	while (p->started < n && (p->probers[p->started].sock != NULL ||
	    !all_claimed(p)))
		if (!prober_start(&p->probers[p->started], p, e)) {
			if (p->started == 0)
				return false;
			p->most = n = p->started;
			err_clear(e);
		}
	return true;
}

static void
lines_over(struct run *r, enum sk_result result, struct err *e)
{
	if (result == SK_ERROR)
		probe_failed(r->owner, e);
}

static enum sk_result
run_probers(struct probe *p, struct err *e)
{
	if (!probe_need_runner(p, e))
		return SK_ERROR;
	if (p->lines.out != NULL && !lines_begin(&p->lines, p->runner,
	    p->config->mode, lines_over, p, e))
		return SK_ERROR;
	if (!start_probers(p, e))
		return SK_ERROR;
	if (p->left == 0)
		lines_finish(&p->lines);
	return runner_wait(p->runner, p->config->deadline_ns, e);
}

static enum sk_result
probe_ports(struct probe *p, struct err *e)
{
	enum sk_result r = SK_ERROR;

	p->started = 0;
	p->most = 1;
	if (p->count > 1) {
		raise_limit(p);
		p->most = at_once(p);
	}
	p->probers = calloc(p->most, sizeof(*p->probers));
	if (p->probers == NULL) {
		err_no_memory(e);
		return SK_ERROR;
	}
	if (p->count > 1 || !prober_try_once(p->probers, p, &r, e))
		r = run_probers(p, e);
	probe_free_runner(p);
	prober_leave(p->probers);
	free(p->probers);
	p->probers = NULL;
	return r;
}

static enum sk_result
try_all(struct probe *p, struct err *e)
{
	enum sk_result r;

	p->next = 0;
	r = probe_names(p, e);
	if (r == SK_OK && p->failed.code == ERR_NONE && intr_signal() == 0)
		r = probe_ports(p, e);
	if (p->failed.code != ERR_NONE) {
		err_move(e, &p->failed);
		return SK_ERROR;
	}
	/* It may have ended everything before the runner has seen it. */
	return r == SK_OK && intr_signal() != 0 ? SK_INTERRUPTED : r;
}

static bool
all_wanted(const struct probe *p)
{
	size_t i;

	for (i = 0; i < p->count; i++)
		if (!probe_wanted(p, (enum probe_state)p->results[i].state))
			return false;
	return true;
}

/* Wait for the next round. SK_TIMEOUT: there is none. */
static enum sk_result
back_off(const struct probe *p, int64_t *delay_ns)
{
	int64_t end = clock_min_ns(p->retry_end_ns, p->config->deadline_ns);
	int64_t now = clock_now_ns(), wake = clock_min_ns(now + *delay_ns, end);

	if (now >= end)
		return SK_TIMEOUT;
	*delay_ns = clock_min_ns(*delay_ns * 2, RETRY_LAST_MS * CLOCK_MS);
	return intr_sleep(wake) ? SK_OK : SK_INTERRUPTED;
}

static enum sk_result
rounds(struct probe *p, struct err *e)
{
	int64_t delay_ns = RETRY_FIRST_MS * CLOCK_MS;
	enum sk_result r;

	do {
		r = try_all(p, e);
		if (r != SK_OK || p->config->retry_ns < 0 || all_wanted(p))
			return r;
		r = back_off(p, &delay_ns);
	} while (r == SK_OK);
	return r == SK_TIMEOUT ? SK_OK : r;
}

/* Setting up. */

static void
set_up_host(struct probe_host *h, const struct probe_target *target,
    struct port_result **results)
{
	unsigned port = 0;
	size_t i;

	h->target = target;
	h->results = *results;
	h->count = target->ports.count > 0 ? target->ports.count : 1;
	h->direct = target->addr.kind != ADDR_INET;
	if (target->addr.kind == ADDR_INET)
		(void)snprintf(h->name, sizeof(h->name), "%s",
		    target->addr.host);
	for (i = 0; i < h->count; i++) {
		port = ports_next(&target->ports, port);
		(*results)[i].host = h;
		(*results)[i].port = (uint16_t)port;
	}
	*results += h->count;
}

/* See matches(): the borders of the beginnings of what is expected. */
static void
find_borders(const char *text, size_t len, size_t *borders)
{
	size_t i, k = 0;

	for (i = 1; i < len; i++) {
		while (k > 0 && text[k] != text[i])
			k = borders[k];
		k += text[k] == text[i];
		borders[i + 1] = k;
	}
}

static bool
set_up(struct probe *p, const struct probe_target *targets, size_t count,
    struct err *e)
{
	struct port_result *results;
	size_t i;

	for (i = 0; i < count; i++)
		p->count += targets[i].ports.count > 0 ?
		    targets[i].ports.count : 1;
	results = p->results = calloc(p->count, sizeof(*p->results));
	p->hosts = calloc(count, sizeof(*p->hosts));
	p->borders = calloc(p->config->expect_len + 2, sizeof(*p->borders));
	if (p->results == NULL || p->hosts == NULL || p->borders == NULL) {
		err_no_memory(e);
		return false;
	}
	p->host_count = count;
	for (i = 0; i < count; i++) {
		p->hosts[i].probe = p;
		set_up_host(&p->hosts[i], &targets[i], &results);
	}
	find_borders(p->config->expect, p->config->expect_len, p->borders);
	return true;
}

static void
tear_down(struct probe *p)
{
	size_t i;

	for (i = 0; i < p->host_count; i++) {
		sock_abort(&p->hosts[i].lookup);
		err_clear(&p->hosts[i].why);
	}
	for (i = 0; p->results != NULL && i < p->count; i++)
		free(p->results[i].answered);
	free(p->hosts);
	free(p->results);
	free(p->borders);
	free(p->lines.text);
	free(p->lines.now);
	err_clear(&p->failed);
	(void)pthread_mutex_destroy(&p->lines.lock);
	(void)pthread_mutex_destroy(&p->lock);
}

/* Tell what has not been told: it stays as it is. */
static enum sk_result
tell_rest(struct probe *p, bool at_once_only, struct err *e)
{
	p->last = true;
	for (; p->told < p->count; p->told++)
		if (p->results[p->told].state != PROBE_UNTRIED &&
		    !tell(p, &p->results[p->told])) {
			err_no_memory(e);
			return SK_ERROR;
		}
	return lines_flush(&p->lines, at_once_only, e);
}

static enum sk_result
run_and_tell(struct probe *p, struct err *e)
{
	struct err ignored = { .code = ERR_NONE };
	enum sk_result r, told;

	r = rounds(p, e);
	if (r != SK_OK && r != SK_TIMEOUT) {
		(void)tell_rest(p, true, &ignored);
		err_clear(&ignored);
		return r;
	}
	told = tell_rest(p, r == SK_TIMEOUT, &ignored);
	if (r == SK_OK && told != SK_OK) {
		err_move(e, &ignored);
		return told;
	}
	err_clear(&ignored);
	if (clock_now_ns() >= p->config->deadline_ns && !all_wanted(p)) {
		err_set(e, ERR_TIMEOUT, 0, p->hosts[0].target->addr.host,
		    "the run has taken its --timeout");
		return SK_ERROR;
	}
	return probe_conclude(p, e);
}

enum sk_result
probe_run(const struct probe_config *config,
    const struct probe_target *targets, size_t count, struct err *e)
{
	struct probe p = { .config = config, .last = config->retry_ns < 0,
	    .retry_end_ns = config->retry_ns < 0 ? CLOCK_NEVER :
	    clock_after_ns(clock_now_ns(), config->retry_ns),
	    .lines = { .out = config->out } };
	enum sk_result r = SK_ERROR;

	if (count == 0)
		return SK_OK;
	(void)pthread_mutex_init(&p.lock, NULL);
	(void)pthread_mutex_init(&p.lines.lock, NULL);
	if (set_up(&p, targets, count, e))
		r = run_and_tell(&p, e);
	if (p.raised)
		(void)setrlimit(RLIMIT_NOFILE, &p.limit);
	tear_down(&p);
	return r;
}
