/* Commands on connections. "test_child --probe" is one that tells of itself. */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "net.h"
#include "sock/child.h"

enum {
	OUTPUT_MAX = 64 * 1024,
	CHILDREN = 200,
	EARLY = 20,
	THREADS = 8,
	PROBE_FDS = 1024,
};

static char *self;

/* --- the command ------------------------------------------------------------ */

static int
probe(void)
{
	struct sigaction act;
	struct rlimit limit;
	sigset_t mask;
	int fd, sig;

	(void)printf("fds:");
	for (fd = 0; fd < PROBE_FDS; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			(void)printf(" %d", fd);
	for (fd = 0; fd < 2; fd++)
		(void)printf("\n%d: %s", fd,
		    fcntl(fd, F_GETFL) & O_NONBLOCK ? "non-blocking" :
		    "blocking");
	(void)printf("\nignored:");
	for (sig = 1; sig < NSIG; sig++)
		if (sigaction(sig, NULL, &act) == 0 &&
		    act.sa_handler == SIG_IGN)
			(void)printf(" %d", sig);
	(void)printf("\nblocked:");
	(void)sigprocmask(SIG_SETMASK, NULL, &mask);
	for (sig = 1; sig < NSIG; sig++)
		if (sigismember(&mask, sig) == 1)
			(void)printf(" %d", sig);
	(void)printf("\ngroup: %s\n", getpgrp() == getpid() ? "own" :
	    "shared");
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	(void)printf("limit: %lld\n", (long long)limit.rlim_cur);
	return 0;
}

static const char probed[] = "fds: 0 1 2\n0: blocking\n1: blocking\n"
    "ignored:\nblocked:\ngroup: own\n";

/* --- running one ------------------------------------------------------------ */

struct test {
	enum sk_mode mode;
	bool aside;		/* started by a thread of its own */
	const char *name;	/* of the mode */
	struct sock *conn, *client, *child;
	char output[OUTPUT_MAX];
	struct err e;
};

static bool
open_pair(struct test *t, enum net_kind kind)
{
	struct sock_config config = { .mode = t->mode };
	struct sock *pair[2];

	if (!net_pair(kind, &config, pair, &t->e))
		return tap_ok(false, "%s: a pair: %s", t->name, t->e.text);
	t->client = pair[0];
	t->conn = pair[1];
	return true;
}

static void
start_aside(struct test *t, const struct child_command *command)
{
	enum sk_result r;

	t->child = child_start_aside(command, t->conn, t->conn, &t->e);
	if (t->child == NULL)
		return;
	do
		r = sock_connect(t->child, &t->e);
	while (r == SK_WANT_READ && sock_wait(t->child, SK_OUT, r) == SK_OK);
	if (r != SK_OK)
		sock_abort(&t->child);
}

static bool
start(struct test *t, const struct child_command *command)
{
	if (t->aside)
		start_aside(t, command);
	else
		t->child = child_start(command, t->conn, t->conn, t->mode,
		    &t->e);
	if (t->child != NULL)
		sock_set_deadline(t->child, net_limit_ns());
	return t->child != NULL;
}

static enum sk_result
await_end(struct sock *child)
{
	struct err e = { 0 };
	size_t got;
	char byte;

	return net_recv(child, &byte, 1, &got, &e);
}

/* All that the client gets until the end. */
static enum sk_result
collect(struct test *t)
{
	enum sk_result r;
	size_t got, len = 0;

	while ((r = net_recv(t->client, t->output + len,
	    sizeof(t->output) - len - 1, &got, &t->e)) == SK_OK)
		len += got;
	t->output[len] = '\0';
	return r;
}

static void
finish(struct test *t)
{
	sock_abort(&t->child);
	sock_abort(&t->conn);
	sock_abort(&t->client);
	err_clear(&t->e);
}

/*
 * Run a command that reads nothing to its end; its status, or -1. What it has
 * written is in the output.
 */
static int
run(struct test *t, enum net_kind kind, const struct child_command *command)
{
	int status = -1;

	*t->output = '\0';
	if (!open_pair(t, kind))
		return -1;
	if (start(t, command) && await_end(t->child) == SK_EOF) {
		status = child_status(t->child);
		sock_abort(&t->conn);
		if (collect(t) != SK_EOF)
			tap_note("no end in order");
	} else if (t->child == NULL)
		status = (int)t->e.code;
	return status;
}

static int
run_shell(struct test *t, const char *text)
{
	int status = run(t, NET_UNIX, &(struct child_command){ .shell = text });

	finish(t);
	return status;
}

static int
run_probe(struct test *t, enum net_kind kind, uint64_t files_max)
{
	char word[] = "--probe", *argv[] = { self, word, NULL };

	return run(t, kind, &(struct child_command){ .argv = argv,
	    .files_max = files_max });
}

static int
run_program(struct test *t, const char *program)
{
	char name[512], *argv[] = { name, NULL };

	(void)snprintf(name, sizeof(name), "%s", program);
	return run(t, NET_UNIX, &(struct child_command){ .argv = argv });
}

/* Whether there is no child left, not even a zombie. */
static bool
is_childless(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 &&
	    errno == ECHILD;
}

static bool
begins_with(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* It keeps the limit of descriptors to itself, and minds interpreters. */
static bool
is_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "valgrind") != NULL;
}

