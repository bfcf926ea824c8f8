/*
 * Runs, stages and legs, and the runner of many: the same in both modes. The
 * legs are made up here; what a connection does with them is in test_relay.c
 * and test_hub.c.
 */
#include "flow/run.h"

#include <stdatomic.h>
#include <time.h>

#include "net.h"

enum {
	STAGES = 3,
	MANY_LOOP = 5000,
	MANY_THREADS = 200,
	CHAIN = 20,
	SHORT_MS = 50,
	LONG_MS = 500,
	LATE_MS = 1000,
};

/* A run whose legs do what they are told. */
struct made {
	struct run run;
	struct stage stage;
	struct leg legs[STAGE_LEGS];
	enum sk_result (*does[STAGE_LEGS])(struct made *, struct leg *,
	    struct err *);
	struct runner *runner;
	struct made *other;
	struct sock *sock;
	_Atomic int steps[STAGE_LEGS];
	_Atomic int flag;
	int stages;		/* that are still to come */
	int64_t until_ns;
	int begun;
	_Atomic int over;
	enum sk_result result;
	int code;
};

static atomic_int freeing;
/* Of all runs that are made; but with a judge none is single. */
static bool over_anywhere, single;

static enum sk_result
step_first(struct leg *leg, struct err *e)
{
	struct made *m = leg->owner;

	m->steps[0]++;
	return m->does[0](m, leg, e);
}

static enum sk_result
step_second(struct leg *leg, struct err *e)
{
	struct made *m = leg->owner;

	m->steps[1]++;
	return m->does[1](m, leg, e);
}

static enum verdict
judge_both(struct stage *s, int64_t *wake_ns, struct err *e)
{
	struct made *m = s->owner;
	int i;

	(void)wake_ns;
	for (i = 0; i < STAGE_LEGS; i++)
		if (m->legs[i].state == LEG_FAILED) {
			leg_take_error(&m->legs[i], e);
			return VERDICT_FAIL;
		}
	return m->legs[0].state == LEG_ENDED ? VERDICT_FINISH :
	    VERDICT_GO_ON;
}

static enum verdict
judge_news(struct stage *s, int64_t *wake_ns, struct err *e)
{
	struct made *m = s->owner;

	(void)e;
	*wake_ns = m->until_ns;
	return m->flag || clock_now_ns() >= m->until_ns ? VERDICT_FINISH :
	    VERDICT_GO_ON;
}

static const struct judge both = { .judge = judge_both };
static const struct judge news = { .judge = judge_news };

static struct stage *
next(struct run *run, enum sk_result *r, struct err *e)
{
	struct made *m = run->owner;

	(void)e;
	if (*r != SK_OK || m->stages == 0)
		return NULL;
	m->stages--;
	m->begun++;
	stage_init_single(&m->stage, &m->legs[0], m, step_first);
	return &m->stage;
}

static void
over(struct run *run, enum sk_result r, struct err *e)
{
	struct made *m = run->owner;

	m->result = r;
	m->code = (int)e->code;
	m->over++;
}

static void
make(struct made *m, enum sk_mode mode, enum sk_result (*does)(struct made *,
    struct leg *, struct err *))
{
	memset(m, 0, sizeof(*m));
	m->does[0] = does;
	m->result = SK_WANT_READ;
	stage_init_single(&m->stage, &m->legs[0], m, step_first);
	m->run = (struct run){ .stage = &m->stage, .owner = m,
	    .mode = (unsigned char)mode, .single = single,
	    .over_anywhere = over_anywhere,
	    .next = next, .over = over };
}

static void
make_judged(struct made *m, enum sk_mode mode, const struct judge *judge,
    enum sk_result (*first)(struct made *, struct leg *, struct err *),
    enum sk_result (*second)(struct made *, struct leg *, struct err *))
{
	make(m, mode, first);
	m->does[1] = second;
	m->stage.judge = judge;
	m->run.single = false;
	if (second == NULL)
		return;
	leg_init(&m->legs[1], m, step_second);
	m->stage.legs[1] = &m->legs[1];
}

/* What legs do. */

static enum sk_result
count_to_ten(struct made *m, struct leg *leg, struct err *e)
{
	(void)leg;
	(void)e;
	return m->steps[0] % 10 == 0 ? SK_EOF : SK_OK;
}

