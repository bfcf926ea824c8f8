#include "cli/commands.h"

#include "cli/options.h"
#include "cli/session.h"
#include "cli/talk.h"

struct listen_options {
	struct common_options common;
	struct bind_options bind;
	struct relay_options relay;
};

#define AT(field)	offsetof(struct listen_options, field)

static const struct opt_group groups[] = {
	{ "address", address_opts, ADDRESS_OPTS, AT(common.address) },
	{ "listening", bind_opts, BIND_OPTS, AT(bind) },
	{ "streams", relay_opts, RELAY_OPTS, AT(relay) },
	COMMON_GROUPS(listen_options),
};

static const char *const synopsis[] = {
	"[OPTION]... [HOST] PORT",
	"[OPTION]... HOST:PORT|[IPV6]:PORT|unix:PATH|vsock:CID:PORT",
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

enum sk_result
cmd_listen(int argc, char **argv, struct err *e)
{
	struct listen_options o = { .common = COMMON_DEFAULTS,
	    .bind = BIND_DEFAULTS, .relay = RELAY_DEFAULTS };
	struct session s = { .cmd = &listen_command, .common = &o.common,
	    .bind = &o.bind };
	int used;

	if (!opt_parse(&listen_command, argc, argv, &o, e))
		return SK_ERROR;
	if (session_told(&listen_command, &o.common))
		return SK_OK;
	if (!session_init(&s, argv + 1, true, SK_NONBLOCKING, &used,
	    e) || !talk_check(&listen_command, &o.relay, &o.common, e) ||
	    !session_no_more(&s, argv + 1 + used, e))
		return SK_ERROR;
	return talk(&s, &o.relay, e);
}
