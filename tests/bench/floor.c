/*
 * The floor: what a small program needs that does one thing with the fewest
 * system calls, no options, no time limits, and no answer to failures but to
 * end. What is measured is measured against these.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"

#define BUFFER (256 * 1024)
#define MUCH (1 << 30)		/* for one call that moves what there is */
#define PIPE (1024 * 1024)	/* what may be asked for without privileges */
#define BATCH 64		/* datagrams a call */

extern char **environ;

/* A pipe that holds more: each call moves more. Not every user may. */
static void
widen(int pipe_fd)
{
	if (fcntl(pipe_fd, F_SETPIPE_SZ, PIPE) < 0)
		fcntl(pipe_fd, F_SETPIPE_SZ, BUFFER);
}

/* Moves something from one descriptor to another: bytes, or 0 at the end. */
typedef ssize_t mover(int from, int to);

static ssize_t
move_copy(int from, int to)
{
	static _Thread_local char *buffer;
	ssize_t n;

	if (buffer == NULL && (buffer = malloc(BUFFER)) == NULL)
		net_die("malloc");
	n = read(from, buffer, BUFFER);
	if (n > 0)
		net_write(to, buffer, (size_t)n);
	return n;
}

static ssize_t
move_sendfile(int from, int to)
{
	return sendfile(to, from, NULL, MUCH);
}

/* One of both is a pipe. */
static ssize_t
move_splice(int from, int to)
{
	return splice(from, NULL, to, NULL, MUCH, SPLICE_F_MOVE);
}

/* Neither is. */
static ssize_t
move_through(int from, int to)
{
	static _Thread_local int ends[2] = { -1, -1 };
	ssize_t n, m, done;

	if (ends[0] < 0) {
		if (pipe(ends) != 0)
			net_die("pipe");
		widen(ends[1]);
	}
	n = splice(from, NULL, ends[1], NULL, PIPE, SPLICE_F_MOVE);
	for (done = 0; done < n; done += m) {
		m = splice(ends[0], NULL, to, NULL, (size_t)(n - done),
		    SPLICE_F_MOVE);
		if (m <= 0)
			net_die("splice");
	}
	return n;
}

/* Into /dev/null: TCP forgets the bytes without copying them. */
static ssize_t
move_drop(int from, int to)
{
	(void)to;
	return recv(from, NULL, MUCH, MSG_TRUNC);
}

static const struct {
	const char *name;
	mover *move;
} movers[] = {
	{ "copy", move_copy },
	{ "sendfile", move_sendfile },
	{ "splice", move_splice },
	{ "through", move_through },
	{ "drop", move_drop },
};

static void
move_all(const char *how, int from, int to)
{
	size_t i;
	ssize_t n;

	for (i = 0; i < sizeof movers / sizeof *movers; i++)
		if (strcmp(movers[i].name, how) == 0) {
			while ((n = movers[i].move(from, to)) > 0)
				;
			if (n < 0)
				net_die(how);
			return;
		}
	net_die("no such way");
}

static int
accepted(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		net_die("accept");
	return fd;
}

static void
run_send(int argc, char **argv)
{
	int fd = net_connect(argv[1], SOCK_STREAM);

	(void)argc;
	widen(STDIN_FILENO);
	move_all(argv[0], STDIN_FILENO, fd);
}

static void
run_receive(int argc, char **argv)
{
	int fd = accepted(net_bind(argv[1], SOCK_STREAM));

	(void)argc;
	widen(STDOUT_FILENO);
	move_all(argv[0], fd, STDOUT_FILENO);
}

struct talk {
	const char *up, *down;	/* how it is moved */
	int fd;
};

/* One way of a conversation, for a thread. */
static void *
upload(void *arg)
{
	const struct talk *t = arg;

	move_all(t->up, STDIN_FILENO, t->fd);
	shutdown(t->fd, SHUT_WR);
	return NULL;
}

