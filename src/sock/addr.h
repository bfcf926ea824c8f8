#ifndef HAUL_SOCK_ADDR_H
#define HAUL_SOCK_ADDR_H

#include <stdbool.h>

#include "base/err.h"

/* Where to connect to or to listen at, as it was given: nothing resolved. */
enum addr_kind {
	ADDR_INET,	/* host and port */
	ADDR_UNIX,	/* path */
	ADDR_ABSTRACT,	/* host holds the name (unix(7), Linux) */
	ADDR_VSOCK,	/* host is the CID, port the port (vsock(7)) */
};

enum {
	ADDR_HOST_MAX = 256,	/* 255 bytes: RFC 1035 section 2.3.4 */
	ADDR_PORT_MAX = 64,
	ADDR_PATH_MAX = 107,	/* what fits into sun_path with its NUL */
	ADDR_NAME_MAX = ADDR_HOST_MAX + ADDR_PATH_MAX + 16,
};

struct addr {
	enum addr_kind kind;
	char host[ADDR_HOST_MAX];	/* "": all addresses of the machine */
	char port[ADDR_PORT_MAX];	/* a decimal number */
};

enum {
	ADDR_LISTENING = 1 << 0,	/* HOST may be left out */
	ADDR_NUMERIC = 1 << 1,		/* no service names */
	ADDR_DATAGRAM = 1 << 2,		/* service names of UDP */
};

/*
 * Read an address from the operands, which end with NULL: HOST PORT, or one of
 * HOST:PORT, [IPV6]:PORT, unix:PATH, unix:@NAME, vsock:CID:PORT, and where
 * haul listens PORT and :PORT. *used is set to the number of operands taken.
 * False with *e filled (ERR_USAGE) if there is no such address.
 */
bool addr_parse(struct addr *a, char *const *operands, int flags, int *used,
    struct err *e);

/*
 * A port for --source-port: the decimal number of the port or service in out,
 * which has ADDR_PORT_MAX bytes. False if text is neither.
 */
bool addr_parse_port(const char *text, int flags, char *out);

/*
 * The address as messages show it: "192.0.2.7 port 80", "port 9000",
 * "unix:/run/x", "vsock 3 port 7". buf has ADDR_NAME_MAX bytes; returns buf.
 */
char *addr_name(const struct addr *a, char *buf);

#endif
