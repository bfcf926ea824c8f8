/*
 * One input and one output for many clients, and a broker. The hub runs in a
 * thread of its own, on pipes as standard streams; what plays its clients are
 * plain blocking descriptors. Both modes.
 */
#include "flow/hub.h"

#include <pthread.h>
#include <stdatomic.h>

#include "fault.h"
#include "net.h"

enum {
	CLIENTS = 3,
	BYTES = 6 * 1024 * 1024,
	SMALL = 4096,
	OPENED_US = 10 * 1000,
};

struct scene {
	struct hub_config config;
	struct serve_config serving;
	struct sock *listener;
	bool input_breaks;		/* once a byte of it was read */
	int input, output;		/* the other ends of 0 and 1 */
	int fds[CLIENTS];
	_Atomic int opened, failed;
	char reason[ERR_TEXT_MAX];
	enum sk_result result;
	struct err err;
	pthread_t thread;
};

static char data[BYTES], back[BYTES];

static void
opened(void *context, const struct client *c)
{
	struct scene *g = context;

	(void)c;
	g->opened++;
	/* What is said in the meantime is for this one, too. */
	(void)usleep(OPENED_US);
}

static void
closed(void *context, const struct client *c, const struct err *e)
{
	struct scene *g = context;

	(void)c;
	if (e->code == ERR_NONE)
		return;
	(void)snprintf(g->reason, sizeof(g->reason), "%s", e->text);
	g->failed++;
}

/* Standard input. */
static struct sock *
open_input(struct scene *g)
{
	const struct fault_config fault = { .breaks = true, .break_after = 1 };
	struct sock *in = sock_stdin(g->config.mode, &g->err);

	return in != NULL && g->input_breaks ?
	    fault_wrap(in, g->config.mode, &fault, &g->err) : in;
}

static void *
serve_all(void *arg)
{
	struct scene *g = arg;
	struct sock *in = NULL, *out = NULL;
	struct hub *hub;

	if (!g->config.broker) {
		in = open_input(g);
		out = sock_stdout(g->config.mode, &g->err);
	}
	hub = hub_new(&g->config, in, out, &g->err);
	g->result = serve(&g->serving, &g->listener, &hub_service, hub,
	    hub_begun, &g->err);
	hub_free(hub);
	sock_abort(&in);
	sock_abort(&out);
	return NULL;
}

static int
come(const struct scene *g, int rcvbuf)
{
	const struct timeval limit = { .tv_sec = 10 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (rcvbuf > 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf,
		    sizeof(rcvbuf));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in.sin_port = htons((uint16_t)atoi(sock_ready_port(g->listener)));
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) != 0)
		tap_note("a client: %s", strerror(errno));
	return fd;
}

/* The hub runs, and its clients are there. The first one's buffer is small. */
static bool
begin(struct scene *g, enum sk_mode mode, int clients, int rcvbuf)
{
	const struct sock_config sock = { .mode = mode, .socket_mode = -1 };
	int in[2], out[2], i;

	g->config.mode = g->serving.mode = mode;
	g->config.idle_ns = g->config.linger_ns = -1;
	g->config.deadline_ns = g->serving.deadline_ns = net_limit_ns();
	g->serving.accept_ns = -1;
	g->serving.count = (uint64_t)clients;
	g->serving.context = g;
	g->serving.opened = opened;
	g->serving.closed = closed;
	g->listener = net_listen(NET_TCP4, &sock, &g->err);
	if (g->listener == NULL || pipe(in) != 0 || pipe(out) != 0)
		return false;
	(void)dup2(in[0], STDIN_FILENO);
	(void)dup2(out[1], STDOUT_FILENO);
	(void)close(in[0]);
	(void)close(out[1]);
	g->input = in[1];
	g->output = out[0];
	for (i = 0; i < clients; i++)
		g->fds[i] = come(g, i == 0 ? rcvbuf : 0);
	(void)pthread_create(&g->thread, NULL, serve_all, g);
	while (g->opened < clients && clock_now_ns() < g->config.deadline_ns)
		(void)usleep(1000);
	return g->opened == clients;
}

