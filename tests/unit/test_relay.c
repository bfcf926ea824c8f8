/*
 * Two directions and how they end: by both ends, by a break, by a limit. Each
 * case runs in both modes, through memory and inside the kernel. What plays
 * the peer and the shell runs in a thread, with plain blocking descriptors.
 */
#include "flow/relay.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "fault.h"
#include "net.h"

enum {
	DATA_BYTES = 3 * 1024 * 1024,
	SMALL_BUFFER = 4096,
	RESET_BYTES = 100 * 1000,
	SHORT_MS = 50,
	LIMIT_MS = 1000,	/* "within a second" */
};

/* A relay with its surroundings. */
struct scene {
	struct relay_config config;
	int rcvbuf;			/* of the peer; 0: default */
	const struct fault_config *faults;
	bool no_input, null_output;
	void (*play)(struct scene *);	/* the other side of it all */

	int peer;			/* the peer's end of the connection */
	int input, output;		/* the shell's ends of 0 and 1 */
	bool played_well;

	enum sk_result result;
	struct relay_counts counts;
	struct err err;
	int64_t took_ns;
	int after;			/* what the peer then receives */
};

static char data[DATA_BYTES];

static void
shut(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

static void
reset(int *fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	shut(fd);
}

static bool
put_all(int fd, const char *bytes, size_t size)
{
	ssize_t n;
	size_t i;

	for (i = 0; i < size; i += (size_t)n)
		if ((n = write(fd, bytes + i, size - i)) <= 0)
			return false;
	return true;
}

/* Exactly size bytes, the same as those. */
static bool
take_all(int fd, const char *bytes, size_t size)
{
	static _Thread_local char buf[64 * 1024];
	size_t i, want;
	ssize_t n;

	for (i = 0; i < size; i += (size_t)n) {
		want = size - i < sizeof(buf) ? size - i : sizeof(buf);
		n = read(fd, buf, want);
		if (n <= 0 || memcmp(buf, bytes + i, (size_t)n) != 0)
			return false;
	}
	return true;
}

static bool
take_end(int fd)
{
	char c;

	return read(fd, &c, 1) == 0;
}

static void *
play(void *arg)
{
	struct scene *g = arg;

	g->play(g);
	return NULL;
}

/* Pipes on 0 and 1, and a connection whose one end is the relay's. */
static struct sock *
set_up(struct scene *g)
{
	int in[2], out[2], net[2];
	struct sock *peer;

	if (pipe(in) != 0 || pipe(out) != 0 ||
	    !net_plain_pair(net, g->rcvbuf))
		return NULL;
	(void)dup2(in[0], STDIN_FILENO);
	(void)dup2(out[1], STDOUT_FILENO);
	(void)close(in[0]);
	(void)close(out[1]);
	g->input = in[1];
	g->output = out[0];
	g->peer = net[1];
	peer = net_adopt(net[0], g->config.mode, &g->err);
	if (peer != NULL && g->faults != NULL)
		peer = fault_wrap(peer, g->config.mode, g->faults, &g->err);
	return peer;
}

static int
errno_of_end(int fd)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		continue;
	return n == 0 ? 0 : errno;
}

/* Whatever a case does not want is closed behind it. */
static void
run(struct scene *g)
{
	struct sock *in = NULL, *out, *peer = set_up(g);
	int64_t start = clock_now_ns();
	pthread_t thread;

	g->after = -1;
	if (!g->no_input)
		in = sock_stdin(g->config.mode, &g->err);
	out = g->null_output ? sock_null(g->config.mode, &g->err) :
	    sock_stdout(g->config.mode, &g->err);
	g->result = SK_ERROR;
	if (peer != NULL && pthread_create(&thread, NULL, play, g) == 0) {
		g->result = relay_run(&g->config, in, out, &peer,
		    &g->counts, &g->err);
		g->took_ns = clock_now_ns() - start;
		if ((g->result == SK_OK) != (peer == NULL))
			tap_note("a peer is closed on success alone");
		sock_abort(&peer);
		sock_abort(&in);
		sock_abort(&out);
		(void)dup2(STDERR_FILENO, STDOUT_FILENO);
		(void)close(STDIN_FILENO);
		(void)open("/dev/null", O_RDONLY);
		(void)pthread_join(thread, NULL);
	}
	if (g->peer != -1)
		g->after = errno_of_end(g->peer);
	shut(&g->peer);
	shut(&g->input);
	shut(&g->output);
}

