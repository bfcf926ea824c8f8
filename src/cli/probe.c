/* haul connect --probe: which ports are open. */
#include "cli/probe.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/probe.h"
#include "sock/services.h"

enum {
	STREAM_TRY_SEC = 5,	/* if there is no --connect-timeout */
	DATAGRAM_TRY_SEC = 1,
	WORD_MAX = ADDR_HOST_MAX * 4,
};

/* A probe, as the command line has it. */
struct probing {
	struct session *session;
	bool until_closed;
	bool to_command;	/* standard output is the command's */
	struct probe_target *targets;
	size_t count;
	char *expect;
	struct services *services;	/* NULL: not read yet */
};

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *p = c != '\0' ? strchr(digits, c) : NULL;

	return p != NULL ? (int)(p - digits) % 16 : -1;
}

/* An escape behind its backslash. NULL: there is no such one. */
static const char *
unescape_one(const char *p, char *out)
{
	static const char names[] = "rnt\\", values[] = "\r\n\t\\";
	const char *name = *p != '\0' ? strchr(names, *p) : NULL;
	int high, low;

	if (name != NULL) {
		*out = values[name - names];
		return p + 1;
	}
	if (*p != 'x' || (high = hex_digit(p[1])) == -1 ||
	    (low = hex_digit(p[2])) == -1)
		return NULL;
	*out = (char)(high * 16 + low);
	return p + 3;
}

bool
probe_unescape(const char *text, char *out, size_t *len)
{
	const char *p = text;
	size_t n = 0;

	while (p != NULL && *p != '\0')
		if (*p != '\\')
			out[n++] = *p++;
		else
			p = unescape_one(p + 1, &out[n++]);
	*len = n;
	return p != NULL && n > 0;
}

/* Read when the first name is to be shown: it takes as long as a connection. */
static const char *
service_name(struct probing *p, unsigned port)
{
	if (p->session->config.numeric)
		return NULL;
	if (p->services == NULL)
		p->services = services_read(p->session->config.datagram,
		    p->count == 1 ? &p->targets[0].ports : NULL);
	return services_name(p->services, port);
}

/* What is open or as wanted is shown; with -v, everything that was tried. */
static bool
is_shown(const struct probing *p, enum probe_state state)
{
	switch (state) {
	case PROBE_OPEN:
		return true;
	case PROBE_CLOSED:
		return p->until_closed || p->session->common->output.verbose;
	case PROBE_SILENT:
		return p->session->common->output.verbose;
	case PROBE_UNTRIED:
	case PROBE_NAMELESS:
		break;
	}
	return false;
}

/* "192.0.2.7 22", "unix:/run/x", "vsock:2:22" */
static void
put_subject(const struct probe_result *r, char *buf, size_t size)
{
	const struct addr *a = &r->target->addr;
	char text[WORD_MAX];

	switch (a->kind) {
	case ADDR_INET:
		(void)log_escape(r->host, text, sizeof(text));
		(void)snprintf(buf, size, "%s %u", text, r->port);
		break;
	case ADDR_UNIX:
	case ADDR_ABSTRACT:
		(void)log_escape(a->host, text, sizeof(text));
		(void)snprintf(buf, size, "unix:%s%s",
		    a->kind == ADDR_ABSTRACT ? "@" : "", text);
		break;
	case ADDR_VSOCK:
		(void)snprintf(buf, size, "vsock:%s:%s", a->host, a->port);
		break;
	}
}

