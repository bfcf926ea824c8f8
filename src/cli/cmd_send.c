#include "cli/commands.h"

#include "cli/options.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/transfers.h"

struct send_options {
	struct common_options common;
	struct dial_options dial;
	struct bind_options bind;
	struct transfer_options transfer;
	bool listen;
	enum datagram_unit datagram;
};

#define AT(field)	offsetof(struct send_options, field)

static const struct opt send_opts[] = {
	{ "listen", 'l', NULL, &opt_flag, AT(listen),
	    "wait for the receiver instead of connecting" },
	{ "datagram", 0, "UNIT", &opt_datagram, AT(datagram),
	    "with -u, send a datagram per line or chunk" },
};

static const struct opt_group groups[] = {
	{ "sending", send_opts, sizeof(send_opts) / sizeof(send_opts[0]), 0 },
	{ "transfer", transfer_opts, TRANSFER_OPTS, AT(transfer) },
	{ "address", address_opts, ADDRESS_OPTS, AT(common.address) },
	{ "connecting", dial_opts, DIAL_OPTS, AT(dial) },
	{ "listening, with --listen", bind_opts, BIND_OPTS, AT(bind) },
	COMMON_GROUPS(send_options),
};

static const char *const synopsis[] = {
	"[OPTION]... HOST PORT [FILE]...",
	"[OPTION]... HOST:PORT|[IPV6]:PORT|unix:PATH|... [FILE]...",
	NULL,
};

static const char *const notes[] = {
	"Send the files and directories, or standard input without FILE or for",
	"-. Status 0 is given when haul receive has all of it. With --raw, the",
	"files follow each other in a plain stream. The mode is --blocking.",
	"See haul-send(1).",
	NULL,
};

const struct opt_command send_command = {
	"send", "deliver a stream to haul receive", synopsis, notes, groups,
	sizeof(groups) / sizeof(groups[0]),
};

/* A plain stream, or datagrams. */
static enum sk_result
send_raw(struct session *s, char *const *files, enum datagram_unit unit,
    struct err *e)
{
	struct relay_config config = { .linger_ns = -1 };
	struct sock *in, *out, *peer;
	enum sk_result r = SK_ERROR;

	in = sock_files(files, s->mode, e);
	out = in != NULL ? sock_null(s->mode, e) : NULL;
	if (out != NULL)
		r = session_establish(s, &peer, e);
	if (r == SK_OK) {
		config.send_only = sock_is_datagram(peer);
		config.unit = session_unit(unit, in);
		r = session_relay(s, &config, in, out, &peer, e);
	}
	sock_abort(&in);
	sock_abort(&out);
	return r;
}

static enum sk_result
send_once(struct transfers *t, struct sock **peer,
    struct transfer_result *result, struct err *e)
{
	return transfer_send(&t->config, t->operands, peer, t->status,
	    result, e);
}

static enum sk_result
send_files(struct session *s, const struct send_options *o,
    char *const *files, struct err *e)
{
	struct transfers t = { .session = s, .once = send_once,
	    .operands = files };

	if (!transfer_check_operands(files, e))
		return SK_ERROR;
	/* The walk keeps one for each directory that it is in. */
	(void)session_raise_descriptors();
	return transfers_run(&t, &o->transfer, e);
}

enum sk_result
cmd_send(int argc, char **argv, struct err *e)
{
	static char dash[] = "-";
	static char *const standard_input[] = { dash, NULL };
	struct send_options o = { .common = COMMON_DEFAULTS,
	    .dial = DIAL_DEFAULTS, .bind = BIND_DEFAULTS };
	struct session s = { .cmd = &send_command, .common = &o.common,
	    .dial = &o.dial, .bind = &o.bind };
	char *const *files;
	enum sk_result r;
	bool raw;
	int used;

	if (!opt_parse(&send_command, argc, argv, &o, e))
		return SK_ERROR;
	if (session_told(&send_command, &o.common))
		return SK_OK;
	raw = o.transfer.raw || o.common.address.udp;
	s.retries = !raw;
	if (!session_init(&s, argv + 1, o.listen, SK_BLOCKING, &used, e) ||
	    !transfers_check(&send_command, &o.transfer, &o.common, e))
		return SK_ERROR;
	if (o.datagram != DATAGRAM_DEFAULT && !o.common.address.udp) {
		(void)opt_usage(&send_command, e, "--datagram needs --udp");
		return SK_ERROR;
	}
	files = argv + 1 + used;
	if (*files == NULL)
		files = standard_input;
	session_set_rate(&s, o.transfer.rate);
	r = raw ? send_raw(&s, files, o.datagram, e) :
	    send_files(&s, &o, files, e);
	session_free(&s);
	return r;
}