static enum sk_result
fail_at_once(struct made *m, struct leg *leg, struct err *e)
{
	(void)m;
	(void)leg;
	err_set(e, ERR_BROKEN, 0, "somebody", "by design");
	return SK_ERROR;
}

static enum sk_result
sleep_for_ever(struct made *m, struct leg *leg, struct err *e)
{
	(void)e;
	return m->flag ? SK_EOF : leg_sleep(leg, CLOCK_NEVER);
}

static enum sk_result
sleep_shortly(struct made *m, struct leg *leg, struct err *e)
{
	(void)e;
	return clock_now_ns() >= m->until_ns ? SK_EOF :
	    leg_sleep(leg, m->until_ns);
}

static enum sk_result
wake_the_first(struct made *m, struct leg *leg, struct err *e)
{
	(void)e;
	if (clock_now_ns() < m->until_ns)
		return leg_sleep(leg, m->until_ns);
	m->flag = 1;
	stage_wake(&m->stage, 0);
	return SK_EOF;
}

static enum sk_result
bring_news(struct made *m, struct leg *leg, struct err *e)
{
	(void)leg;
	(void)e;
	m->flag = 1;
	stage_news(&m->stage);
	return SK_EOF;
}

/* Woken during its own step: for the next one. */
static enum sk_result
wake_itself(struct made *m, struct leg *leg, struct err *e)
{
	(void)e;
	if (m->steps[0] > 3)
		return SK_EOF;
	stage_wake(&m->stage, 0);
	return leg_sleep(leg, CLOCK_NEVER);
}

static enum sk_result
wake_itself_and_end(struct made *m, struct leg *leg, struct err *e)
{
	(void)leg;
	(void)e;
	stage_wake(&m->stage, 0);
	return SK_EOF;
}

static enum sk_result
tell_the_other(struct made *m, struct leg *leg, struct err *e)
{
	(void)e;
	if (clock_now_ns() < m->until_ns)
		return leg_sleep(leg, m->until_ns);
	m->other->flag = 1;
	stage_news(&m->other->stage);
	return SK_EOF;
}

static enum sk_result
wake_the_other(struct made *m, struct leg *leg, struct err *e)
{
	enum sk_result r = tell_the_other(m, leg, e);

	if (r == SK_EOF)
		stage_wake(&m->other->stage, 0);
	return r;
}

static enum sk_result
stop_all(struct made *m, struct leg *leg, struct err *e)
{
	(void)leg;
	(void)e;
	runner_stop(m->runner);
	return SK_EOF;
}

static enum sk_result
add_the_other(struct made *m, struct leg *leg, struct err *e)
{
	(void)leg;
	return runner_add(m->runner, &m->other->run, e) ? SK_EOF : SK_ERROR;
}

/* In a thread of its own: while the runner is being freed. */
static enum sk_result
add_too_late(struct made *m, struct leg *leg, struct err *e)
{
	const struct timespec shortly = { .tv_nsec = SHORT_MS * 1000 * 1000 };

	(void)leg;
	while (!atomic_load(&freeing))
		(void)nanosleep(&shortly, NULL);
	(void)nanosleep(&shortly, NULL);
	m->begun = runner_add(m->runner, &m->other->run, e);
	err_clear(e);
	return SK_EOF;
}

static enum sk_result
hear(struct made *m, struct leg *leg, struct err *e)
{
	enum sk_result r;
	size_t got;
	char byte;

	leg->waits = m->sock;
	leg->side = SK_IN;
	r = sock_recv(m->sock, &byte, sizeof(byte), &got, e);
	return r == SK_TIMEOUT ? SK_OK : r;
}

/* One run. */

static void
test_alone(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct err e = { 0 };
	struct made m;

	make(&m, mode, count_to_ten);
	m.run.over = NULL;
	tap_int(run_alone(&m.run, &e), SK_OK, "%s: one stage", name);
	tap_int(m.steps[0], 10, "%s: stepped until it is done", name);
	make(&m, mode, count_to_ten);
	m.run.over = NULL;
	m.stages = STAGES;
	tap_int(run_alone(&m.run, &e), SK_OK, "%s: stages", name);
	tap_ok(m.begun == STAGES && m.steps[0] == 10 * (STAGES + 1),
	    "%s: one after the other", name);
	make(&m, mode, fail_at_once);
	m.run.over = NULL;
	m.stages = STAGES;
	tap_int(run_alone(&m.run, &e), SK_ERROR, "%s: a failure", name);
	tap_text(e.text, "by design", "%s: with its reason", name);
	tap_int(m.begun, 0, "%s: and no further stage", name);
	err_clear(&e);
}