static size_t
put_line(void *context, const struct probe_result *r, char *buf, size_t size)
{
	static const char *const states[] = {
		[PROBE_OPEN] = "open",
		[PROBE_CLOSED] = "closed",
		[PROBE_SILENT] = "no-answer",
	};
	struct probing *p = context;
	const char *service = NULL;
	char subject[WORD_MAX + 16];
	int n;

	if (!is_shown(p, r->state))
		return 0;
	put_subject(r, subject, sizeof(subject));
	if (p->to_command) {
		log_verbose("%s %s", subject, states[r->state]);
		return 0;
	}
	if (r->target->addr.kind == ADDR_INET)
		service = service_name(p, r->port);
	n = snprintf(buf, size, "%s %s%s%s\n", subject, states[r->state],
	    service != NULL ? " " : "", service != NULL ? service : "");
	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

static bool
check_options(const struct session *s, const struct probe_options *o,
    struct err *e)
{
	bool udp = s->common->address.udp;

	if (o->until_closed && (o->hold_ns >= 0 || o->expect != NULL))
		return opt_usage(s->cmd, e, "--hold-for and --expect are for "
		    "open ports, not --until-closed");
	if (udp && o->hold_ns >= 0)
		return opt_usage(s->cmd, e,
		    "--hold-for is for connections, not datagrams");
	return true;
}

static bool
check_target(const struct session *s, const struct addr *a, struct err *e)
{
	const struct address_options *o = &s->common->address;

	if (a->kind == ADDR_INET)
		return true;
	if (o->ipv4 || o->ipv6 || s->config.source_host != NULL ||
	    s->config.source_port != NULL)
		return opt_usage(s->cmd, e, "-4, -6, --source and "
		    "--source-port are for internet addresses");
	if (o->udp && a->kind == ADDR_VSOCK)
		return opt_usage(s->cmd, e, "vsock has no datagrams");
	return true;
}

static bool
add_target(struct probing *p, char *const *operands, int *used,
    struct err *e)
{
	const struct session *s = p->session;
	struct probe_target *t = &p->targets[p->count];
	struct err why = { .code = ERR_NONE };
	int flags;

	flags = (s->config.numeric ? ADDR_NUMERIC : 0) |
	    (s->config.datagram ? ADDR_DATAGRAM : 0);
	if (!ports_parse_address(&t->addr, &t->ports, operands, flags, used,
	    &why))
		return opt_usage(s->cmd, e, "%s", why.text);
	p->count++;
	return check_target(s, &t->addr, e);
}

static bool
add_targets(struct probing *p, const struct probe_options *o,
    char *const *operands, struct err *e)
{
	char *also[2] = { NULL, NULL };
	size_t i;
	int used;

	p->targets = calloc(1 + o->also.count, sizeof(*p->targets));
	if (p->targets == NULL) {
		err_no_memory(e);
		return false;
	}
	if (!add_target(p, operands, &used, e) ||
	    !session_no_more(p->session, operands + used, e))
		return false;
	for (i = 0; i < o->also.count; i++) {
		also[0] = (char *)o->also.v[i];
		if (!add_target(p, also, &used, e))
			return false;
	}
	return true;
}

static bool
set_expectation(struct probing *p, const char *text, size_t *len,
    struct err *e)
{
	*len = 0;
	if (text == NULL)
		return true;
	p->expect = malloc(strlen(text) + 1);
	if (p->expect == NULL) {
		err_no_memory(e);
		return false;
	}
	if (probe_unescape(text, p->expect, len))
		return true;
	return opt_usage(p->session->cmd, e, "--expect: empty, or an escape "
	    "that is not one of \\r \\n \\t \\\\ \\xNN");
}

/*
 * The command comes in place of haul, as with env(1): what we were given is
 * handed on, and what we have changed is as it was.
 */
static enum sk_result
become(char *const *command, struct err *e)
{
	struct sigaction act = { .sa_handler = SIG_DFL };
	sigset_t none, old;
	int sys;

	(void)sigemptyset(&none);
	(void)sigaction(SIGPIPE, &act, NULL);
	(void)sigaction(SIGXFSZ, &act, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &none, &old);
	/* A secret that is not its business. */
	(void)unsetenv("HAUL_PROXY_AUTH");
	(void)execvp(command[0], command);
	sys = errno;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	err_set(e, sys == ENOENT ? ERR_NOT_FOUND : ERR_EXEC, sys, command[0],
	    "%s", "");
	return SK_ERROR;
}

/* There is nothing but answers to wait for: -w is for them as well. */
static void
set_limit(struct probe_config *config, const struct session *s)
{
	const struct time_options *time = &s->common->time;

	config->try_option = "--connect-timeout";
	if (time->connect_ns >= 0)
		config->try_ns = time->connect_ns;
	else if (time->idle_ns >= 0) {
		config->try_ns = time->idle_ns;
		config->try_option = "--idle-timeout";
	} else
		config->try_ns = CLOCK_SEC * (s->config.datagram ?
		    DATAGRAM_TRY_SEC : STREAM_TRY_SEC);
}

static enum sk_result
run(struct probing *p, const struct probe_options *o, struct err *e)
{
	const struct session *s = p->session;
	struct probe_config config = {
		.mode = s->mode,
		.sock = &s->config,
		.until_closed = o->until_closed,
		.retry_ns = s->dial->retry_ns,
		.hold_ns = o->hold_ns > 0 ? o->hold_ns : 0,
		.deadline_ns = s->deadline_ns,
		.line = put_line,
		.context = p,
	};
	enum sk_result r;

	if (!set_expectation(p, o->expect, &config.expect_len, e))
		return SK_ERROR;
	config.expect = p->expect;
	set_limit(&config, s);
	if (!p->to_command) {
		config.out = sock_stdout(s->mode, e);
		if (config.out == NULL)
			return SK_ERROR;
	}
	r = probe_run(&config, p->targets, p->count, e);
	if (r == SK_OK && config.out != NULL)
		r = sock_shutdown_write(config.out, e);
	sock_abort(&config.out);
	return r;
}

enum sk_result
probe_command(struct session *s, const struct probe_options *o,
    char *const *operands, char *const *command, struct err *e)
{
	struct probing p = { .session = s, .until_closed = o->until_closed,
	    .to_command = command != NULL };
	enum sk_result r = SK_ERROR;

	if (check_options(s, o, e) && add_targets(&p, o, operands, e))
		r = run(&p, o, e);
	services_free(p.services);
	free(p.targets);
	free(p.expect);
	if (r == SK_OK && command != NULL)
		r = become(command, e);
	return r;
}