/* In a broker, who has just ended its direction might still listen: a reset. */
static void
finish(struct scene *g, int clients)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	int i;

	for (i = 0; i < clients; i++) {
		if (g->config.broker)
			(void)setsockopt(g->fds[i], SOL_SOCKET, SO_LINGER,
			    &now, sizeof(now));
		(void)close(g->fds[i]);
	}
	if (g->input != -1)
		(void)close(g->input);
	(void)pthread_join(g->thread, NULL);
	if (g->output != -1)
		(void)close(g->output);
	sock_abort(&g->listener);
}

static void
shut(int *fd)
{
	(void)close(*fd);
	*fd = -1;
}

/* So many bytes, or fewer if it ends before. */
static size_t
take(int fd, char *buf, size_t len)
{
	size_t i;
	ssize_t n;

	for (i = 0; i < len; i += (size_t)n)
		if ((n = read(fd, buf + i, len - i)) <= 0)
			break;
	return i;
}

static void
test_streams(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct scene g = { .result = SK_ERROR };
	int i, heard = 0, ended = 0, said = 0;
	char buf[SMALL];

	tap_ok(begin(&g, mode, CLIENTS, 0), "%s: clients", name);
	(void)!write(g.input, "hello", 5);
	for (i = 0; i < CLIENTS; i++)
		heard += take(g.fds[i], buf, 5) == 5 &&
		    memcmp(buf, "hello", 5) == 0;
	tap_int(heard, CLIENTS, "%s: all hear the input", name);
	for (i = 0; i < CLIENTS; i++) {
		(void)send(g.fds[i], "words", 5, MSG_NOSIGNAL);
		said += take(g.output, buf, 5) == 5 &&
		    memcmp(buf, "words", 5) == 0;
	}
	tap_int(said, CLIENTS, "%s: the output hears all", name);
	shut(&g.input);
	for (i = 0; i < CLIENTS; i++)
		ended += read(g.fds[i], buf, 1) == 0;
	tap_int(ended, CLIENTS, "%s: the end of the input is everybody's",
	    name);
	(void)send(g.fds[0], "last", 4, MSG_NOSIGNAL);
	for (i = 0; i < CLIENTS; i++)
		(void)shutdown(g.fds[i], SHUT_WR);
	tap_int((long long)take(g.output, buf, sizeof(buf)), 4,
	    "%s: what is said after it is written, then the end", name);
	finish(&g, CLIENTS);
	tap_int(g.result, SK_OK, "%s: in order", name);
	tap_int(g.failed, 0, "%s: nobody has failed", name);
	err_clear(&g.err);
}

/* The first one does not read, the second one does. */
static void
test_slow(enum sk_mode mode, bool broker)
{
	const char *name = net_mode_names[mode];
	const char *what = broker ? "broker" : "hub";
	struct scene g = { .result = SK_ERROR, .config.broker = broker };
	int clients = broker ? CLIENTS : CLIENTS - 1, from;
	size_t i, put, part;
	ssize_t n;

	tap_ok(begin(&g, mode, clients, SMALL), "%s: %s: a slow client", name,
	    what);
	from = broker ? g.fds[2] : g.input;
	memset(back, 0, sizeof(back));
	for (i = put = 0; i < BYTES; i += (size_t)n) {
		part = BYTES - put < SMALL ? BYTES - put : (size_t)SMALL;
		for (; put < BYTES && put < i + 64 * 1024; put += part)
			if (write(from, data + put, part) != (ssize_t)part)
				break;
		n = read(g.fds[1], back + i, put - i);
		if (n <= 0)
			break;
	}
	tap_ok(i == BYTES && memcmp(data, back, BYTES) == 0,
	    "%s: %s: the other gets all of it", name, what);
	while (g.failed == 0 && clock_now_ns() < g.config.deadline_ns)
		(void)usleep(1000);
	tap_int(g.failed, 1, "%s: %s: one is dropped", name, what);
	tap_ok(strstr(g.reason, "does not read") != NULL,
	    "%s: %s: told why (%s)", name, what, g.reason);
	for (i = 1; i < (size_t)clients; i++)
		(void)shutdown(g.fds[i], SHUT_WR);
	finish(&g, clients);
	err_clear(&g.err);
}