static bool
failed_with(const struct scene *g, enum err_code code, int sys)
{
	return g->result == SK_ERROR && g->err.code == code &&
	    g->err.sys == sys;
}

/* The name of a test in a stage. */
static bool
check(struct scene *g, bool passed, const char *what)
{
	char line[512];

	if (tap_ok(passed, "%s, %s: %s", net_mode_names[g->config.mode],
	    g->config.no_move ? "memory" : "kernel", what))
		return true;
	tap_note("result %d: %s; sent %llu, received %llu, %lld ms",
	    (int)g->result, err_format(&g->err, line, sizeof(line)),
	    (unsigned long long)g->counts.sent,
	    (unsigned long long)g->counts.received,
	    (long long)(g->took_ns / CLOCK_MS));
	return false;
}

/* Our end first; the answer comes after it. */
static void
play_ours_first(struct scene *g)
{
	g->played_well = put_all(g->input, "question", 8);
	shut(&g->input);
	g->played_well = g->played_well && take_all(g->peer, "question", 8) &&
	    take_end(g->peer) && put_all(g->peer, "answer", 6);
	(void)shutdown(g->peer, SHUT_WR);
	g->played_well = g->played_well && take_all(g->output, "answer", 6) &&
	    take_end(g->output);
}

/* The peer's end first: our output ends at once, our input goes on. */
static void
play_peer_first(struct scene *g)
{
	g->played_well = put_all(g->peer, "greeting", 8);
	(void)shutdown(g->peer, SHUT_WR);
	g->played_well = g->played_well && take_all(g->output, "greeting",
	    8) && take_end(g->output) && put_all(g->input, "late", 4) &&
	    take_all(g->peer, "late", 4) && put_all(g->input, "r", 1);
	shut(&g->input);
	g->played_well = g->played_well && take_all(g->peer, "r", 1) &&
	    take_end(g->peer);
}

/* One side of a transfer both ways: what it writes to, what it reads from. */
struct side {
	int to, from;
	bool in_turn;		/* nothing is read until all is written */
	bool wrote, read;
};

static void *
write_side(void *arg)
{
	struct side *s = arg;

	s->wrote = put_all(s->to, data, DATA_BYTES);
	if (shutdown(s->to, SHUT_WR) != 0)
		(void)close(s->to);	/* a pipe */
	return NULL;
}

static void *
use_side(void *arg)
{
	struct side *s = arg;
	pthread_t thread;

	if (s->in_turn)
		(void)write_side(s);
	else if (pthread_create(&thread, NULL, write_side, s) != 0)
		return NULL;
	s->read = take_all(s->from, data, DATA_BYTES) && take_end(s->from);
	if (!s->in_turn)
		(void)pthread_join(thread, NULL);
	return NULL;
}

/*
 * One side reads nothing before it has written everything: a direction that
 * waited for the other would wait for ever.
 */
static void
play_both_ways(struct scene *g, bool peer_in_turn)
{
	struct side shell = { g->input, g->output, !peer_in_turn, false,
	    false };
	struct side peer = { g->peer, g->peer, peer_in_turn, false, false };
	pthread_t thread;

	g->input = -1;
	if (pthread_create(&thread, NULL, use_side, &shell) != 0)
		return;
	(void)use_side(&peer);
	(void)pthread_join(thread, NULL);
	g->played_well = shell.wrote && shell.read && peer.wrote &&
	    peer.read;
}

static void
play_shell_in_turn(struct scene *g)
{
	play_both_ways(g, false);
}

static void
play_peer_in_turn(struct scene *g)
{
	play_both_ways(g, true);
}

/*
 * Wait until everything is acknowledged, so that a reset cannot overtake it; or
 * until the other side has reset.
 */
static void
settle(int fd)
{
	struct pollfd p = { .fd = fd };
	int left = 1;

	while (p.revents == 0 && ioctl(fd, TIOCOUTQ, &left) == 0 && left > 0)
		(void)poll(&p, 1, 1);
}

