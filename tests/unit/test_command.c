/*
 * A COMMAND for a client: what the client gets, how it ends, what is told. Each
 * case runs in both modes, with the connection as the command's own and with
 * haul in between. The client is a thread with a plain blocking descriptor.
 */
#include "flow/command.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "net.h"

enum {
	DATA_BYTES = 2 * 1024 * 1024,
	SOME_BYTES = 300 * 1000,
	SMALL_BUFFER = 16 * 1024,
	SERVED = 200,
	CLIENTS = 4,
};

struct scene {
	enum sk_mode mode;
	bool between;
	const char *shell;
	int rcvbuf;			/* of the client; 0: default */
	int64_t limit_ms;		/* of the run; 0: none */
	void (*play)(struct scene *);

	int client;
	bool played_well;
	int status;
	enum sk_result result;
	struct err err;
	int64_t took_ms;
};

static char data[DATA_BYTES];

static bool
put_all(int fd, const char *bytes, size_t size)
{
	ssize_t n;
	size_t i;

	for (i = 0; i < size; i += (size_t)n)
		if ((n = send(fd, bytes + i, size - i, MSG_NOSIGNAL)) <= 0)
			return false;
	return true;
}

/* Exactly size bytes, the same as those (NULL: any), and the end. */
static bool
take_all(int fd, const char *bytes, size_t size)
{
	static _Thread_local char buf[SMALL_BUFFER];
	ssize_t n;
	size_t i;

	for (i = 0; (n = read(fd, buf, sizeof(buf))) > 0; i += (size_t)n)
		if (i + (size_t)n > size || (bytes != NULL &&
		    memcmp(buf, bytes + i, (size_t)n) != 0))
			return false;
	return n == 0 && i == size;
}

static void
wait_ms(long ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&t, NULL);
}

static void *
play(void *arg)
{
	struct scene *g = arg;

	g->play(g);
	if (g->client != -1)
		(void)close(g->client);
	return NULL;
}

static void
config_fill(const struct scene *g, struct command_config *config)
{
	*config = (struct command_config){
		.command.shell = g->shell,
		.between = g->between,
		.relay = { .mode = g->mode, .idle_ns = -1, .linger_ns = -1 },
		.deadline_ns = g->limit_ms == 0 ? CLOCK_NEVER :
		    clock_now_ns() + g->limit_ms * CLOCK_MS,
	};
	config->relay.deadline_ns = config->deadline_ns;
}

static void
run(struct scene *g)
{
	struct command_config config;
	struct sock *peer;
	int fds[2];
	int64_t begin = clock_now_ns();
	pthread_t thread;

	g->result = SK_INTERRUPTED;
	g->status = -1;
	g->played_well = false;
	if (!net_plain_pair(fds, g->rcvbuf))
		return;
	/* The connecting end has the small buffer. */
	if (g->rcvbuf > 0)
		(void)setsockopt(fds[0], SOL_SOCKET, SO_RCVBUF, &g->rcvbuf,
		    sizeof(g->rcvbuf));
	(void)fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	g->client = fds[0];
	peer = net_adopt(fds[1], g->mode, &g->err);
	config_fill(g, &config);
	config.status = &g->status;
	(void)pthread_create(&thread, NULL, play, g);
	g->result = serve_alone(g->mode, &peer, &command_service, &config,
	    &g->err);
	g->took_ms = (clock_now_ns() - begin) / CLOCK_MS;
	(void)pthread_join(thread, NULL);
}

static const char *
how(const struct scene *g)
{
	static char text[64];

	(void)snprintf(text, sizeof(text), "%s, %s", net_mode_names[g->mode],
	    g->between ? "between" : "direct");
	return text;
}

static void
check(struct scene *g, enum sk_result result, int code, const char *what)
{
	if (!tap_ok(g->result == result && (int)g->err.code == code,
	    "%s: %s", how(g), what))
		tap_note("result %d, code %d, %s", (int)g->result,
		    (int)g->err.code, g->err.text);
	err_clear(&g->err);
}

static bool
is_childless(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 &&
	    errno == ECHILD;
}

/* --- what clients do -------------------------------------------------------- */

static void
play_echo(struct scene *g)
{
	g->played_well = put_all(g->client, data, SOME_BYTES) &&
	    shutdown(g->client, SHUT_WR) == 0 &&
	    take_all(g->client, data, SOME_BYTES);
}

/* It says more than the command reads, and nothing of that is an error. */
static void
play_talker(struct scene *g)
{
	(void)put_all(g->client, data, SOME_BYTES);
	wait_ms(100);
	g->played_well = take_all(g->client, NULL, DATA_BYTES);
}