/* --- tests ------------------------------------------------------------------ */

static void
test_status(struct test *t)
{
	char text[64];
	int n, wrong = 0;

	for (n = 0; n < 256; n += 5) {
		(void)snprintf(text, sizeof(text), "exit %d", n);
		if (run_shell(t, text) != n)
			wrong++;
	}
	tap_int(wrong, 0, "%s: exit status 0 to 255", t->name);
	tap_int(run_shell(t, "kill -KILL $$"), 128 + SIGKILL,
	    "%s: killed", t->name);
	tap_int(run_shell(t, "kill -TERM $$"), 128 + SIGTERM,
	    "%s: terminated", t->name);
	(void)signal(SIGCHLD, SIG_IGN);
	tap_int(run_shell(t, "exit 3"), 3,
	    "%s: the status where SIGCHLD was ignored", t->name);
}

static void
test_probe(struct test *t)
{
	enum net_kind kind;
	sigset_t all, old, now;
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		if (sig != SIGALRM && sig != SIGCHLD)
			(void)signal(sig, SIG_IGN);
	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGALRM);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	for (kind = 0; kind < NET_UDP4; kind++) {
		if (!net_has(kind))
			continue;
		tap_int(run_probe(t, kind, 0), 0, "%s: runs on %s", t->name,
		    net_kind_names[kind]);
		if (!tap_ok(begins_with(t->output, probed), "%s: no descriptor,"
		    " signal or flag is passed on, %s", t->name,
		    net_kind_names[kind]))
			tap_note("%s", t->output);
		finish(t);
	}
	(void)pthread_sigmask(SIG_SETMASK, &old, &now);
	tap_ok(sigismember(&now, SIGUSR2) == 1 &&
	    sigismember(&now, SIGALRM) == 0, "%s: our mask stays", t->name);
	for (sig = 1; sig < NSIG; sig++)
		if (sig != SIGALRM && sig != SIGPIPE)
			(void)signal(sig, SIG_DFL);
}

static void
test_limit(struct test *t)
{
	struct rlimit limit;

	if (is_valgrind()) {
		tap_skip("valgrind keeps it", "%s: limit", t->name);
		return;
	}
	tap_int(run_probe(t, NET_UNIX, 77), 0, "%s: with a limit", t->name);
	tap_ok(strstr(t->output, "limit: 77\n") != NULL,
	    "%s: its own limit of descriptors", t->name);
	finish(t);
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	tap_ok(limit.rlim_cur != 77, "%s: ours stays", t->name);
}

static void
make_file(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	if (f != NULL) {
		(void)fputs(text, f);
		(void)fclose(f);
	}
	(void)chmod(path, mode);
}

