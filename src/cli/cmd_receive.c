#include "cli/commands.h"

#include <string.h>

#include "cli/options.h"
#include "cli/session.h"
#include "cli/transfers.h"
#include "transfer/place.h"

struct receive_options {
	struct common_options common;
	struct dial_options dial;
	struct bind_options bind;
	struct transfer_options transfer;
	bool connect, force, fsync, keep_open;
	const char *output, *directory;
	uint64_t count;
};

#define AT(field)	offsetof(struct receive_options, field)

static const struct opt receive_opts[] = {
	{ "connect", 'c', NULL, &opt_flag, AT(connect),
	    "connect to the sender instead of waiting" },
	{ "output", 'o', "FILE", &opt_string, AT(output),
	    "write what comes to FILE" },
	{ "directory", 'D', "DIR", &opt_string, AT(directory),
	    "take files and directories, by their names, into DIR" },
	{ "force", 0, NULL, &opt_flag, AT(force),
	    "replace files that exist" },
	{ "fsync", 0, NULL, &opt_flag, AT(fsync),
	    "confirm only what has reached the disk" },
	{ "keep-open", 'k', NULL, &opt_flag, AT(keep_open),
	    "take one transfer after the other" },
	{ "count", 0, "N", &opt_count, AT(count),
	    "with -k, end after N transfers" },
};

static const struct opt_group groups[] = {
	{ "receiving", receive_opts,
	    sizeof(receive_opts) / sizeof(receive_opts[0]), 0 },
	{ "transfer", transfer_opts, TRANSFER_OPTS, AT(transfer) },
	{ "address", address_opts, ADDRESS_OPTS, AT(common.address) },
	{ "listening", bind_opts, BIND_OPTS, AT(bind) },
	{ "connecting, with --connect", dial_opts, DIAL_OPTS, AT(dial) },
	COMMON_GROUPS(receive_options),
};

static const char *const synopsis[] = {
	"[OPTION]... [HOST] PORT",
	"[OPTION]... HOST:PORT|[IPV6]:PORT|unix:PATH|vsock:CID:PORT",
	NULL,
};

static const char *const notes[] = {
	"Take what haul send delivers: to standard output, a file, or into a",
	"directory. With --udp, datagrams from everybody. Without HOST, on all",
	"addresses; port 0 is a free one. The mode is --blocking. See",
	"haul-receive(1).",
	NULL,
};

const struct opt_command receive_command = {
	"receive", "take what haul send delivers", synopsis, notes, groups,
	sizeof(groups) / sizeof(groups[0]),
};

/* A plain stream, or datagrams. */
static enum sk_result
receive_raw(struct session *s, struct err *e)
{
	struct relay_config config = { .linger_ns = -1 };
	struct sock *out, *peer = NULL;
	enum sk_result r;

	out = sock_stdout(s->mode, e);
	if (out == NULL)
		return SK_ERROR;
	/* Datagrams have no connection: the listener itself is read. */
	if (s->listens && s->config.datagram) {
		r = session_listen(s, &peer, e);
		if (r == SK_OK)
			r = session_await_datagram(s, peer, e);
	} else
		r = session_establish(s, &peer, e);
	if (r == SK_OK)
		r = session_relay(s, &config, NULL, out, &peer, e);
	sock_abort(&peer);
	sock_abort(&out);
	return r;
}

static enum sk_result
receive_once(struct transfers *t, struct sock **peer,
    struct transfer_result *result, struct err *e)
{
	return transfer_receive(&t->config, t->place, peer, t->status, result,
	    e);
}

static void
configure_place(const struct receive_options *o, struct place_config *config)
{
	*config = (struct place_config){ .kind = PLACE_STDOUT,
	    .force = o->force, .fsync = o->fsync };
	if (o->output != NULL && strcmp(o->output, "-") != 0) {
		config->kind = PLACE_FILE;
		config->path = o->output;
	}
	if (o->directory != NULL) {
		config->kind = PLACE_DIRECTORY;
		config->path = o->directory;
	}
}

static enum sk_result
receive_files(struct session *s, const struct receive_options *o,
    struct err *e)
{
	struct transfers t = { .session = s, .once = receive_once,
	    .keeps_open = o->keep_open, .count = o->count };
	struct place_config config;
	enum sk_result r;

	configure_place(o, &config);
	t.place = place_open(&config, s->mode, e);
	if (t.place == NULL)
		return SK_ERROR;
	r = transfers_run(&t, &o->transfer, e);
	place_close(t.place);
	return r;
}

static bool
check(const struct receive_options *o, bool raw, struct err *e)
{
	const struct opt_command *cmd = &receive_command;

	if (o->output != NULL && o->directory != NULL)
		return opt_usage(cmd, e,
		    "--output and --directory contradict each other");
	if (raw && (o->output != NULL || o->directory != NULL || o->force ||
	    o->fsync || o->keep_open))
		return opt_usage(cmd, e, "--output, --directory, --force, "
		    "--fsync and --keep-open need the transfer protocol");
	if (o->keep_open && o->connect)
		return opt_usage(cmd, e,
		    "--keep-open is for listening, not for --connect");
	if (o->keep_open && o->directory == NULL)
		return opt_usage(cmd, e, "--keep-open needs --directory");
	if (o->count > 0 && !o->keep_open)
		return opt_usage(cmd, e, "--count needs --keep-open");
	if ((o->force || o->fsync) && o->output == NULL &&
	    o->directory == NULL)
		return opt_usage(cmd, e,
		    "--force and --fsync need --output or --directory");
	return transfers_check(cmd, &o->transfer, &o->common, e);
}

enum sk_result
cmd_receive(int argc, char **argv, struct err *e)
{
	struct receive_options o = { .common = COMMON_DEFAULTS,
	    .dial = DIAL_DEFAULTS, .bind = BIND_DEFAULTS };
	struct session s = { .cmd = &receive_command, .common = &o.common,
	    .dial = &o.dial, .bind = &o.bind };
	enum sk_result r;
	bool raw;
	int used;

	if (!opt_parse(&receive_command, argc, argv, &o, e))
		return SK_ERROR;
	if (session_told(&receive_command, &o.common))
		return SK_OK;
	raw = o.transfer.raw || o.common.address.udp;
	s.retries = !raw;
	if (!session_init(&s, argv + 1, !o.connect, SK_BLOCKING, &used,
	    e) || !session_no_more(&s, argv + 1 + used, e) ||
	    !check(&o, raw, e))
		return SK_ERROR;
	session_set_rate(&s, o.transfer.rate);
	r = raw ? receive_raw(&s, e) : receive_files(&s, &o, e);
	session_free(&s);
	return r;
}
