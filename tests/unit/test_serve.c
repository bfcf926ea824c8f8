/*
 * A server with a service that is made up here: it reads a byte of each client
 * and ends it, or fails, or keeps it until told. Both modes.
 */
#include "flow/serve.h"

#include <pthread.h>
#include <stdatomic.h>

#include "net.h"

enum {
	CLIENTS = 20,
	SHORT_MS = 1000,
};

struct told {
	struct client client;
};

static struct {
	_Atomic int begun, ended, here, most, opened, closed, failed, refused;
	_Atomic int finished;
	char reason[ERR_TEXT_MAX];
} seen;

static enum sk_result
step(struct leg *leg, struct err *e)
{
	struct told *c = leg->owner;
	enum sk_result r;
	size_t got;
	char byte;

	leg->waits = c->client.peer;
	leg->side = SK_IN;
	r = sock_recv(c->client.peer, &byte, 1, &got, e);
	if (r != SK_OK || byte == '.')
		return r;
	if (byte == '!') {
		err_set(e, ERR_BROKEN, 0, c->client.name, "by design");
		return SK_ERROR;
	}
	return SK_OK;
}

static struct stage *
begin(struct client *client, struct err *e)
{
	int here = ++seen.here;

	(void)e;
	seen.begun++;
	if (here > seen.most)
		seen.most = here;
	stage_init_single(&client->stage, &client->legs[0], client, step);
	client->stage.socks[0] = client->peer;
	return &client->stage;
}

static void
end(struct client *client)
{
	(void)client;
	seen.ended++;
	seen.here--;
}

static void
finish(void *context, struct server *s)
{
	(void)context;
	seen.finished++;
	serve_finish(s);
}

static const struct service service = {
	.client_size = sizeof(struct told), .begin = begin, .end = end,
	.finish = finish,
};

static void
opened(void *context, const struct client *c)
{
	(void)context;
	(void)c;
	seen.opened++;
}

static void
refused(void *context, const char *name)
{
	(void)context;
	(void)name;
	seen.refused++;
}

static void
closed(void *context, const struct client *c, const struct err *e)
{
	(void)context;
	(void)c;
	seen.closed++;
	if (e->code == ERR_NONE)
		return;
	seen.failed++;
	(void)snprintf(seen.reason, sizeof(seen.reason), "%s", e->text);
}

/* Clients in a thread of their own: plain connections. */
struct play {
	char address[4 * NET_PATH_MAX];
	const char *says;	/* by each in turn, again and again */
	int count;
	int resets;		/* how many saw one, or a refusal */
	int ends;
	pthread_t thread;
};

static int
plain(const char *address)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in.sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1));
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static void *
play(void *arg)
{
	struct play *p = arg;
	int fds[CLIENTS], i;
	char byte;

	for (i = 0; i < p->count; i++)
		fds[i] = plain(p->address);
	for (i = 0; i < p->count; i++) {
		byte = p->says[(size_t)i % strlen(p->says)];
		if (byte == '-')
			continue;
		(void)send(fds[i], &byte, 1, MSG_NOSIGNAL);
		(void)shutdown(fds[i], SHUT_WR);
	}
	for (i = 0; i < p->count; i++) {
		if (fds[i] == -1 || read(fds[i], &byte, 1) < 0)
			p->resets++;
		else
			p->ends++;
		(void)close(fds[i]);
	}
	return NULL;
}

static enum sk_result
run(struct serve_config *config, struct play *p, struct err *e)
{
	const struct sock_config sock = { .mode = config->mode,
	    .socket_mode = -1 };
	struct sock *listener = net_listen(NET_TCP4, &sock, e);
	enum sk_result r;

	memset(&seen, 0, sizeof(seen));
	if (listener == NULL)
		return SK_ERROR;
	config->opened = opened;
	config->closed = closed;
	config->refused = refused;
	if (config->deadline_ns == 0)
		config->deadline_ns = net_limit_ns();
	(void)snprintf(p->address, sizeof(p->address), "%s",
	    net_address(listener));
	p->resets = p->ends = 0;
	(void)pthread_create(&p->thread, NULL, play, p);
	r = serve(config, &listener, &service, NULL, NULL, e);
	sock_abort(&listener);
	(void)pthread_join(p->thread, NULL);
	return r;
}

static void
test_count(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct serve_config config = { .mode = mode, .count = CLIENTS,
	    .accept_ns = -1 };
	struct play p = { .says = ".", .count = CLIENTS };
	struct err e = { 0 };

	tap_int(run(&config, &p, &e), SK_OK, "%s: so many clients", name);
	tap_ok(seen.begun == CLIENTS && seen.ended == CLIENTS &&
	    seen.opened == CLIENTS && seen.closed == CLIENTS,
	    "%s: each begun, ended and told once", name);
	tap_int(seen.failed, 0, "%s: none has failed", name);
	tap_int(seen.finished, 1, "%s: the service finishes once", name);
	err_clear(&e);
}