/* Both directions at once, a thread for each, asleep in its own call. */
static void
run_talk(int argc, char **argv)
{
	struct talk t = { .up = argv[0], .down = argv[1] };
	pthread_t thread;
	int on = 1;

	(void)argc;
	if (strcmp(argv[2], "listen") == 0)
		t.fd = accepted(net_bind(argv[3], SOCK_STREAM));
	else
		t.fd = net_connect(argv[3], SOCK_STREAM);
	setsockopt(t.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (pthread_create(&thread, NULL, upload, &t) != 0)
		net_die("pthread_create");
	if (strcmp(t.down, "splice") == 0)
		widen(STDOUT_FILENO);
	move_all(t.down, t.fd, STDOUT_FILENO);
	pthread_join(thread, NULL);
}

/* The same in one thread: what is read first is passed on first. */
static void
run_turns(int argc, char **argv)
{
	int fd = net_connect(argv[0], SOCK_STREAM), on = 1;
	struct pollfd fds[2] = { { STDIN_FILENO, POLLIN, 0 },
	    { fd, POLLIN, 0 } };

	(void)argc;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents != 0 && move_copy(STDIN_FILENO, fd) <= 0) {
			shutdown(fd, SHUT_WR);
			fds[0].fd = -1;
		}
		if (fds[1].revents != 0 && move_copy(fd, STDOUT_FILENO) <= 0)
			break;
	}
}

/* One client after the other. */
static void
run_echo(int argc, char **argv)
{
	int listener = net_bind(argv[0], SOCK_STREAM), fd, on = 1;

	(void)argc;
	net_pin();
	for (;;) {
		fd = accepted(listener);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		while (move_copy(fd, fd) > 0)
			;
		close(fd);
	}
}

/* The same on each CPU. */
static void
on_each_cpu(void *(*run)(void *), void *arg)
{
	long left = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t thread;

	while (--left > 0)
		if (pthread_create(&thread, NULL, run, arg) != 0)
			net_die("pthread_create");
	run(arg);
}

struct server {
	int listener;
	char **argv;		/* the COMMAND, or the TARGET */
};

static void *
serve(void *arg)
{
	const struct server *s = arg;
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int fd;

	while ((fd = accepted(s->listener)) >= 0) {
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_adddup2(&actions, fd, 0);
		posix_spawn_file_actions_adddup2(&actions, fd, 1);
		if (posix_spawn(&pid, s->argv[0], &actions, NULL, s->argv,
		    environ) != 0)
			net_die(s->argv[0]);
		posix_spawn_file_actions_destroy(&actions);
		close(fd);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	return NULL;
}

/* A COMMAND for each client, its standard input and output. */
static void
run_serve(int argc, char **argv)
{
	struct server s = { net_bind(argv[0], SOCK_STREAM | SOCK_CLOEXEC),
	    argv + 1 };

	(void)argc;
	on_each_cpu(serve, &s);
}

/* Until both have ended. */
static void
join(int a, int b)
{
	struct pollfd fds[2] = { { a, POLLIN, 0 }, { b, POLLIN, 0 } };
	int ends[2] = { a, b }, open = 2, i;

	while (open > 0) {
		if (poll(fds, 2, -1) < 0)
			net_die("poll");
		for (i = 0; i < 2; i++)
			if (fds[i].revents != 0 &&
			    move_copy(fds[i].fd, ends[1 - i]) <= 0) {
				shutdown(ends[1 - i], SHUT_WR);
				fds[i].fd = -1;
				open--;
			}
	}
}

static void *
forward(void *arg)
{
	const struct server *s = arg;
	int client, target;

	while ((client = accepted(s->listener)) >= 0) {
		target = net_connect(s->argv[0], SOCK_STREAM);
		join(client, target);
		close(client);
		close(target);
	}
	return NULL;
}

/* Each client is joined to a connection to a target. */
static void
run_forward(int argc, char **argv)
{
	struct server s = { net_bind(argv[0], SOCK_STREAM), argv + 1 };

	(void)argc;
	on_each_cpu(forward, &s);
}

/* Any number of clients; what they say goes to standard output. */
static void
run_gather(int argc, char **argv)
{
	int listener = net_bind(argv[0], SOCK_STREAM | SOCK_NONBLOCK), fd, i, n;
	int poll_fd = epoll_create1(0);
	struct epoll_event events[BATCH], event = { .events = EPOLLIN };

	(void)argc;
	event.data.fd = listener;
	epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event);
	while ((n = epoll_wait(poll_fd, events, BATCH, -1)) >= 0)
		for (i = 0; i < n; i++) {
			fd = events[i].data.fd;
			if (fd != listener) {
				if (move_copy(fd, STDOUT_FILENO) <= 0)
					close(fd);
				continue;
			}
			while ((fd = accept(listener, NULL, NULL)) >= 0) {
				event.data.fd = fd;
				epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
			}
		}
	net_die("epoll_wait");
}