static void
test_sleeping(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	int64_t begin = clock_now_ns(), took;
	struct err e = { 0 };
	struct made m;

	make(&m, mode, sleep_shortly);
	m.run.over = NULL;
	m.until_ns = begin + SHORT_MS * CLOCK_MS;
	tap_int(run_alone(&m.run, &e), SK_OK, "%s: a sleep", name);
	took = clock_now_ns() - begin;
	tap_ok(took >= SHORT_MS * CLOCK_MS && took < LATE_MS * CLOCK_MS,
	    "%s: as long as asked for", name);
	tap_ok(m.steps[0] <= 3, "%s: in %d steps", name, m.steps[0]);
	make(&m, mode, wake_itself);
	m.run.over = NULL;
	tap_int(run_alone(&m.run, &e), SK_OK, "%s: woken by itself", name);
	tap_int(m.steps[0], 4, "%s: no wake is lost", name);
}

static void
test_judged(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct err e = { 0 };
	struct made m;

	make_judged(&m, mode, &both, sleep_for_ever, wake_the_first);
	m.run.over = NULL;
	m.until_ns = clock_now_ns() + SHORT_MS * CLOCK_MS;
	tap_int(run_alone(&m.run, &e), SK_OK, "%s: a leg wakes the other",
	    name);
	tap_ok(m.legs[0].state == LEG_ENDED, "%s: which has ended", name);
	make_judged(&m, mode, &both, count_to_ten, sleep_for_ever);
	m.run.over = NULL;
	tap_int(run_alone(&m.run, &e), SK_OK,
	    "%s: the judge ends a leg that sleeps", name);
	make_judged(&m, mode, &both, sleep_for_ever, fail_at_once);
	m.run.over = NULL;
	tap_int(run_alone(&m.run, &e), SK_ERROR, "%s: a leg fails", name);
	tap_text(e.text, "by design", "%s: the judge takes its reason", name);
	err_clear(&e);
	make_judged(&m, mode, &news, sleep_for_ever, bring_news);
	m.run.over = NULL;
	m.until_ns = CLOCK_NEVER;
	tap_int(run_alone(&m.run, &e), SK_OK, "%s: news for the judge", name);
	make_judged(&m, mode, &news, sleep_for_ever, sleep_for_ever);
	m.run.over = NULL;
	m.until_ns = clock_now_ns() + SHORT_MS * CLOCK_MS;
	tap_int(run_alone(&m.run, &e), SK_OK, "%s: a time for the judge",
	    name);
}

/* Many runs. */

static void
test_many(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	int count = mode == SK_BLOCKING ? MANY_THREADS : MANY_LOOP;
	struct made *all = calloc((size_t)count, sizeof(*all));
	struct err e = { 0 };
	struct runner *r = runner_new(mode, &e);
	uint64_t seed = tap_seed();
	int i, added = 0, good = 0;

	for (i = 0; i < count; i++) {
		make(&all[i], mode, i % 3 == 0 ? count_to_ten : sleep_shortly);
		all[i].stages = i % 4;
		all[i].until_ns = clock_now_ns() +
		    (int64_t)(tap_random(&seed) % 200) * CLOCK_MS;
		added += runner_add(r, &all[i].run, &e);
	}
	tap_int(added, count, "%s: %d runs", name, count);
	tap_int(runner_wait(r, net_limit_ns(), &e), SK_OK,
	    "%s: all are over", name);
	for (i = 0; i < count; i++)
		good += all[i].over == 1 && all[i].result == SK_OK &&
		    all[i].begun == i % 4;
	tap_int(good, count, "%s: each once, after its stages", name);
	tap_int(runner_wait(r, net_limit_ns(), &e), SK_OK,
	    "%s: nothing is left to wait for", name);
	runner_free(r);
	free(all);
}