static void
test_refused(struct test *t)
{
	const struct {
		const char *what, *text;
		mode_t mode;
		int status, sys;
	} files[] = {
		{ "not executable", "#!/bin/sh\n", 0644, ERR_EXEC, EACCES },
		{ "no program", "\1\2\3\n", 0755, ERR_EXEC, ENOEXEC },
		{ "no interpreter", "#!/no/such/thing\n", 0755, ERR_NOT_FOUND,
		    ENOENT },
	};
	char path[4 * NET_PATH_MAX];
	size_t i;

	(void)snprintf(path, sizeof(path), "%s", net_path("command"));
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (is_valgrind() && files[i].status == ERR_NOT_FOUND)
			continue;
		make_file(path, files[i].text, files[i].mode);
		tap_int(run_program(t, path), files[i].status, "%s: %s",
		    t->name, files[i].what);
		tap_int(t->e.sys, files[i].sys, "%s: %s: errno", t->name,
		    files[i].what);
		tap_text(t->e.who, path, "%s: %s: who", t->name,
		    files[i].what);
		finish(t);
	}
	(void)unlink(path);
	tap_int(run_program(t, path), ERR_NOT_FOUND, "%s: no file", t->name);
	finish(t);
	tap_int(run_program(t, net_folder), ERR_EXEC, "%s: a folder", t->name);
	finish(t);
	tap_int(run_program(t, "haul-no-such-command"), ERR_NOT_FOUND,
	    "%s: not in PATH", t->name);
	tap_text(t->e.who, "haul-no-such-command", "%s: who", t->name);
	finish(t);
	tap_int(run_program(t, ""), ERR_NOT_FOUND, "%s: no name", t->name);
	finish(t);
	tap_ok(is_childless(), "%s: no child of these is left", t->name);
}

/* A file in the first folder may not be executed; that in the second may. */
static void
test_path(struct test *t)
{
	char *old = strdup(getenv("PATH")), path[4 * NET_PATH_MAX];
	char command[4 * NET_PATH_MAX];

	(void)snprintf(command, sizeof(command), "%s", net_path("true"));
	make_file(command, "#!/bin/sh\nexit 9\n", 0644);
	(void)snprintf(path, sizeof(path), "%s:%s", net_folder, old);
	(void)setenv("PATH", path, 1);
	tap_int(run_program(t, "true"), 0, "%s: PATH goes on", t->name);
	finish(t);
	(void)chmod(command, 0755);
	tap_int(run_program(t, "true"), 9, "%s: PATH has an order", t->name);
	finish(t);
	(void)unlink(command);
	(void)unsetenv("PATH");
	tap_int(run_program(t, "true"), 0, "%s: without PATH", t->name);
	finish(t);
	(void)setenv("PATH", old, 1);
	free(old);
}

/* A connection whose command could not be started is as it was. */
static void
test_unfinished(struct test *t)
{
	struct linger l = { 0 };
	socklen_t len = sizeof(l);
	char name[] = "/no/such/command", *argv[] = { name, NULL };

	tap_int(run(t, NET_TCP4, &(struct child_command){ .argv = argv }),
	    ERR_NOT_FOUND, "%s: not started", t->name);
	(void)getsockopt(t->conn->fd, SOL_SOCKET, SO_LINGER, &l, &len);
	tap_ok(l.l_onoff == 1 && l.l_linger == 0, "%s: reset at the end",
	    t->name);
	tap_ok(fcntl(t->conn->fd, F_GETFL) & O_NONBLOCK,
	    "%s: and non-blocking", t->name);
	finish(t);
}

static bool
has_line(const struct test *t, const char *line)
{
	const char *p = t->output;
	size_t len = strlen(line);

	for (; (p = strstr(p, line)) != NULL; p += len)
		if ((p == t->output || p[-1] == '\n') && p[len] == '\n')
			return true;
	tap_note("no line %s", line);
	return false;
}

static bool
has_variable(const struct test *t, const char *name, const char *value)
{
	char line[2 * ADDR_HOST_MAX];

	(void)snprintf(line, sizeof(line), "%s=%s", name, value);
	return has_line(t, line);
}

/* How often a name is a variable: one that is set twice has two values. */
static int
variables(const struct test *t, const char *name)
{
	char text[128];
	const char *p;
	int count = 0;

	(void)snprintf(text, sizeof(text), "%s=", name);
	for (p = t->output; (p = strstr(p, text)) != NULL; p++)
		if (p == t->output || p[-1] == '\n')
			count++;
	return count;
}

static const char *const stale[] = {
	"HAUL_PEER_HOST", "HAUL_TRANSPORT", "PROTO", "TCPREMOTEIP",
	"TCPREMOTEHOST", "TCPLOCALPORT", "LISTEN_FDS", "LISTEN_PID",
	"LISTEN_FDNAMES", "NOTIFY_SOCKET", "HAUL_PROXY_AUTH",
};

