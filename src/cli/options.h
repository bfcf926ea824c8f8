#ifndef HAUL_CLI_OPTIONS_H
#define HAUL_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/opt.h"
#include "sock/sockopt.h"

/*
 * The groups of options that subcommands share, each with the struct that it
 * fills. A duration that was not given is -1, a string NULL.
 */
struct address_options {
	bool ipv4, ipv6, numeric, udp;
};

struct mode_options {
	bool blocking, nonblocking;
	struct sockopt_list sockopts;
};

struct time_options {
	int64_t connect_ns, accept_ns, idle_ns, run_ns;
};

struct dial_options {
	const char *source, *source_port, *proxy;
	int64_t retry_ns;
};

struct bind_options {
	int ready_fd;			/* -1: none */
	const char *port_file;
	int backlog;			/* 0: the largest the system allows */
	int socket_mode;		/* -1: as the umask says */
};

enum datagram_unit {
	DATAGRAM_DEFAULT,	/* a line from a terminal, else a read */
	DATAGRAM_LINE,
	DATAGRAM_CHUNK,
};

struct relay_options {
	bool no_stdin, send_only, receive_only, crlf, hold;
	enum datagram_unit datagram;
	int64_t linger_ns, line_delay_ns;
	uint64_t rate;			/* 0: any */
	bool telnet;
};

/* What probing ports takes. */
struct probe_options {
	bool probe, until_closed;
	struct opt_texts also;
	int64_t hold_ns;
	const char *expect;
};

/* What send and receive share. */
struct transfer_options {
	bool raw, progress, no_progress;
	uint64_t rate;			/* 0: any */
};

struct output_options {
	bool verbose, quiet, help, version;
};

/* What every subcommand takes. */
struct common_options {
	struct address_options address;
	struct mode_options mode;
	struct time_options time;
	struct output_options output;
};

#define COMMON_DEFAULTS							\
	{ .time = { -1, -1, -1, -1 } }
#define DIAL_DEFAULTS	{ .retry_ns = -1 }
#define BIND_DEFAULTS	{ .ready_fd = -1, .socket_mode = -1 }
#define RELAY_DEFAULTS	{ .linger_ns = -1 }
#define PROBE_DEFAULTS	{ .hold_ns = -1 }

enum {
	ADDRESS_OPTS = 4,
	MODE_OPTS = 3,
	TIME_OPTS = 4,
	DIAL_OPTS = 4,
	BIND_OPTS = 4,
	RELAY_OPTS = 10,
	PROBE_OPTS = 5,
	TRANSFER_OPTS = 4,
	OUTPUT_OPTS = 4,
};

extern const struct opt address_opts[ADDRESS_OPTS], mode_opts[MODE_OPTS],
    time_opts[TIME_OPTS], dial_opts[DIAL_OPTS], bind_opts[BIND_OPTS],
    relay_opts[RELAY_OPTS], probe_opts[PROBE_OPTS],
    transfer_opts[TRANSFER_OPTS],
    output_opts[OUTPUT_OPTS];

/* The groups that end every table, of a struct with a member common. */
#define COMMON_GROUPS(options)						\
	{ "time limits (D: 500ms, 2s, 1.5m, 1h)", time_opts, TIME_OPTS,	\
	    offsetof(struct options, common.time) },			\
	{ "socket", mode_opts, MODE_OPTS,				\
	    offsetof(struct options, common.mode) },			\
	{ "output", output_opts, OUTPUT_OPTS,				\
	    offsetof(struct options, common.output) }

extern const struct opt_type opt_datagram, opt_sockopt;

#endif