static void
play_reset(struct scene *g)
{
	g->played_well = put_all(g->peer, data, RESET_BYTES);
	settle(g->peer);
	reset(&g->peer);
	g->played_well = g->played_well &&
	    take_all(g->output, data, RESET_BYTES);
}

static void
play_reset_at_once(struct scene *g)
{
	reset(&g->peer);
	g->played_well = true;
}

/* An answer and a reset while we are still sending. */
static void
play_answer_and_reset(struct scene *g)
{
	g->played_well = put_all(g->peer, "no", 2);
	settle(g->peer);
	(void)put_all(g->input, data, 1000);
	g->played_well = g->played_well && take_all(g->peer, data, 1) &&
	    take_all(g->output, "no", 2);
	reset(&g->peer);
}

static void
play_nothing(struct scene *g)
{
	g->played_well = true;
}

/* Everything is sent, and the peer stays. */
static void
play_receiver(struct scene *g)
{
	g->played_well = put_all(g->input, "data", 4);
	shut(&g->input);
	g->played_well = g->played_well && take_all(g->peer, "data", 4) &&
	    (g->config.hold || take_end(g->peer));
}

/* A peer that acknowledges no more than fits. */
static void
play_deaf(struct scene *g)
{
	g->played_well = put_all(g->input, data, RESET_BYTES);
	shut(&g->input);
}

static void
play_reader_gone(struct scene *g)
{
	shut(&g->output);
	g->played_well = true;
}

static struct scene
stage_of(const struct scene *base, void (*script)(struct scene *))
{
	struct scene g = *base;

	g.play = script;
	g.config.idle_ns = g.config.linger_ns = -1;
	g.config.deadline_ns = net_limit_ns();	/* a test never hangs */
	return g;
}

static void
test_ends(const struct scene *base)
{
	struct scene g = stage_of(base, play_ours_first);

	run(&g);
	check(&g, g.result == SK_OK && g.played_well && g.counts.sent == 8 &&
	    g.counts.received == 6, "our end first");
	check(&g, g.after == 0, "closed in order");
	g = stage_of(base, play_peer_first);
	run(&g);
	check(&g, g.result == SK_OK && g.played_well && g.counts.sent == 5 &&
	    g.counts.received == 8, "the peer's end first");
	g = stage_of(base, play_shell_in_turn);
	run(&g);
	check(&g, g.result == SK_OK && g.played_well &&
	    g.counts.sent == DATA_BYTES && g.counts.received == DATA_BYTES,
	    "a full output does not stop the upload");
	g = stage_of(base, play_peer_in_turn);
	run(&g);
	check(&g, g.result == SK_OK && g.played_well &&
	    g.counts.sent == DATA_BYTES && g.counts.received == DATA_BYTES,
	    "a full connection does not stop the download");
	g = stage_of(base, play_receiver);
	g.null_output = true;
	g.config.send_only = true;
	run(&g);
	check(&g, g.result == SK_OK && g.played_well && g.after == 0 &&
	    g.took_ns < LIMIT_MS * CLOCK_MS, "sending only");
	g = stage_of(base, play_receiver);
	g.config.hold = true;
	g.config.linger_ns = SHORT_MS * CLOCK_MS;
	run(&g);
	check(&g, g.result == SK_OK && g.played_well && g.after == 0,
	    "held, the end comes with the close");
	err_clear(&g.err);
}

static void
test_breaks(const struct scene *base)
{
	struct scene g = stage_of(base, play_reset);

	run(&g);
	check(&g, failed_with(&g, ERR_BROKEN, ECONNRESET) && g.played_well &&
	    g.counts.received == RESET_BYTES, "a reset behind data");
	err_clear(&g.err);
	g = stage_of(base, play_reset_at_once);
	run(&g);
	check(&g, failed_with(&g, ERR_BROKEN, ECONNRESET),
	    "a reset at once");
	err_clear(&g.err);
	g = stage_of(base, play_reset_at_once);
	g.no_input = true;
	run(&g);
	check(&g, failed_with(&g, ERR_BROKEN, ECONNRESET),
	    "a reset while receiving only");
	err_clear(&g.err);
	g = stage_of(base, play_answer_and_reset);
	run(&g);
	check(&g, failed_with(&g, ERR_BROKEN, ECONNRESET) && g.played_well &&
	    g.counts.received == 2, "an answer and a reset");
	err_clear(&g.err);
	g = stage_of(base, play_reader_gone);
	run(&g);
	check(&g, failed_with(&g, ERR_LOCAL, EPIPE) && g.err.quiet &&
	    g.took_ns < LIMIT_MS * CLOCK_MS, "the reader of our output left");
	check(&g, g.after == ECONNRESET, "and the peer sees a reset");
	err_clear(&g.err);
}