static void
play_slow(struct scene *g)
{
	static char buf[SMALL_BUFFER];
	size_t got = 0;
	ssize_t n;

	do {
		n = recv(g->client, buf, sizeof(buf), MSG_WAITALL);
		got += n > 0 ? (size_t)n : 0;
		wait_ms(4);
	} while (n > 0);
	g->played_well = n == 0 && got == DATA_BYTES;
}

static void
play_end(struct scene *g)
{
	g->played_well = take_all(g->client, NULL, 0);
}

static void
play_reset(struct scene *g)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(g->client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	wait_ms(100);
	(void)close(g->client);
	g->client = -1;
	g->played_well = true;
}

/* It stays, and waits until its connection is closed as well. */
static void
play_silent(struct scene *g)
{
	g->played_well = take_all(g->client, NULL, 0);
	wait_ms(1500);
}

/* It never stops. */
static void
play_flood(struct scene *g)
{
	while (put_all(g->client, data, SOME_BYTES))
		wait_ms(5);
	g->played_well = true;
}

/* --- cases ------------------------------------------------------------------ */

static void
test_answers(struct scene *g)
{
	g->play = play_echo;
	g->shell = "cat";
	run(g);
	check(g, SK_OK, 0, "cat");
	tap_ok(g->played_well, "%s: everything comes back", how(g));
	tap_int(g->status, 0, "%s: its status", how(g));

	g->play = play_talker;
	g->shell = "read x; head -c 2097152 /dev/zero";
	data[100] = '\n';
	run(g);
	check(g, SK_OK, 0, "a command that does not read all");
	tap_ok(g->played_well, "%s: the answer is whole", how(g));

	g->play = play_slow;
	g->rcvbuf = SMALL_BUFFER;
	g->shell = "head -c 2097152 /dev/zero";
	run(g);
	g->rcvbuf = 0;
	check(g, SK_OK, 0, "a client that reads slowly");
	tap_ok(g->played_well, "%s: and gets all of it", how(g));
}

static void
test_status(struct scene *g)
{
	g->play = play_end;
	g->shell = "exit 3";
	run(g);
	tap_ok(g->err.quiet, "%s: a status is quiet", how(g));
	check(g, SK_ERROR, 3, "a status");
	tap_int(g->status, 3, "%s: is told", how(g));
	g->shell = "kill -KILL $$";
	run(g);
	check(g, SK_ERROR, 128 + SIGKILL, "killed");

	/* The shell has said that itself. */
	g->shell = "exec 2>/dev/null; exec /no/such/thing";
	run(g);
	tap_ok(g->err.quiet, "%s: what a shell says is quiet", how(g));
	check(g, SK_ERROR, 127, "a shell's not found");
}

static void
test_not_found(struct scene *g)
{
	struct command_config config;
	char name[] = "/no/such/thing", *argv[] = { name, NULL };
	struct sock *peer;
	char byte;
	int fds[2];

	config_fill(g, &config);
	config.command = (struct child_command){ .argv = argv };
	if (!net_plain_pair(fds, 0))
		return;
	(void)fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	peer = net_adopt(fds[1], g->mode, &g->err);
	g->result = serve_alone(g->mode, &peer, &command_service, &config,
	    &g->err);
	tap_ok(!g->err.quiet && strcmp(g->err.who, name) == 0,
	    "%s: not found is told", how(g));
	check(g, SK_ERROR, ERR_NOT_FOUND, "not found");
	tap_ok(read(fds[0], &byte, 1) == -1 && errno == ECONNRESET,
	    "%s: and the client is reset", how(g));
	(void)close(fds[0]);
}

static void
test_gone(struct scene *g)
{
	g->play = play_reset;
	g->shell = "cat >/dev/null 2>&1; exit 0";
	run(g);
	/* A command that has the connection judges by itself. */
	check(g, g->between ? SK_ERROR : SK_OK, g->between ? ERR_BROKEN : 0,
	    "a client that has gone");

	g->shell = "trap 'exit 5' TERM; while :; do sleep 0.1; done";
	if (!g->between)
		return;
	run(g);
	check(g, SK_ERROR, ERR_BROKEN, "...while the command does not care");
	tap_ok(g->took_ms > 900 && g->took_ms < 2900,
	    "%s: it is terminated (%ld ms)", how(g), (long)g->took_ms);
}

static void
test_time(struct scene *g)
{
	g->play = play_end;
	g->limit_ms = 200;
	g->shell = "sleep 60";
	run(g);
	/* The client sees the end only because nobody has the other side. */
	tap_ok(g->between || g->played_well, "%s: the command is terminated",
	    how(g));
	tap_ok(!g->err.quiet && g->took_ms < 1500, "%s: in time", how(g));
	check(g, SK_ERROR, ERR_TIMEOUT, "--timeout");
	g->limit_ms = 0;
}