enum { STALE = sizeof(stale) / sizeof(stale[0]) };

static void
test_inet_environment(struct test *t, enum net_kind kind)
{
	const char *host = kind == NET_TCP4 ? "127.0.0.1" : "::1";
	const struct child_command env = { .shell = "env" };
	struct sock_ends ends;
	bool ok;

	if (!net_has(kind) || run(t, kind, &env) != 0) {
		tap_skip("no IPv6", "%s: environment", t->name);
		return;
	}
	/* The client's view, turned round: conn is gone by now. */
	sock_get_ends(t->client, &ends);
	ok = has_variable(t, "HAUL_PEER_HOST", host) &&
	    has_variable(t, "HAUL_LOCAL_HOST", host) &&
	    has_variable(t, "HAUL_PEER_PORT", ends.local_port) &&
	    has_variable(t, "TCPREMOTEPORT", ends.local_port) &&
	    has_line(t, "HAUL_TRANSPORT=tcp") && has_line(t, "PROTO=TCP") &&
	    has_variable(t, "TCPREMOTEIP", host) &&
	    has_variable(t, "TCPLOCALIP", host);
	tap_ok(ok, "%s: environment, %s", t->name, net_kind_names[kind]);
	tap_ok(variables(t, "PROTO") == 1 &&
	    variables(t, "TCPREMOTEIP") == 1 &&
	    variables(t, "TCPREMOTEHOST") == 0 &&
	    variables(t, "LISTEN_FDS") == 0 &&
	    variables(t, "LISTEN_PID") == 0 &&
	    variables(t, "LISTEN_FDNAMES") == 0 &&
	    variables(t, "NOTIFY_SOCKET") == 0 &&
	    variables(t, "HAUL_PROXY_AUTH") == 0 &&
	    strstr(t->output, "stale") == NULL,
	    "%s: nothing stale, %s", t->name, net_kind_names[kind]);
	tap_ok(has_line(t, "LISTEN_FDSX=kept") && has_line(t, "LISTEN_F=kept"),
	    "%s: all others, %s", t->name, net_kind_names[kind]);
	finish(t);
}

static void
test_environment(struct test *t)
{
	const struct child_command env = { .shell = "env" };
	size_t i;

	for (i = 0; i < STALE; i++)
		(void)setenv(stale[i], "stale", 1);
	(void)setenv("LISTEN_FDSX", "kept", 1);
	(void)setenv("LISTEN_F", "kept", 1);
	test_inet_environment(t, NET_TCP4);
	test_inet_environment(t, NET_TCP6);
	tap_int(run(t, NET_UNIX, &env), 0, "%s: env", t->name);
	tap_ok(has_line(t, "HAUL_TRANSPORT=unix") &&
	    has_line(t, "PROTO=UNIX") && has_line(t, "HAUL_PEER_HOST=") &&
	    has_line(t, "HAUL_PEER_PORT=") &&
	    has_line(t, "HAUL_LOCAL_PORT=") &&
	    has_variable(t, "HAUL_LOCAL_HOST", net_path("s")) &&
	    variables(t, "TCPREMOTEIP") == 0, "%s: environment, UNIX",
	    t->name);
	finish(t);
	for (i = 0; i < STALE; i++)
		(void)unsetenv(stale[i]);
}

/* The client of a datagram session, by way of a pair. */
static void
test_ends(struct test *t)
{
	const struct child_command env = { .shell = "env" };
	struct sock *near, *far;

	if (!open_pair(t, NET_UDP4) ||
	    !child_pair(t->mode, "127.0.0.1 port 1", &near, &far, &t->e)) {
		finish(t);
		return;
	}
	sock_set_deadline(near, net_limit_ns());
	tap_text(sock_name(near), "127.0.0.1 port 1", "%s: near", t->name);
	t->child = child_start(&env, far, t->conn, t->mode, &t->e);
	sock_abort(&far);
	sock_abort(&t->client);
	t->client = near;
	tap_int(collect(t), SK_EOF, "%s: by way of a pair", t->name);
	tap_int(await_end(t->child), SK_EOF, "%s: it ends", t->name);
	tap_ok(has_line(t, "HAUL_TRANSPORT=udp") && has_line(t, "PROTO=UDP") &&
	    has_line(t, "UDPREMOTEIP=127.0.0.1") &&
	    has_line(t, "HAUL_PEER_HOST=127.0.0.1"),
	    "%s: environment, of another connection", t->name);
	finish(t);
}