/* What need not wait is over without a thread, what does goes on in one. */
static void
test_at_once(void)
{
	struct err e = { 0 };
	struct runner *r = runner_new(SK_BLOCKING, &e);
	struct made brief, failing, waiting;

	make(&brief, SK_BLOCKING, count_to_ten);
	make(&failing, SK_BLOCKING, fail_at_once);
	make(&waiting, SK_BLOCKING, sleep_shortly);
	brief.run.single = failing.run.single = waiting.run.single = true;
	brief.run.over_anywhere = failing.run.over_anywhere =
	    waiting.run.over_anywhere = true;
	tap_ok(runner_add(r, &brief.run, &e) && brief.over == 1 &&
	    brief.result == SK_OK && brief.steps[0] == 10,
	    "blocking: a brief run is over once it is added");
	tap_ok(runner_add(r, &failing.run, &e) && failing.over == 1 &&
	    failing.result == SK_ERROR && failing.code == ERR_BROKEN,
	    "blocking: so is one that fails, with its reason");
	waiting.until_ns = clock_now_ns() + LONG_MS * CLOCK_MS;
	tap_ok(runner_add(r, &waiting.run, &e) && waiting.over == 0,
	    "blocking: one that waits is not waited for");
	tap_ok(runner_wait(r, net_limit_ns(), &e) == SK_OK &&
	    waiting.over == 1 && waiting.steps[0] >= 2 &&
	    waiting.steps[0] <= 4, "blocking: it goes on by itself");
	runner_free(r);
}

static void
test_wakes(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct err e = { 0 };
	struct runner *r = runner_new(mode, &e);
	struct made sleeper, waker, self, late;

	make(&sleeper, mode, sleep_for_ever);
	make(&waker, mode, wake_the_other);
	make(&self, mode, wake_itself_and_end);
	waker.other = &sleeper;
	waker.until_ns = clock_now_ns() + SHORT_MS * CLOCK_MS;
	tap_ok(runner_add(r, &sleeper.run, &e) &&
	    runner_add(r, &self.run, &e) && runner_add(r, &waker.run, &e),
	    "%s: one that wakes itself and ends, among others", name);
	tap_int(runner_wait(r, net_limit_ns(), &e), SK_OK,
	    "%s: they end, too", name);
	tap_ok(sleeper.over == 1 && waker.over == 1 && self.over == 1,
	    "%s: each is over once", name);
	/* The sleeper is over. */
	make(&late, mode, wake_the_other);
	late.other = &sleeper;
	tap_ok(runner_add(r, &late.run, &e) &&
	    runner_wait(r, net_limit_ns(), &e) == SK_OK && late.over == 1,
	    "%s: a wake for one that is over is nothing", name);
	tap_int(sleeper.over, 1, "%s: and it stays over", name);
	runner_free(r);
}

/* A leg that waits for a socket, alone but for its judge, who has news. */
static void
test_nudged(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct sock_config config = { .mode = mode };
	struct err e = { 0 };
	struct runner *r = runner_new(mode, &e);
	struct made listener, waker;
	struct sock *pair[2];
	int i;

	if (!net_pair(NET_UNIX, &config, pair, &e)) {
		tap_ok(false, "%s: a pair: %s", name, e.text);
		return;
	}
	sock_set_deadline(pair[0], CLOCK_NEVER);
	for (i = 0; i < 2; i++) {
		make_judged(&listener, mode, i == 0 ? &news : &both, hear,
		    NULL);
		listener.sock = pair[0];
		listener.stage.nudged = listener.stage.socks[0] = pair[0];
		listener.run.single = single;
		listener.until_ns = CLOCK_NEVER;
		make(&waker, mode, tell_the_other);
		waker.other = &listener;
		waker.until_ns = clock_now_ns() + SHORT_MS * CLOCK_MS;
		(void)runner_add(r, &listener.run, &e);
		(void)runner_add(r, &waker.run, &e);
		tap_int(runner_wait(r, i == 0 ? net_limit_ns() :
		    clock_now_ns() + 2 * SHORT_MS * CLOCK_MS, &e),
		    i == 0 ? SK_OK : SK_TIMEOUT, i == 0 ?
		    "%s: news for who waits for a socket" :
		    "%s: a judge who goes on", name);
		tap_ok(listener.steps[0] <= 3, "%s: in %d steps", name,
		    listener.steps[0]);
	}
	sock_abort(&pair[1]);
	tap_int(runner_wait(r, net_limit_ns(), &e), SK_OK,
	    "%s: the end of the socket", name);
	tap_ok(listener.over == 1 && listener.result == SK_OK,
	    "%s: ends the run", name);
	runner_free(r);
	sock_abort(&pair[0]);
}

