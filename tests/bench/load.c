/*
 * What is done to the programs that are measured: the pipes they read and
 * write, the clients they serve, the questions they carry. The same for all.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"

#define BUFFER (64 * 1024)
#define WARM_UP 100		/* questions before the clock starts */

extern char **environ;

static char buffer[BUFFER];

static void
run_fill(int argc, char **argv)
{
	long long left = net_number(argv[0]);
	size_t n;

	(void)argc;
	for (; left > 0; left -= (long long)n) {
		n = left < BUFFER ? (size_t)left : BUFFER;
		net_write(STDOUT_FILENO, buffer, n);
	}
}

static void
run_drain(int argc, char **argv)
{
	long long left = net_number(argv[0]);
	ssize_t n;

	(void)argc;
	while ((n = read(STDIN_FILENO, buffer, BUFFER)) > 0)
		left -= n;
	if (n < 0 || left != 0) {
		fprintf(stderr, "%lld bytes are missing\n", left);
		exit(1);
	}
}

/* COMMAND between two pipes of ours. */
static pid_t
spawn_between(char **argv, int *to, int *from)
{
	posix_spawn_file_actions_t actions;
	int in[2], out[2];
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		net_die("pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) != 0)
		net_die(argv[0]);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	*to = in[1];
	*from = out[0];
	return pid;
}

static void
ask(int to, int from, size_t size)
{
	size_t got;
	ssize_t n;

	net_write(to, buffer, size);
	for (got = 0; got < size; got += (size_t)n) {
		n = read(from, buffer, size - got);
		if (n <= 0)
			net_die("no answer");
	}
}

/*
 * Ask COMMAND and wait for the answer, COUNT times. Told are the seconds that
 * took, the CPU time of COMMAND, and its peak memory in KiB.
 */
static void
run_ask(int argc, char **argv)
{
	size_t size = (size_t)net_number(argv[0]);
	long long count = net_number(argv[1]), i;
	struct rusage usage;
	double begin = 0;
	int to, from;
	pid_t pid;

	(void)argc;
	net_pin();
	pid = spawn_between(argv + 2, &to, &from);
	for (i = -WARM_UP; i < count; i++) {
		if (i == 0)
			begin = net_now();
		ask(to, from, size);
	}
	begin = net_now() - begin;
	close(to);
	close(from);
	kill(pid, SIGTERM);
	wait4(pid, NULL, 0, &usage);
	printf("%.9f %ld.%06ld %ld.%06ld %ld\n", begin,
	    (long)usage.ru_utime.tv_sec, (long)usage.ru_utime.tv_usec,
	    (long)usage.ru_stime.tv_sec, (long)usage.ru_stime.tv_usec,
	    usage.ru_maxrss);
}

struct calls {
	const char *address, *say, *expect;
	atomic_llong left;
};

/*
 * A client: connects, says something, waits for the answer, half-closes, reads
 * to the end, closes. Half-closing first would be too much for some servers.
 */
static void
call(const struct calls *c)
{
	int fd = net_connect(c->address, SOCK_STREAM);
	size_t size = strlen(c->expect), got = 0;
	char answer[256];
	ssize_t n;

	if (*c->say != '\0')
		net_write(fd, c->say, strlen(c->say));
	for (n = 1; n > 0 && got < size; got += (size_t)n)
		n = read(fd, answer + got, size - got);
	shutdown(fd, SHUT_WR);
	while (n > 0 && (n = read(fd, answer + got, sizeof answer - got)) > 0)
		got += (size_t)n;
	if (n < 0 || got != size || memcmp(answer, c->expect, size) != 0)
		net_die("not the answer expected");
	close(fd);
}

static void *
caller(void *arg)
{
	struct calls *c = arg;

	while (atomic_fetch_sub(&c->left, 1) > 0)
		call(c);
	return NULL;
}

static void
run_call(int argc, char **argv)
{
	struct calls c = { .address = argv[0], .say = argv[3],
	    .expect = argv[4] };
	long long threads = net_number(argv[2]), i;
	pthread_t *ids = calloc((size_t)threads, sizeof *ids);
	double begin = net_now();

	(void)argc;
	atomic_init(&c.left, net_number(argv[1]));
	for (i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, caller, &c) != 0)
			net_die("pthread_create");
	for (i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	printf("%.9f\n", net_now() - begin);
	free(ids);
}

/* A line on standard input, or its end. */
static void
told(const char *what)
{
	char line[16];

	printf("%s\n", what);
	fflush(stdout);
	if (read(STDIN_FILENO, line, sizeof line) < 0)
		net_die("read");
}

/* COUNT clients that stay, say one byte each when told to, and stay. */
static void
run_crowd(int argc, char **argv)
{
	long long count = net_number(argv[1]), i;
	int *fds = calloc((size_t)count, sizeof *fds);

	(void)argc;
	for (i = 0; i < count; i++)
		fds[i] = net_connect(argv[0], SOCK_STREAM);
	told("connected");
	for (i = 0; i < count; i++)
		net_write(fds[i], "x", 1);
	told("said");
	free(fds);
}

/* COMMAND so many times, one after the other, all with the same status. */
static void
run_start(int argc, char **argv)
{
	long long count = net_number(argv[0]), wanted = net_number(argv[1]), i;
	double begin = net_now();
	int status;
	pid_t pid;

	(void)argc;
	for (i = 0; i < count; i++) {
		if (posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2,
		    environ) != 0)
			net_die(argv[2]);
		waitpid(pid, &status, 0);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != wanted) {
			fprintf(stderr, "%s: status %#x\n", argv[2],
			    (unsigned)status);
			exit(1);
		}
	}
	fprintf(stderr, "%.9f\n", net_now() - begin);
}

static const struct command commands[] = {
	{ "fill", "BYTES", 1, run_fill },
	{ "drain", "BYTES", 1, run_drain },
	{ "ask", "SIZE COUNT COMMAND...", 3, run_ask },
	{ "call", "ADDRESS COUNT THREADS SAY EXPECT", 5, run_call },
	{ "crowd", "ADDRESS COUNT", 2, run_crowd },
	{ "start", "COUNT STATUS COMMAND...", 3, run_start },
	{ NULL, NULL, 0, NULL },
};

int
main(int argc, char **argv)
{
	memset(buffer, 'x', sizeof buffer);
	buffer[sizeof buffer - 1] = '\n';
	return net_main(commands, argc, argv);
}