/* Standard input or output of ours may be the connection itself. */
static void
test_low_numbers(struct test *t)
{
	const struct child_command echo = { .shell = "cat" };
	int saved, number;

	for (number = 0; number < 2; number++) {
		if (!open_pair(t, NET_UNIX))
			return;
		saved = fcntl(number, F_DUPFD_CLOEXEC, 10);
		(void)dup2(t->conn->fd, number);
		(void)close(t->conn->fd);
		(void)fcntl(number, F_SETFD, FD_CLOEXEC);
		t->conn->fd = number;
		tap_ok(start(t, &echo), "%s: a connection at %d", t->name,
		    number);
		sock_abort(&t->conn);
		(void)dup2(saved, number);
		(void)close(saved);
		(void)send(t->client->fd, "hello", 5, 0);
		(void)shutdown(t->client->fd, SHUT_WR);
		tap_int(collect(t), SK_EOF, "%s: ends", t->name);
		tap_text(t->output, "hello", "%s: echoes", t->name);
		finish(t);
	}
}

/* Both may be free, so that a descriptor of the start itself comes there. */
static void
test_no_streams(struct test *t)
{
	char path[4 * NET_PATH_MAX], *argv[] = { path, NULL };
	const struct child_command command = { .argv = argv };
	int status = -1;
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s", net_path("command"));
	make_file(path, "\1\2\3\n", 0755);
	if (!open_pair(t, NET_UNIX))
		return;
	child_helpers_end();
	pid = fork();
	if (pid == 0) {
		(void)close(0);
		(void)close(1);
		(void)start(t, &command);
		_Exit((int)t->e.code);
	}
	(void)waitpid(pid, &status, 0);
	tap_int(WEXITSTATUS(status), ERR_EXEC,
	    "%s: without standard streams of ours", t->name);
	(void)unlink(path);
	finish(t);
}

static void
test_signal(struct test *t)
{
	const struct child_command command = {
		.shell = "sleep 60 & echo ready; wait",
	};
	char line[8];
	size_t got;

	if (!open_pair(t, NET_UNIX))
		return;
	if (tap_ok(start(t, &command), "%s: a shell", t->name)) {
		(void)net_recv(t->client, line, sizeof(line), &got, &t->e);
		child_signal(t->child, SIGTERM);
		tap_int(await_end(t->child), SK_EOF, "%s: it ends", t->name);
		tap_int(child_status(t->child), 128 + SIGTERM,
		    "%s: by the signal", t->name);
		sock_abort(&t->conn);
		tap_int(collect(t), SK_EOF,
		    "%s: and what it has started as well", t->name);
		child_signal(t->child, SIGTERM);
	}
	finish(t);
}

static void
test_deadline(struct test *t)
{
	const struct child_command command = { .shell = "read x; exit 4" };
	int64_t begin = clock_now_ns();
	size_t got;
	char byte;

	if (!open_pair(t, NET_TCP4))
		return;
	if (tap_ok(start(t, &command), "%s: one that waits", t->name)) {
		sock_set_deadline(t->child, begin + 50 * CLOCK_MS);
		tap_int(net_recv(t->child, &byte, 1, &got, &t->e), SK_TIMEOUT,
		    "%s: the deadline", t->name);
		tap_ok(clock_now_ns() - begin >= 50 * CLOCK_MS,
		    "%s: not before it", t->name);
		sock_set_deadline(t->child, net_limit_ns());
		(void)send(t->client->fd, "\n", 1, 0);
		tap_int(await_end(t->child), SK_EOF, "%s: its end", t->name);
		tap_int(child_status(t->child), 4, "%s: its status", t->name);
		tap_int(await_end(t->child), SK_EOF, "%s: again", t->name);
		tap_int(child_status(t->child), 4, "%s: again", t->name);
	}
	finish(t);
}

