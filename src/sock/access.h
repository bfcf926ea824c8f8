#ifndef HAUL_SOCK_ACCESS_H
#define HAUL_SOCK_ACCESS_H

#include "sock/sock.h"

/*
 * Who may be a client: networks that are allowed or denied. Denying wins; where
 * anything is allowed, everybody else is denied.
 */
struct access_list;

/*
 * Add NET: an address, a prefix such as 192.0.2.0/24 or 2001:db8::/32, a name,
 * or @FILE, a file with one of these a line (# begins a comment). *list is NULL
 * at first, and made. False with *e filled: ERR_USAGE, or ERR_LOCAL for a file.
 */
bool access_add(struct access_list **list, bool allow, const char *net,
    struct err *e);

/*
 * Look up the names, all addresses of each; before access_permits. numeric:
 * names are errors. Waits, until a deadline. SK_TIMEOUT, SK_INTERRUPTED, or
 * SK_ERROR with *e (ERR_RESOLVE) if one cannot be resolved.
 */
enum sk_result access_resolve(struct access_list *list, bool numeric,
    int64_t deadline_ns, struct err *e);

/*
 * Whether the peer of a connection may be a client. NULL: everybody. An IPv4
 * address in IPv6 (::ffff:192.0.2.1) is the IPv4 address. A peer without an
 * internet address (UNIX) may be one only if nothing is allowed by name.
 */
bool access_permits(const struct access_list *list, const struct sock *peer);

/* Whether anything is allowed by name. */
bool access_allows(const struct access_list *list);

void access_free(struct access_list *list);	/* NULL is ignored */

#endif