static void
test_chain(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct made chain[CHAIN];
	struct err e = { 0 };
	struct runner *r = runner_new(mode, &e);
	int i, good = 0;

	for (i = 0; i < CHAIN; i++) {
		make(&chain[i], mode, i < CHAIN - 1 ? add_the_other :
		    count_to_ten);
		chain[i].runner = r;
		chain[i].other = i < CHAIN - 1 ? &chain[i + 1] : NULL;
	}
	tap_ok(runner_add(r, &chain[0].run, &e) &&
	    runner_wait(r, net_limit_ns(), &e) == SK_OK,
	    "%s: runs that add runs", name);
	for (i = 0; i < CHAIN; i++)
		good += chain[i].over == 1 && chain[i].result == SK_OK;
	tap_int(good, CHAIN, "%s: all are over", name);
	runner_free(r);
}

static void
test_ends(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct made sleepers[3], failing, stopper;
	enum sk_result result;
	int64_t limit;
	struct err e = { 0 };
	struct runner *r = runner_new(mode, &e);
	int i, good = 0;

	for (i = 0; i < 3; i++) {
		make(&sleepers[i], mode, sleep_for_ever);
		sleepers[i].stages = 1;
		(void)runner_add(r, &sleepers[i].run, &e);
	}
	make(&failing, mode, fail_at_once);
	(void)runner_add(r, &failing.run, &e);
	limit = net_limit_ns();
	do
		result = runner_wait(r, clock_now_ns() + SHORT_MS * CLOCK_MS,
		    &e);
	while (result == SK_TIMEOUT && failing.over == 0 &&
	    clock_now_ns() < limit);
	tap_int(result, SK_TIMEOUT, "%s: a deadline of the runner", name);
	tap_ok(failing.over == 1 && failing.result == SK_ERROR &&
	    failing.code == ERR_BROKEN, "%s: one has failed alone", name);
	make(&stopper, mode, stop_all);
	stopper.runner = r;
	(void)runner_add(r, &stopper.run, &e);
	tap_int(runner_wait(r, net_limit_ns(), &e), SK_OK,
	    "%s: one stops the runner", name);
	runner_free(r);
	for (i = 0; i < 3; i++)
		good += sleepers[i].over == 1 && sleepers[i].begun == 0 &&
		    sleepers[i].result == SK_INTERRUPTED;
	tap_int(good, 3, "%s: what still runs is interrupted", name);
	tap_int(stopper.over, 1, "%s: and over once", name);
}

/* A leg in another thread adds a run when the runner is about to go. */
static void
test_too_late(void)
{
	struct err e = { 0 };
	struct runner *r = runner_new(SK_BLOCKING, &e);
	struct made adder, late;

	make(&adder, SK_BLOCKING, add_too_late);
	adder.run.single = false;
	make(&late, SK_BLOCKING, sleep_for_ever);
	adder.runner = r;
	adder.other = &late;
	(void)runner_add(r, &adder.run, &e);
	atomic_store(&freeing, 1);
	runner_free(r);
	atomic_store(&freeing, 0);
	tap_ok(!adder.begun || late.result == SK_INTERRUPTED,
	    "blocking: a run that is added too late is ended, or not begun");
}

int
main(void)
{
	int mode;

	tap_start();
	for (mode = SK_NONBLOCKING; mode <= SK_BLOCKING; mode++) {
		test_alone((enum sk_mode)mode);
		test_sleeping((enum sk_mode)mode);
		test_judged((enum sk_mode)mode);
	}
	/*
	 * Each also with runs that end in their own threads, and with such as
	 * have no descriptors.
	 */
	for (mode = 0; mode < 8; mode++) {
		over_anywhere = mode & 2;
		single = mode & 4;
		test_many((enum sk_mode)(mode % 2));
		test_wakes((enum sk_mode)(mode % 2));
		test_nudged((enum sk_mode)(mode % 2));
		test_chain((enum sk_mode)(mode % 2));
		test_ends((enum sk_mode)(mode % 2));
		if (mode % 2 == SK_BLOCKING) {
			test_at_once();
			test_too_late();
		}
	}
	return tap_done();
}