static void
test_failures(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct serve_config config = { .mode = mode, .count = CLIENTS,
	    .accept_ns = -1 };
	struct play p = { .says = ".!", .count = CLIENTS };
	struct err e = { 0 };

	tap_int(run(&config, &p, &e), SK_OK,
	    "%s: failures do not end the server", name);
	tap_int(seen.failed, CLIENTS / 2, "%s: each is told", name);
	tap_text(seen.reason, "by design", "%s: with its reason", name);
	tap_ok(p.resets >= CLIENTS / 2, "%s: and reset", name);
	err_clear(&e);
}

static void
test_max(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct serve_config config = { .mode = mode, .count = CLIENTS,
	    .max_clients = 3, .accept_ns = -1 };
	struct play p = { .says = "xy.", .count = CLIENTS };
	struct err e = { 0 };

	tap_int(run(&config, &p, &e), SK_OK, "%s: three at a time", name);
	tap_ok(seen.most <= 3, "%s: there were never more (%d)", name,
	    seen.most);
	tap_int(seen.ended, CLIENTS, "%s: all have been served", name);
	err_clear(&e);
}

static void
test_refused(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct serve_config config = { .mode = mode, .accept_ns = -1,
	    .deadline_ns = clock_now_ns() + SHORT_MS * CLOCK_MS };
	struct play p = { .says = "x", .count = 5 };
	struct access_list *access = NULL;
	struct err e = { 0 };

	tap_ok(access_add(&access, false, "127.0.0.0/8", &e),
	    "%s: an access list", name);
	config.access = access;
	tap_int(run(&config, &p, &e), SK_ERROR, "%s: a deadline", name);
	tap_int((long long)e.code, ERR_TIMEOUT, "%s: which is told", name);
	tap_ok(seen.refused == 5 && seen.begun == 0,
	    "%s: who is denied is no client", name);
	err_clear(&e);
	access_free(access);
}

static void
test_deadline(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct serve_config config = { .mode = mode, .accept_ns = -1,
	    .deadline_ns = clock_now_ns() + SHORT_MS * CLOCK_MS };
	struct play p = { .says = "-", .count = 5 };
	struct err e = { 0 };

	tap_int(run(&config, &p, &e), SK_ERROR, "%s: a deadline with clients",
	    name);
	tap_int((long long)e.code, ERR_TIMEOUT, "%s: is told as well", name);
	tap_ok(seen.begun == 5 && seen.ended == 5, "%s: all are ended", name);
	tap_int(p.resets, 5, "%s: by a reset", name);
	err_clear(&e);
}

static void
test_accept_timeout(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct serve_config config = { .mode = mode,
	    .accept_ns = SHORT_MS * CLOCK_MS };
	struct play p = { .says = ".", .count = 1 };
	int64_t begin_ns = clock_now_ns();
	struct err e = { 0 };

	tap_int(run(&config, &p, &e), SK_ERROR, "%s: nobody else comes", name);
	tap_int((long long)e.code, ERR_TIMEOUT, "%s: a time limit", name);
	tap_ok(clock_now_ns() - begin_ns >= SHORT_MS * CLOCK_MS &&
	    seen.ended == 1, "%s: after the one that came", name);
	err_clear(&e);
}

/* serve_alone: without a server. */
static void
test_alone(enum sk_mode mode)
{
	const char *name = net_mode_names[mode];
	struct err e = { 0 };
	struct sock *peer;
	int fds[2];

	memset(&seen, 0, sizeof(seen));
	if (!net_plain_pair(fds, 0) ||
	    (peer = net_adopt(fds[0], mode, &e)) == NULL) {
		tap_ok(false, "%s: a pair", name);
		return;
	}
	(void)send(fds[1], "a!", 2, 0);
	tap_int(serve_alone(mode, &peer, &service, NULL, &e), SK_ERROR,
	    "%s: one that was made otherwise", name);
	tap_text(e.text, "by design", "%s: its failure is the run's", name);
	tap_ok(peer == NULL && seen.begun == 1 && seen.ended == 1,
	    "%s: and all is freed", name);
	(void)close(fds[1]);
	err_clear(&e);
}

int
main(void)
{
	int mode;

	tap_start();
	for (mode = SK_NONBLOCKING; mode <= SK_BLOCKING; mode++) {
		test_count((enum sk_mode)mode);
		test_failures((enum sk_mode)mode);
		test_max((enum sk_mode)mode);
		test_refused((enum sk_mode)mode);
		test_deadline((enum sk_mode)mode);
		test_accept_timeout((enum sk_mode)mode);
		test_alone((enum sk_mode)mode);
	}
	return tap_done();
}