static bool
timed_out(const struct scene *g, const char *text)
{
	return failed_with(g, ERR_TIMEOUT, 0) &&
	    strstr(g->err.text, text) != NULL &&
	    g->took_ns >= SHORT_MS * CLOCK_MS &&
	    g->took_ns < LIMIT_MS * CLOCK_MS && g->after == ECONNRESET;
}

static void
test_limits(const struct scene *base)
{
	struct scene g = stage_of(base, play_nothing);
	int64_t begin;

	g.config.idle_ns = SHORT_MS * CLOCK_MS;
	run(&g);
	check(&g, timed_out(&g, "--idle-timeout"), "--idle-timeout");
	err_clear(&g.err);
	g = stage_of(base, play_nothing);
	begin = clock_now_ns();
	g.config.deadline_ns = begin + SHORT_MS * CLOCK_MS;
	run(&g);
	g.took_ns = clock_now_ns() - begin;
	check(&g, timed_out(&g, "--timeout"), "--timeout");
	err_clear(&g.err);
	g = stage_of(base, play_receiver);
	g.config.linger_ns = SHORT_MS * CLOCK_MS;
	run(&g);
	check(&g, g.result == SK_OK && g.after == 0 && g.played_well &&
	    g.took_ns >= SHORT_MS * CLOCK_MS, "--linger, all acknowledged");
	err_clear(&g.err);
	g = stage_of(base, play_deaf);
	g.config.linger_ns = SHORT_MS * CLOCK_MS;
	g.rcvbuf = SMALL_BUFFER;
	run(&g);
	check(&g, timed_out(&g, "--linger"), "--linger, not acknowledged");
	err_clear(&g.err);
}

/* A peer in trouble: the bytes are the same. */
static void
test_faults(const struct scene *base, uint64_t seed)
{
	static const int percents[] = { 10, 50, 90 };
	struct fault_config faults = { .seed = seed };
	struct scene g;
	size_t i;

	for (i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		faults.percent = percents[i];
		faults.seed += i;
		g = stage_of(base, percents[i] < 50 ? play_peer_in_turn :
		    play_ours_first);
		g.faults = &faults;
		run(&g);
		check(&g, g.result == SK_OK && g.played_well && g.after == 0,
		    "with faults");
		err_clear(&g.err);
	}
	faults.breaks = true;
	faults.break_after = RESET_BYTES / 2;
	faults.percent = 20;
	g = stage_of(base, play_reset);
	g.faults = &faults;
	run(&g);
	check(&g, failed_with(&g, ERR_BROKEN, ECONNRESET) &&
	    g.counts.received == RESET_BYTES / 2,
	    "a break in the midst of data");
	err_clear(&g.err);
}

static atomic_int refusals;

static void
count_refusal(const struct err *e)
{
	if (*e->who != '\0' && e->sys == ECONNREFUSED)
		(void)atomic_fetch_add(&refusals, 1);
}

/* A session of datagrams, and what its peer does. */
struct session {
	bool replies, leaves, waits;
	struct sock *peer;
	int input, output;
	bool played_well;
};

static void *
play_session(void *arg)
{
	struct session *d = arg;
	struct err e = { 0 };
	size_t n;
	int i;

	d->played_well = true;
	if (d->replies)
		d->played_well = net_send(d->peer, "reply", 5, &n, &e) ==
		    SK_OK && take_all(d->output, "reply", 5);
	if (d->leaves)
		sock_abort(&d->peer);
	d->played_well = d->played_well && put_all(d->input, "a\nbc\n", 5);
	for (i = 0; d->waits && i < LIMIT_MS && refusals == 0; i++)
		(void)poll(NULL, 0, 1);
	shut(&d->input);
	err_clear(&e);
	return NULL;
}