/* As on a system that has nothing to watch a process by. */
static void
test_unwatched(struct test *t)
{
	const struct child_command command = { .shell = "read x; exit 5" };

	if (!open_pair(t, NET_UNIX))
		return;
	if (tap_ok(start(t, &command), "%s: unwatched", t->name)) {
		(void)close(t->child->fd);
		t->child->fd = -1;
		(void)send(t->client->fd, "\n", 1, 0);
		tap_int(await_end(t->child), SK_EOF, "%s: its end", t->name);
		tap_int(child_status(t->child), 5, "%s: its status", t->name);
	}
	finish(t);
}

static void
test_many(struct test *t)
{
	const struct child_command command = { .shell = "exit 6" };
	struct sock *children[CHILDREN] = { NULL };
	int i, right = 0;

	if (!open_pair(t, NET_UNIX))
		return;
	for (i = 0; i < CHILDREN; i++)
		if (start(t, &command)) {
			children[i] = t->child;
			t->child = NULL;
		}
	for (i = 0; i < CHILDREN; i++) {
		if (children[i] == NULL)
			continue;
		right += await_end(children[i]) == SK_EOF &&
		    child_status(children[i]) == 6;
		sock_abort(&children[i]);
	}
	tap_int(right, CHILDREN, "%s: many at a time", t->name);
	tap_ok(is_childless(), "%s: no zombies", t->name);
	finish(t);
}

/* Nobody waits for one that is aborted; it is reaped when there is occasion. */
static void
test_aborted(struct test *t)
{
	const struct child_command command = { .shell = "read x" };
	int64_t begin, limit = net_limit_ns();
	struct sock *others[3];
	int i;

	for (i = 0; i < 3; i++) {
		if (!open_pair(t, NET_UNIX) || !start(t, &command))
			return;
		begin = clock_now_ns();
		sock_abort(&t->child);
		if (i == 0)
			tap_ok(clock_now_ns() - begin < 500 * CLOCK_MS,
			    "%s: aborting does not wait", t->name);
		sock_abort(&t->conn);
		others[i] = t->client;
	}
	tap_ok(!is_childless(), "%s: they run on", t->name);
	for (i = 0; i < 3; i++)
		sock_abort(&others[i]);
	while (!is_childless() && clock_now_ns() < limit)
		(void)run_shell(t, "exit 0");
	tap_ok(is_childless(), "%s: and are reaped", t->name);
	finish(t);
}

struct worker {
	pthread_t thread;
	struct test *t;
	int right;
};

enum { ROUNDS = 12 };

static void *
work(void *arg)
{
	char word[] = "--probe", *argv[] = { self, word, NULL };
	const struct child_command command = { .argv = argv };
	struct worker *w = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		struct test *t = &w->t[i];

		sock_set_deadline(t->client, net_limit_ns());
		if (start(t, &command) && await_end(t->child) == SK_EOF &&
		    child_status(t->child) == 0) {
			sock_abort(&t->conn);
			w->right += collect(t) == SK_EOF &&
			    begins_with(t->output, probed);
		}
		sock_abort(&t->child);
	}
	return NULL;
}

static void
test_threads(enum sk_mode mode)
{
	struct worker workers[THREADS];
	struct test *tests = calloc(THREADS * ROUNDS, sizeof(*tests));
	int i, right = 0;

	if (tests == NULL)
		return;
	for (i = 0; i < THREADS * ROUNDS; i++) {
		tests[i].mode = mode;
		tests[i].name = net_mode_names[mode];
		(void)open_pair(&tests[i], i % 2 == 0 ? NET_TCP4 : NET_UNIX);
	}
	for (i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .t = tests + i * ROUNDS };
		(void)pthread_create(&workers[i].thread, NULL, work,
		    &workers[i]);
	}
	for (i = 0; i < THREADS; i++) {
		(void)pthread_join(workers[i].thread, NULL);
		right += workers[i].right;
	}
	for (i = 0; i < THREADS * ROUNDS; i++)
		finish(&tests[i]);
	free(tests);
	tap_int(right, THREADS * ROUNDS, "%s: nothing is passed on between "
	    "threads", net_mode_names[mode]);
	tap_ok(is_childless(), "%s: no zombies of theirs",
	    net_mode_names[mode]);
}

/* --- aside ------------------------------------------------------------------ */

