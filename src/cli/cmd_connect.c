#include "cli/commands.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/probe.h"
#include "cli/service.h"
#include "cli/session.h"
#include "cli/talk.h"

struct connect_options {
	struct common_options common;
	struct dial_options dial;
	struct relay_options relay;
	struct probe_options probe;
	bool pass_fd;
	enum announce announce;
	const char *shell;
};

#define AT(field)	offsetof(struct connect_options, field)

static bool
parse_announce(const char *arg, void *field)
{
	enum announce *announce = field;

	if (strcmp(arg, "v1") == 0)
		*announce = ANNOUNCE_V1;
	else if (strcmp(arg, "v2") == 0)
		*announce = ANNOUNCE_V2;
	else
		return false;
	return true;
}

static const struct opt_type opt_announce = { "v1 or v2", parse_announce };

static const struct opt connect_opts[] = {
	{ "proxy-protocol", 0, "VERSION", &opt_announce, AT(announce),
	    "begin with a PROXY header: v1 or v2" },
	{ "shell", 0, "COMMAND", &opt_string, AT(shell),
	    "run COMMAND with /bin/sh on the connection" },
	{ "pass-fd", 0, NULL, &opt_flag, AT(pass_fd),
	    "pass the connection over standard output" },
};

static const struct opt_group groups[] = {
	{ "address", address_opts, ADDRESS_OPTS, AT(common.address) },
	{ "connecting", dial_opts, DIAL_OPTS, AT(dial) },
	{ "what for", connect_opts,
	    sizeof(connect_opts) / sizeof(connect_opts[0]), 0 },
	{ "probing", probe_opts, PROBE_OPTS, AT(probe) },
	{ "streams", relay_opts, RELAY_OPTS, AT(relay) },
	COMMON_GROUPS(connect_options),
};

static const char *const synopsis[] = {
	"[OPTION]... HOST PORT [-- COMMAND [ARG]...]",
	"[OPTION]... HOST:PORT|[IPV6]:PORT|unix:PATH|vsock:CID:PORT",
	"--probe [OPTION]... HOST PORTS [-- COMMAND [ARG]...]",
	NULL,
};

static const char *const notes[] = {
	"Make a connection, then send standard input to it and write what it",
	"sends to standard output. The mode is --nonblocking. See",
	"haul-connect(1).",
	NULL,
};

const struct opt_command connect_command = {
	"connect", "make a connection and talk over it", synopsis, notes,
	groups, sizeof(groups) / sizeof(groups[0]),
};

static bool
check_probe(const struct connect_options *o, struct err *e)
{
	const struct probe_options *p = &o->probe;
	const struct relay_options *r = &o->relay;

	if (!p->probe && (p->until_closed || p->also.count > 0 ||
	    p->hold_ns >= 0 || p->expect != NULL))
		return opt_usage(&connect_command, e, "--also, "
		    "--until-closed, --hold-for and --expect need --probe");
	if (p->probe && (r->telnet || r->crlf || r->hold || r->rate > 0 ||
	    r->send_only || r->receive_only || r->no_stdin ||
	    r->linger_ns >= 0 || r->line_delay_ns > 0 ||
	    r->datagram != DATAGRAM_DEFAULT))
		return opt_usage(&connect_command, e,
		    "the options for streams contradict --probe");
	if (p->probe && (o->shell != NULL || o->pass_fd ||
	    o->dial.proxy != NULL || o->announce != ANNOUNCE_NOT))
		return opt_usage(&connect_command, e, "--shell, --pass-fd, "
		    "--proxy and --proxy-protocol contradict --probe");
	return true;
}

static bool
check(const struct session *s, const struct connect_options *o,
    bool has_command, struct err *e)
{
	const struct relay_options *r = &o->relay;

	if (has_command && o->pass_fd)
		return opt_usage(s->cmd, e,
		    "--pass-fd and a COMMAND contradict each other");
	if ((has_command || o->pass_fd) && (r->send_only || r->receive_only ||
	    r->no_stdin || r->hold || r->linger_ns >= 0 ||
	    r->datagram != DATAGRAM_DEFAULT))
		return opt_usage(s->cmd, e, "--no-stdin, --send-only, "
		    "--receive-only, --hold, --linger and --datagram are "
		    "for standard input and output");
	if (o->pass_fd && (r->telnet || r->crlf || r->rate > 0 ||
	    r->line_delay_ns > 0 || o->common.time.idle_ns >= 0))
		return opt_usage(s->cmd, e, "--telnet, --crlf, --limit, "
		    "--line-delay and --idle-timeout are not for --pass-fd");
	if (o->announce != ANNOUNCE_NOT && s->config.datagram)
		return opt_usage(s->cmd, e,
		    "--proxy-protocol is not for datagrams");
	return talk_check(s->cmd, r, &o->common, e);
}

static enum sk_result
pass(struct session *s, struct err *e)
{
	struct sock *peer = NULL;
	enum sk_result r;
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) != 0 || !S_ISSOCK(st.st_mode)) {
		err_set(e, ERR_LOCAL, 0, "standard output",
		    "is no UNIX socket to pass a connection over");
		return SK_ERROR;
	}
	r = session_establish(s, &peer, e);
	if (r == SK_OK)
		r = sock_pass(&peer, STDOUT_FILENO, e);
	if (r == SK_TIMEOUT) {
		err_set(e, ERR_TIMEOUT, 0, "",
		    "the run has taken its --timeout");
		r = SK_ERROR;
	}
	sock_abort(&peer);
	return r;
}

static enum sk_result
run(struct session *s, struct connect_options *o, char *const *operands,
    char *const *command, struct err *e)
{
	bool has_command = command != NULL || o->shell != NULL;
	int used;

	if (!check_probe(o, e))
		return SK_ERROR;
	s->probes = o->probe.probe;
	if (!session_init(s, operands, false, SK_NONBLOCKING, &used, e))
		return SK_ERROR;
	if (s->probes)
		return probe_command(s, &o->probe, operands, command, e);
	if (!session_no_more(s, operands + used, e))
		return SK_ERROR;
	talk_configure(s, &o->relay);
	s->config.announce = o->announce;
	if (command != NULL && o->shell != NULL) {
		(void)opt_usage(s->cmd, e,
		    "--shell and a COMMAND contradict each other");
		return SK_ERROR;
	}
	if (!check(s, o, has_command, e))
		return SK_ERROR;
	if (o->pass_fd)
		return pass(s, e);
	return has_command ?
	    service_command(s, &o->relay, command, o->shell, e) :
	    talk(s, &o->relay, e);
}

enum sk_result
cmd_connect(int argc, char **argv, struct err *e)
{
	struct connect_options o = { .common = COMMON_DEFAULTS,
	    .dial = DIAL_DEFAULTS, .relay = RELAY_DEFAULTS,
	    .probe = PROBE_DEFAULTS };
	struct session s = { .cmd = &connect_command, .common = &o.common,
	    .dial = &o.dial };
	char *const *command;
	enum sk_result r;

	if (!opt_parse_command(&connect_command, argc, argv, &o, &command, e))
		return SK_ERROR;
	if (session_told(&connect_command, &o.common))
		return SK_OK;
	r = run(&s, &o, argv + 1, command, e);
	session_free(&s);
	return r;
}