static void
run_session(struct scene *g, struct session *d)
{
	struct sock_config config = { .mode = g->config.mode };
	struct sock *pair[2], *in, *out;
	int input[2], output[2];
	pthread_t thread;
	size_t n;
	char c;

	g->result = SK_INTERRUPTED;
	if (!net_pair(NET_UDP4, &config, pair, &g->err) ||
	    net_recv(pair[1], &c, 1, &n, &g->err) != SK_OK ||
	    pipe(input) != 0 || pipe(output) != 0)
		return;
	(void)dup2(input[0], STDIN_FILENO);
	(void)dup2(output[1], STDOUT_FILENO);
	(void)close(input[0]);
	(void)close(output[1]);
	d->peer = pair[1];
	d->input = input[1];
	d->output = output[0];
	in = sock_stdin(g->config.mode, &g->err);
	out = sock_stdout(g->config.mode, &g->err);
	if (pthread_create(&thread, NULL, play_session, d) != 0)
		return;
	g->took_ns = -clock_now_ns();
	g->result = relay_run(&g->config, in, out, &pair[0], &g->counts,
	    &g->err);
	g->took_ns += clock_now_ns();
	(void)pthread_join(thread, NULL);
	sock_abort(&in);
	sock_abort(&out);
	sock_abort(&pair[0]);
	shut(&d->output);
}

/* It has no end but silence, and no failure but a refusal. */
static void
test_datagrams(const struct scene *base)
{
	struct scene g = stage_of(base, NULL);
	struct session d = { .replies = true };
	char buf[16];
	size_t n;

	g.config.unit = PUMP_LINE;
	g.config.linger_ns = SHORT_MS * CLOCK_MS;
	run_session(&g, &d);
	check(&g, g.result == SK_OK && d.played_well && g.counts.sent == 5 &&
	    g.counts.received == 5 && g.took_ns >= SHORT_MS * CLOCK_MS,
	    "datagrams until silence");
	check(&g, net_recv(d.peer, buf, 16, &n, &g.err) == SK_OK && n == 2 &&
	    net_recv(d.peer, buf, 16, &n, &g.err) == SK_OK && n == 3,
	    "a datagram for each line");
	sock_abort(&d.peer);
	err_clear(&g.err);

	d = (struct session){ .replies = true, .leaves = true };
	run_session(&g, &d);
	check(&g, failed_with(&g, ERR_BROKEN, ECONNREFUSED) && d.played_well,
	    "refused after a reply");
	err_clear(&g.err);

	d = (struct session){ .leaves = true };
	run_session(&g, &d);
	check(&g, failed_with(&g, ERR_CONNECT, ECONNREFUSED) && d.played_well,
	    "refused before any reply");
	err_clear(&g.err);

	d = (struct session){ .leaves = true, .waits = true };
	refusals = 0;
	g.config.on_refusal = count_refusal;
	run_session(&g, &d);
	check(&g, failed_with(&g, ERR_CONNECT, ECONNREFUSED) &&
	    refusals == 1 && g.took_ns < LIMIT_MS * CLOCK_MS,
	    "a refusal is told once, with the input open");
	err_clear(&g.err);
}

int
main(void)
{
	struct scene base = { .config = { .mode = SK_NONBLOCKING } };
	uint64_t seed;
	size_t i;

	tap_start();
	(void)signal(SIGPIPE, SIG_IGN);
	seed = tap_seed();
	for (i = 0; i < sizeof(data); i += sizeof(uint64_t)) {
		uint64_t state = seed + i, random = tap_random(&state);

		memcpy(data + i, &random, sizeof(random));
	}
	for (i = 0; i < 4; i++) {
		base.config.mode = i < 2 ? SK_NONBLOCKING : SK_BLOCKING;
		base.config.no_move = i % 2 == 1;
		test_ends(&base);
		test_breaks(&base);
		test_limits(&base);
		if (!base.config.no_move)
			continue;
		test_faults(&base, seed + i);
		test_datagrams(&base);
	}
	return tap_done();
}