/* A signal for those that are still to be started reaches them once they run. */
static void
test_early_signal(struct test *t)
{
	const struct child_command command = { .shell = "sleep 60" };
	struct sock *children[EARLY] = { NULL };
	enum sk_result r;
	int i, right = 0;

	if (!open_pair(t, NET_UNIX))
		return;
	for (i = 0; i < EARLY; i++)
		children[i] = child_start_aside(&command, t->conn, t->conn,
		    &t->e);
	for (i = 0; i < EARLY; i++)
		if (children[i] != NULL)
			child_signal(children[i], SIGTERM);
	for (i = 0; i < EARLY; i++) {
		if (children[i] == NULL)
			continue;
		do
			r = sock_connect(children[i], &t->e);
		while (r == SK_WANT_READ &&
		    sock_wait(children[i], SK_OUT, r) == SK_OK);
		sock_set_deadline(children[i], net_limit_ns());
		right += r == SK_OK && await_end(children[i]) == SK_EOF &&
		    child_status(children[i]) == 128 + SIGTERM;
		sock_abort(&children[i]);
	}
	tap_int(right, EARLY, "%s: a signal from before they run", t->name);
	finish(t);
}

/* Whether they have begun or not, none is waited for, and nothing is left. */
static void
test_given_up(struct test *t)
{
	const struct child_command command = { .shell = "exit 0" };
	struct sock *children[CHILDREN] = { NULL };
	int64_t limit = net_limit_ns();
	int i, before, made = 0;

	child_helpers_end();
	before = net_count_fds();
	if (!open_pair(t, NET_UNIX))
		return;
	for (i = 0; i < CHILDREN; i++) {
		children[i] = child_start_aside(&command, t->conn, t->conn,
		    &t->e);
		made += children[i] != NULL;
	}
	tap_int(made, CHILDREN, "%s: many, to be given up", t->name);
	for (i = 0; i < CHILDREN; i++)
		sock_abort(&children[i]);
	finish(t);
	t->aside = false;
	while (!is_childless() && clock_now_ns() < limit)
		(void)run_shell(t, "exit 0");
	tap_ok(is_childless(), "%s: no zombies", t->name);
	tap_int(net_count_fds(), before, "%s: no descriptors", t->name);
	child_helpers_end();
}

extern void __asan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));

/* Without memory for the stack of a thread, which sanitizers need as well. */
static void
test_no_thread(void)
{
	static struct test t;
	struct rlimit old, small;
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f != NULL && fscanf(f, "%ld", &pages) != 1)
		pages = 0;
	if (f != NULL)
		(void)fclose(f);
	if (pages == 0 || __asan_init != NULL || __tsan_init != NULL)
		return;
	t.mode = SK_NONBLOCKING;
	t.aside = true;
	t.name = "no thread";
	(void)getrlimit(RLIMIT_AS, &old);
	small = old;
	small.rlim_cur = (rlim_t)(pages * sysconf(_SC_PAGESIZE) + 65536);
	(void)setrlimit(RLIMIT_AS, &small);
	test_status(&t);
	(void)setrlimit(RLIMIT_AS, &old);
}

/* What holds for every way to start one. */
static void
test_any(struct test *t)
{
	test_status(t);
	test_probe(t);
	test_limit(t);
	test_refused(t);
	test_path(t);
	test_unfinished(t);
	test_environment(t);
	test_low_numbers(t);
	test_no_streams(t);
	test_signal(t);
	test_deadline(t);
	test_many(t);
	test_aborted(t);
}

static void
test_aside(void)
{
	static struct test t;

	t.mode = SK_NONBLOCKING;
	t.aside = true;
	t.name = "aside";
	test_any(&t);
	test_early_signal(&t);
	test_given_up(&t);
}

static void
test_mode(enum sk_mode mode)
{
	static struct test t;

	t.mode = mode;
	t.name = net_mode_names[mode];
	test_any(&t);
	test_ends(&t);
	test_unwatched(&t);
	test_threads(mode);
}

int
main(int argc, char **argv)
{
	int fd;

	if (argc > 1)
		return probe();
	self = argv[0];
	tap_start();
	(void)signal(SIGPIPE, SIG_IGN);
	/* What the harness has open is no descriptor of haul's. */
	for (fd = STDERR_FILENO + 1; fd < PROBE_FDS; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	/* First: stacks are kept when threads end. */
	test_no_thread();
	test_mode(SK_NONBLOCKING);
	test_mode(SK_BLOCKING);
	test_aside();
	net_clean();
	return tap_done();
}