static void
test_endings(struct scene *g)
{
	if (g->between)
		return;
	g->play = play_silent;
	g->shell = "exit 0";
	run(g);
	check(g, SK_OK, 0, "a client that stays");
	tap_ok(g->played_well, "%s: sees the end at once", how(g));
	tap_ok(g->took_ms > 900 && g->took_ms < 2500,
	    "%s: is waited for a second (%ld ms)", how(g), (long)g->took_ms);

	g->play = play_end;
	g->shell = "sleep 2 & exit 0";
	run(g);
	check(g, SK_OK, 0, "a command that leaves something running");
	tap_ok(g->played_well && g->took_ms < 1800,
	    "%s: is over when it has ended", how(g));
	if (g->mode == SK_BLOCKING)
		return;
	g->play = play_flood;
	g->shell = "exit 0";
	run(g);
	check(g, SK_OK, 0, "a client that never stops");
	tap_ok(g->took_ms > 4900 && g->took_ms < 7000,
	    "%s: is let go (%ld ms)", how(g), (long)g->took_ms);
}

/* --- a server --------------------------------------------------------------- */

struct caller {
	pthread_t thread;
	const char *operand;
	int right;
};

static void *
call(void *arg)
{
	const struct sock_config config = { .mode = SK_BLOCKING };
	struct caller *c = arg;
	struct err e = { 0 };
	struct sock *s;
	int i;

	for (i = 0; i < SERVED / CLIENTS; i++) {
		s = net_open(c->operand, &config, false, &e);
		if (s == NULL)
			continue;
		(void)fcntl(s->fd, F_SETFL, 0);
		c->right += put_all(s->fd, "hello\n", 6) &&
		    shutdown(s->fd, SHUT_WR) == 0 &&
		    take_all(s->fd, "hello\nend\n", 10);
		sock_abort(&s);
	}
	err_clear(&e);
	return NULL;
}

static atomic_int ended_well;

static void
closed(void *context, const struct client *c, const struct err *e)
{
	(void)context;
	(void)c;
	if (e->code == ERR_NONE)
		atomic_fetch_add(&ended_well, 1);
}

/* Many at a time: nobody has the connection of another, none is left over. */
static void
test_server(struct scene *g)
{
	const struct sock_config sc = { .mode = g->mode };
	struct serve_config config = { .mode = g->mode, .count = SERVED,
	    .accept_ns = -1, .closed = closed,
	    .deadline_ns = clock_now_ns() + 4 * NET_LIMIT_MS * CLOCK_MS };
	struct command_config command;
	struct caller callers[CLIENTS];
	struct sock *listener;
	char operand[4 * NET_PATH_MAX];
	int i, right = 0;

	g->shell = "cat; echo end";
	config_fill(g, &command);
	atomic_store(&ended_well, 0);
	listener = net_listen(NET_TCP4, &sc, &g->err);
	if (listener == NULL)
		return;
	(void)snprintf(operand, sizeof(operand), "%s", net_address(listener));
	for (i = 0; i < CLIENTS; i++) {
		callers[i] = (struct caller){ .operand = operand };
		(void)pthread_create(&callers[i].thread, NULL, call,
		    &callers[i]);
	}
	g->result = serve(&config, &listener, &command_service, &command,
	    NULL, &g->err);
	sock_abort(&listener);
	for (i = 0; i < CLIENTS; i++) {
		(void)pthread_join(callers[i].thread, NULL);
		right += callers[i].right;
	}
	check(g, SK_OK, 0, "a server");
	tap_int(right, SERVED, "%s: each gets its answer", how(g));
	tap_int(atomic_load(&ended_well), SERVED, "%s: and ends in order",
	    how(g));
	tap_ok(is_childless(), "%s: no zombies", how(g));
}

int
main(void)
{
	struct scene g = { .mode = SK_NONBLOCKING };
	size_t i;
	int n;

	tap_start();
	(void)signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < DATA_BYTES; i++)
		data[i] = (char)('a' + i % 23);
	for (n = 0; n < 4; n++) {
		g.mode = n < 2 ? SK_NONBLOCKING : SK_BLOCKING;
		g.between = n % 2 == 1;
		test_answers(&g);
		test_status(&g);
		test_not_found(&g);
		test_gone(&g);
		test_time(&g);
		test_endings(&g);
		test_server(&g);
	}
	net_clean();
	return tap_done();
}