static void
test_broker(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct scene g = { .result = SK_ERROR, .config.broker = true };
	char buf[SMALL];

	tap_ok(begin(&g, mode, CLIENTS, 0), "%s: a broker", name);
	(void)send(g.fds[0], "one", 3, MSG_NOSIGNAL);
	tap_ok(take(g.fds[1], buf, 3) == 3 && memcmp(buf, "one", 3) == 0 &&
	    take(g.fds[2], buf, 3) == 3 && memcmp(buf, "one", 3) == 0,
	    "%s: the others hear it", name);
	(void)send(g.fds[1], "two", 3, MSG_NOSIGNAL);
	tap_ok(take(g.fds[0], buf, 3) == 3 && memcmp(buf, "two", 3) == 0,
	    "%s: who has said something hears others and not itself", name);
	finish(&g, CLIENTS);
	tap_int(g.result, SK_OK, "%s: it ends when all have left", name);
	err_clear(&g.err);
}

/* Nobody reads the output. */
static void
test_reader_gone(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct scene g = { .result = SK_OK };
	int64_t begin_ns;
	char byte;

	tap_ok(begin(&g, mode, CLIENTS, 0), "%s: an output", name);
	begin_ns = clock_now_ns();
	shut(&g.output);
	/* Its clients say nothing. */
	tap_ok(read(g.fds[0], &byte, 1) == -1 && errno == ECONNRESET,
	    "%s: whose reader leaves: the clients are reset", name);
	tap_ok(clock_now_ns() - begin_ns < CLOCK_SEC, "%s: within a second",
	    name);
	finish(&g, CLIENTS);
	tap_int(g.result, SK_ERROR, "%s: a failure", name);
	tap_ok(g.err.code == ERR_LOCAL && g.err.quiet, "%s: a quiet one",
	    name);
	err_clear(&g.err);
}

/* What is left of the input cannot be read: its end is not known. */
static void
test_input_broken(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct scene g = { .result = SK_OK, .input_breaks = true };
	char buf[SMALL];
	ssize_t n;
	int i, resets = 0;

	tap_ok(begin(&g, mode, CLIENTS, 0), "%s: an input", name);
	(void)!write(g.input, "hello", 5);
	for (i = 0; i < CLIENTS; i++) {
		while ((n = read(g.fds[i], buf, sizeof(buf))) > 0)
			continue;
		resets += n == -1 && errno == ECONNRESET;
	}
	tap_int(resets, CLIENTS, "%s: which breaks: nobody is told an end",
	    name);
	finish(&g, CLIENTS);
	tap_int(g.result, SK_ERROR, "%s: which breaks: a failure", name);
	err_clear(&g.err);
}

int
main(void)
{
	uint64_t seed;
	int mode, i;

	tap_start();
	seed = tap_seed();
	for (i = 0; i < BYTES; i++)
		data[i] = (char)tap_random(&seed);
	for (mode = SK_NONBLOCKING; mode <= SK_BLOCKING; mode++) {
		test_streams((enum sk_mode)mode);
		test_slow((enum sk_mode)mode, false);
		test_slow((enum sk_mode)mode, true);
		test_broker((enum sk_mode)mode);
		test_reader_gone((enum sk_mode)mode);
		test_input_broken((enum sk_mode)mode);
	}
	return tap_done();
}