/*
 * Datagrams of one size. One a call: sendmmsg(2) takes more, but drops the error
 * that ends a batch early, and with it what a peer has refused.
 */
static void
run_datagrams(int argc, char **argv)
{
	int fd = net_connect(argv[0], SOCK_DGRAM);
	size_t size = (size_t)net_number(argv[1]), sent;
	char *buffer = malloc(BATCH * size);
	ssize_t got;

	(void)argc;
	while ((got = read(STDIN_FILENO, buffer, BATCH * size)) > 0)
		for (sent = 0; sent < (size_t)got; sent += size)
			if (send(fd, buffer + sent, size, 0) < 0)
				net_die("send");
	free(buffer);
}

static volatile sig_atomic_t stopped;

static void
stop(int number)
{
	(void)number;
	stopped = 1;
}

/*
 * Take datagrams of 1 KiB at most until SIGTERM; write them to standard output
 * and tell on standard error how many came and how many the kernel dropped.
 */
static void
run_collect(int argc, char **argv)
{
	static char buffers[BATCH][1024];
	int fd = net_bind(argv[0], SOCK_DGRAM), n, i;
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH], out[BATCH];
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t size = sizeof info;
	struct sigaction action = { .sa_handler = stop };
	long long count = 0;

	(void)argc;
	memset(messages, 0, sizeof messages);
	for (i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){ buffers[i], sizeof *buffers };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	sigaction(SIGTERM, &action, NULL);
	while (!stopped && (n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE,
	    NULL)) > 0) {
		for (i = 0; i < n; i++)
			out[i] = (struct iovec){ buffers[i],
			    messages[i].msg_len };
		if (writev(STDOUT_FILENO, out, n) < 0)
			net_die("writev");
		count += n;
	}
	getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size);
	fprintf(stderr, "%lld came, %u dropped\n", count,
	    info[SK_MEMINFO_DROPS]);
}

/* Ports FIRST to LAST, one after the other; the open ones are told. */
static void
run_probe(int argc, char **argv)
{
	struct sockaddr_in name = { .sin_family = AF_INET };
	long long port, last = net_number(argv[2]);
	bool found = false;
	int fd;

	(void)argc;
	if (inet_pton(AF_INET, argv[0], &name.sin_addr) != 1)
		net_die("no IPv4 address");
	for (port = net_number(argv[1]); port <= last; port++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		name.sin_port = htons((uint16_t)port);
		if (connect(fd, (struct sockaddr *)&name, sizeof name) == 0) {
			printf("%s %lld open\n", argv[0], port);
			found = true;
		}
		close(fd);
	}
	fflush(stdout);
	_exit(found ? 0 : 4);
}

/* Start, and end. */
static void
run_nothing(int argc, char **argv)
{
	(void)argc;
	(void)argv;
}

static const struct command commands[] = {
	{ "send", "sendfile|splice|copy ADDRESS", 2, run_send },
	{ "receive", "splice|through|copy|drop ADDRESS", 2, run_receive },
	{ "talk", "UP DOWN listen|connect ADDRESS", 4, run_talk },
	{ "turns", "ADDRESS", 1, run_turns },
	{ "echo", "ADDRESS", 1, run_echo },
	{ "serve", "ADDRESS COMMAND...", 2, run_serve },
	{ "forward", "ADDRESS TARGET", 2, run_forward },
	{ "gather", "ADDRESS", 1, run_gather },
	{ "datagrams", "ADDRESS SIZE", 2, run_datagrams },
	{ "collect", "ADDRESS", 1, run_collect },
	{ "probe", "HOST FIRST LAST", 3, run_probe },
	{ "nothing", "", 0, run_nothing },
	{ NULL, NULL, 0, NULL },
};

int
main(int argc, char **argv)
{
	return net_main(commands, argc, argv);
}
