#include "cli/commands.h"

#include "cli/options.h"
#include "cli/service.h"
#include "cli/session.h"
#include "cli/talk.h"

struct listen_options {
	struct common_options common;
	struct bind_options bind;
	struct relay_options relay;
	struct service_options service;
};

#define AT(field)	offsetof(struct listen_options, field)

static const struct opt_group groups[] = {
	{ "address", address_opts, ADDRESS_OPTS, AT(common.address) },
	{ "listening", bind_opts, BIND_OPTS, AT(bind) },
	{ "serving", service_opts, SERVICE_OPTS, AT(service) },
	{ "streams", relay_opts, RELAY_OPTS, AT(relay) },
	COMMON_GROUPS(listen_options),
};

static const char *const synopsis[] = {
	"[OPTION]... [HOST] PORT [-- COMMAND [ARG]...]",
	"[OPTION]... HOST:PORT|[IPV6]:PORT|unix:PATH|vsock:CID:PORT",
	"--activate [OPTION]...",
	NULL,
};

static const char *const notes[] = {
	"Wait for a connection, then send standard input to it and write what",
	"it sends to standard output. Without HOST, on all addresses; port 0",
	"is a free one. The mode is --nonblocking. See haul-listen(1).",
	NULL,
};

const struct opt_command listen_command = {
	"listen", "wait for a connection and talk over it", synopsis, notes,
	groups, sizeof(groups) / sizeof(groups[0]),
};

static enum sk_result
run(struct session *s, struct listen_options *o, char *const *operands,
    char *const *command, struct err *e)
{
	int used;

	s->inherits = o->service.activate;
	if (!service_access(s, &o->service, e) || !session_init(s, operands,
	    true, SK_NONBLOCKING, &used, e) ||
	    !session_no_more(s, operands + used, e))
		return SK_ERROR;
	talk_configure(s, &o->relay);
	if (!service_check(s, &o->service, &o->relay, command, e) ||
	    !talk_check(s->cmd, &o->relay, &o->common, e))
		return SK_ERROR;
	if (service_is_wanted(s, &o->service, command))
		return service_run(s, &o->service, &o->relay, command, e);
	s->config.announced = o->service.accept_proxy;
	return talk(s, &o->relay, e);
}

enum sk_result
cmd_listen(int argc, char **argv, struct err *e)
{
	struct listen_options o = { .common = COMMON_DEFAULTS,
	    .bind = BIND_DEFAULTS, .relay = RELAY_DEFAULTS };
	struct session s = { .cmd = &listen_command, .common = &o.common,
	    .bind = &o.bind };
	char *const *command;
	enum sk_result r;

	if (!opt_parse_command(&listen_command, argc, argv, &o, &command, e))
		return SK_ERROR;
	if (session_told(&listen_command, &o.common))
		return SK_OK;
	r = run(&s, &o, argv + 1, command, e);
	session_free(&s);
	return r;
}
