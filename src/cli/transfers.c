#include "cli/transfers.h"

#include "base/clock.h"
#include "base/intr.h"
#include "base/log.h"
#include "cli/show.h"

enum {
	SILENCE_SEC = 60,
	RETRY_FIRST_MS = 100,
	RETRY_LAST_MS = 2000,
};

bool
transfers_check(const struct opt_command *cmd,
    const struct transfer_options *options,
    const struct common_options *common, struct err *e)
{
	if (options->progress && options->no_progress)
		return opt_usage(cmd, e,
		    "--progress and --no-progress contradict each other");
	if (options->progress && (options->raw || common->address.udp))
		return opt_usage(cmd, e,
		    "--progress needs the transfer protocol");
	return true;
}

static void
configure(struct transfers *t, struct show *show)
{
	const struct session *s = t->session;
	int64_t idle = s->common->time.idle_ns;

	if (idle < 0)
		idle = SILENCE_SEC * CLOCK_SEC;
	t->config = (struct transfer_config){ .mode = s->mode,
	    .silence_ns = idle > 0 ? idle : -1,
	    .deadline_ns = s->deadline_ns,
	    .counts_all = show_draws(show) };
	show_events(show, &t->config.events);
}

static void
tell(const struct err *e, const char *what)
{
	char text[ERR_WHO_MAX + ERR_TEXT_MAX + 128];

	log_note("%s; %s", err_format(e, text, sizeof(text)), what);
}

/* How long a transfer that broke is tried again, and how often. */
struct patience {
	int64_t until_ns, delay_ns;
};

/*
 * Wait for a connection after a break. One that came as far as agreeing on a
 * transfer makes the patience new; others come after longer and longer pauses.
 */
static enum sk_result
reconnect(struct transfers *t, struct patience *p, bool began,
    struct sock **peer, struct err *e)
{
	struct session *s = t->session;
	int64_t now = clock_now_ns();

	if (began || p->until_ns == 0) {
		p->until_ns = clock_after_ns(now, s->dial->retry_ns);
		p->delay_ns = RETRY_FIRST_MS * CLOCK_MS;
	}
	if (now >= p->until_ns || now >= s->deadline_ns)
		return SK_TIMEOUT;
	if (!s->listens && !intr_sleep(clock_min_ns(now + p->delay_ns,
	    clock_min_ns(p->until_ns, s->deadline_ns))))
		return SK_INTERRUPTED;
	p->delay_ns = clock_min_ns(2 * p->delay_ns, RETRY_LAST_MS * CLOCK_MS);
	return session_resume(s, p->until_ns, peer, e);
}

/*
 * A transfer over a connection, and over further ones while it breaks and
 * somebody is there within --retry-for.
 */
static enum sk_result
run_one(struct transfers *t, struct show *show, struct sock **peer,
    struct err *e)
{
	struct patience patience = { 0 };
	struct transfer_result result;
	struct err again = { 0 };
	enum sk_result r;

	for (;;) {
		result = (struct transfer_result){ .resumable = false };
		t->status = show_begin(show);
		r = t->once(t, peer, &result, e);
		t->began |= result.began;
		show_end(show);
		if (r == SK_OK)
			show_summary(show, &result);
		if (r != SK_ERROR || !result.resumable ||
		    t->session->dial->retry_ns < 0)
			return r;
		tell(e, "trying again");
		r = reconnect(t, &patience, result.began, peer, &again);
		if (r != SK_OK)
			break;
		err_clear(e);
	}
	/* Nobody came: the reason is the break. */
	if (again.code != ERR_NONE)
		err_append(e, &again);
	err_clear(&again);
	return r == SK_INTERRUPTED ? r : SK_ERROR;
}

/* One client's failure is told, and does not end the others. */
static bool
goes_on(struct transfers *t, enum sk_result r, uint64_t served,
    struct err *e)
{
	if (!t->keeps_open || r == SK_INTERRUPTED ||
	    clock_now_ns() >= t->session->deadline_ns)
		return false;
	if (t->count > 0 && served == t->count)
		return false;
	if (r == SK_ERROR && t->first_code == ERR_NONE)
		t->first_code = e->code;
	session_tell(e);
	return true;
}

enum sk_result
transfers_run(struct transfers *t, const struct transfer_options *options,
    struct err *e)
{
	struct session *s = t->session;
	struct show *show = show_new(options, &s->common->output, e);
	struct sock *peer = NULL;
	uint64_t served = 0;
	enum sk_result r;

	if (show == NULL)
		return SK_ERROR;
	intr_status_on();
	configure(t, show);
	s->stays = t->keeps_open || s->dial->retry_ns >= 0;
	do {
		r = session_establish(s, &peer, e);
		if (r != SK_OK)
			break;
		t->began = false;
		r = run_one(t, show, &peer, e);
		sock_abort(&peer);
		served += t->began;
	} while (goes_on(t, r, served, e));
	session_end(s);
	show_free(show);
	/* It was told when it happened. */
	if (r == SK_OK && t->first_code != ERR_NONE) {
		err_set(e, t->first_code, 0, "", "%s", "");
		e->quiet = true;
		r = SK_ERROR;
	}
	return r;
}
