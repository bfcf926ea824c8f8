#ifndef HAUL_SOCK_ANNOUNCE_IMPL_H
#define HAUL_SOCK_ANNOUNCE_IMPL_H

#include "sock/impl.h"

/* The header of the PROXY protocol, as proxy-protocol.txt fixes it. */
enum {
	ANNOUNCE_V1_MAX = 107,		/* with its CRLF */
	ANNOUNCE_V2_SIGNATURE = 12,
	ANNOUNCE_V2_HEAD = 16,
	ANNOUNCE_V2_INET = 12,		/* the addresses of a family */
	ANNOUNCE_V2_INET6 = 36,
	ANNOUNCE_V2_UNIX = 216,
};

/* Version and command. */
enum {
	ANNOUNCE_V2_LOCAL = 0x20,
	ANNOUNCE_V2_PROXY = 0x21,
};

/* Family and protocol. */
enum {
	ANNOUNCE_V2_TCP4 = 0x11,
	ANNOUNCE_V2_TCP6 = 0x21,
	ANNOUNCE_V2_STREAM = 0x31,
};

static const unsigned char announce_v2_signature[ANNOUNCE_V2_SIGNATURE] = {
	'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n',
};

/* Both ways keep in priv what a header needs, until it has gone. */
void announce_release(struct sock *s);

#endif
