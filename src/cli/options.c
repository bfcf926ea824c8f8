#include "cli/options.h"

#include <string.h>

static bool
parse_datagram(const char *arg, void *field)
{
	enum datagram_unit *unit = field;

	if (strcmp(arg, "line") == 0)
		*unit = DATAGRAM_LINE;
	else if (strcmp(arg, "chunk") == 0)
		*unit = DATAGRAM_CHUNK;
	else
		return false;
	return true;
}

static bool
parse_sockopt(const char *arg, void *field)
{
	return sockopt_list_add(field, arg);
}

const struct opt_type opt_datagram = { "line or chunk", parse_datagram };
const struct opt_type opt_sockopt = {
	"NAME=VALUE (--sockopt help lists the names)", parse_sockopt
};

#define AT(group, field)	offsetof(struct group##_options, field)

const struct opt address_opts[ADDRESS_OPTS] = {
	{ "ipv4", '4', NULL, &opt_flag, AT(address, ipv4),
	    "only IPv4" },
	{ "ipv6", '6', NULL, &opt_flag, AT(address, ipv6),
	    "only IPv6" },
	{ "numeric", 'n', NULL, &opt_flag, AT(address, numeric),
	    "no look-ups: hosts and ports are numbers" },
	{ "udp", 'u', NULL, &opt_flag, AT(address, udp),
	    "datagrams: UDP, or a datagram unix: socket" },
};

const struct opt mode_opts[MODE_OPTS] = {
	{ "blocking", 0, NULL, &opt_flag, AT(mode, blocking),
	    "a thread for each direction, asleep in its call" },
	{ "nonblocking", 0, NULL, &opt_flag, AT(mode, nonblocking),
	    "one thread and one event loop" },
	{ "sockopt", 0, "NAME=VALUE", &opt_sockopt, AT(mode, sockopts),
	    "set a socket option; repeatable (help: list)" },
};

const struct opt time_opts[TIME_OPTS] = {
	{ "connect-timeout", 0, "D", &opt_duration, AT(time, connect_ns),
	    "connecting: give up after D, look-up included" },
	{ "accept-timeout", 0, "D", &opt_duration, AT(time, accept_ns),
	    "listening: give up when nobody came for D" },
	{ "idle-timeout", 'w', "D", &opt_duration, AT(time, idle_ns),
	    "give up when nothing moved either way for D" },
	{ "timeout", 0, "D", &opt_duration, AT(time, run_ns),
	    "give up on the whole run after D" },
};

const struct opt dial_opts[DIAL_OPTS] = {
	{ "source", 's', "HOST", &opt_string, AT(dial, source),
	    "connect from this local address" },
	{ "source-port", 'p', "PORT", &opt_string, AT(dial, source_port),
	    "connect from this local port" },
	{ "proxy", 0, "URL", &opt_string, AT(dial, proxy),
	    "through a SOCKS or HTTP proxy" },
	{ "retry-for", 0, "D", &opt_duration, AT(dial, retry_ns),
	    "keep trying for D until somebody answers" },
};

const struct opt bind_opts[BIND_OPTS] = {
	{ "ready-fd", 0, "N", &opt_fd, AT(bind, ready_fd),
	    "once listening, write HOST PORT to descriptor N" },
	{ "port-file", 0, "FILE", &opt_string, AT(bind, port_file),
	    "once listening, write the port to FILE" },
	{ "backlog", 0, "N", &opt_backlog, AT(bind, backlog),
	    "connections that may wait to be accepted" },
	{ "socket-mode", 0, "MODE", &opt_mode, AT(bind, socket_mode),
	    "permissions of a UNIX socket, octal" },
};

const struct opt relay_opts[RELAY_OPTS] = {
	{ "no-stdin", 'd', NULL, &opt_flag, AT(relay, no_stdin),
	    "do not touch standard input" },
	{ "send-only", 0, NULL, &opt_flag, AT(relay, send_only),
	    "send; drop what the peer says" },
	{ "receive-only", 0, NULL, &opt_flag, AT(relay, receive_only),
	    "receive; do not touch standard input" },
	{ "crlf", 'C', NULL, &opt_flag, AT(relay, crlf),
	    "send LF as CRLF; a CRLF stays as it is" },
	{ "hold", 0, NULL, &opt_flag, AT(relay, hold),
	    "at end of input, keep our direction open" },
	{ "linger", 0, "D", &opt_duration, AT(relay, linger_ns),
	    "leave D after end of input at the latest" },
	{ "datagram", 0, "UNIT", &opt_datagram, AT(relay, datagram),
	    "with -u, send a datagram per line or chunk" },
	{ "limit", 0, "RATE", &opt_rate, AT(relay, rate),
	    "at most RATE bytes a second each way (500K)" },
	{ "line-delay", 0, "D", &opt_duration, AT(relay, line_delay_ns),
	    "wait D between the lines that are sent" },
	{ "telnet", 0, NULL, &opt_flag, AT(relay, telnet),
	    "refuse what a telnet peer negotiates" },
};

const struct opt probe_opts[PROBE_OPTS] = {
	{ "probe", 'z', NULL, &opt_flag, AT(probe, probe),
	    "only see which ports are open: 20-25,80" },
	{ "also", 0, "ADDRESS", &opt_texts, AT(probe, also),
	    "a further target; repeatable" },
	{ "until-closed", 0, NULL, &opt_flag, AT(probe, until_closed),
	    "succeed when nobody listens any more" },
	{ "hold-for", 0, "D", &opt_duration, AT(probe, hold_ns),
	    "open means: the connection stays for D" },
	{ "expect", 0, "TEXT", &opt_string, AT(probe, expect),
	    "open means: the service says TEXT" },
};

const struct opt transfer_opts[TRANSFER_OPTS] = {
	{ "raw", 0, NULL, &opt_flag, AT(transfer, raw),
	    "a plain stream, for peers other than haul" },
	{ "progress", 0, NULL, &opt_flag, AT(transfer, progress),
	    "show progress, also if stderr is no terminal" },
	{ "no-progress", 0, NULL, &opt_flag, AT(transfer, no_progress),
	    "never show progress" },
	{ "limit", 0, "RATE", &opt_rate, AT(transfer, rate),
	    "at most RATE bytes a second each way (500K)" },
};

const struct opt output_opts[OUTPUT_OPTS] = {
	{ "verbose", 'v', NULL, &opt_flag, AT(output, verbose),
	    "say on standard error what is going on" },
	{ "quiet", 'q', NULL, &opt_flag, AT(output, quiet),
	    "say nothing but errors" },
	{ "help", 'h', NULL, &opt_flag, AT(output, help),
	    "print this help and exit" },
	{ "version", 'V', NULL, &opt_flag, AT(output, version),
	    "print the version and exit" },
};
