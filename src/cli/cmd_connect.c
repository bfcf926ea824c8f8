#include "cli/commands.h"

#include "cli/options.h"
#include "cli/session.h"
#include "cli/talk.h"

struct connect_options {
	struct common_options common;
	struct dial_options dial;
	struct relay_options relay;
};

#define AT(field)	offsetof(struct connect_options, field)

static const struct opt_group groups[] = {
	{ "address", address_opts, ADDRESS_OPTS, AT(common.address) },
	{ "connecting", dial_opts, DIAL_OPTS, AT(dial) },
	{ "streams", relay_opts, RELAY_OPTS, AT(relay) },
	COMMON_GROUPS(connect_options),
};

static const char *const synopsis[] = {
	"[OPTION]... HOST PORT",
	"[OPTION]... HOST:PORT|[IPV6]:PORT|unix:PATH|vsock:CID:PORT",
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

enum sk_result
cmd_connect(int argc, char **argv, struct err *e)
{
	struct connect_options o = { .common = COMMON_DEFAULTS,
	    .dial = DIAL_DEFAULTS, .relay = RELAY_DEFAULTS };
	struct session s = { .cmd = &connect_command, .common = &o.common,
	    .dial = &o.dial };
	int used;

	if (!opt_parse(&connect_command, argc, argv, &o, e))
		return SK_ERROR;
	if (session_told(&connect_command, &o.common))
		return SK_OK;
	if (!session_init(&s, argv + 1, false, SK_NONBLOCKING, &used,
	    e) || !talk_check(&connect_command, &o.relay, &o.common, e) ||
	    !session_no_more(&s, argv + 1 + used, e))
		return SK_ERROR;
	return talk(&s, &o.relay, e);
}
