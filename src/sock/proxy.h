#ifndef HAUL_SOCK_PROXY_H
#define HAUL_SOCK_PROXY_H

#include "sock/sock.h"

/*
 * Connecting through a proxy: SOCKS 4 and 4a, SOCKS 5 (RFC 1928, 1929), and
 * the CONNECT method of HTTP (RFC 9110 section 9.3.6). A socket whose config
 * names one dials the proxy, agrees with it, and is then the plain stream.
 *
 * socks4a, socks5h and http leave looking a name up to the proxy. With socks4
 * and socks5 it is looked up here, and its addresses are tried in turn.
 * sock_config.family is for what is looked up here, the proxy included.
 */
struct proxy;

/*
 * Read SCHEME://[USER[:PASSWORD]@]HOST[:PORT][/], with socks5, socks5h, socks4,
 * socks4a (port 1080 if there is none) or http (port 8080). An IPv6 HOST stands
 * in brackets; USER and PASSWORD, at most 255 bytes each, have %XX for what
 * cannot stand in a URL. auth: "USER:PASSWORD" from elsewhere, as it is, used
 * where the URL has no user; NULL: none. NULL with *e filled (ERR_USAGE; a
 * password is not shown).
 */
struct proxy *proxy_parse(const char *url, const char *auth, struct err *e);

void proxy_free(struct proxy *proxy);	/* NULL is ignored */

#endif
