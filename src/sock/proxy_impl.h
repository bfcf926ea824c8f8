#ifndef HAUL_SOCK_PROXY_IMPL_H
#define HAUL_SOCK_PROXY_IMPL_H

#include "sock/impl.h"
#include "sock/proxy.h"

enum {
	PROXY_CREDENTIAL_MAX = 255,	/* RFC 1929 section 2 */
	PROXY_OUT_MAX = 2048,		/* the longest request */
	PROXY_IN_MAX = 512,		/* the longest answer that is kept */
	PROXY_REASON_MAX = 512,
};

/* How an agreement with a proxy goes on. */
enum proxy_answer {
	PROXY_MORE,	/* send what is in out, receive in_want, go on */
	PROXY_AGREED,
	PROXY_REFUSED,	/* this target; the reason is filled */
	PROXY_FAILED,	/* whatever the target; the reason is filled */
};

/* An agreement under way: what is to be sent, and what is awaited. */
struct proxy_talk {
	const struct proxy *proxy;
	const struct sk_addr *to;	/* NULL: the name in host */
	const char *host;
	uint16_t port;
	int phase;			/* of its kind, from 0 */
	unsigned char out[PROXY_OUT_MAX];
	size_t out_len, out_done;
	unsigned char in[PROXY_IN_MAX];
	size_t in_len, in_want;		/* never more than belongs to it */
	size_t heard;			/* of a header, in all */
	int status;			/* of HTTP */
	char reason[PROXY_REASON_MAX];
};

struct proxy_kind {
	const char *scheme;
	const char *port;	/* where the URL has none */
	bool remote;		/* the proxy looks names up */
	bool ipv4;		/* addresses are IPv4 alone */
	bool password;		/* a user can have one */
	/*
	 * Called first, and again each time that everything has been sent and
	 * in_want bytes are in.
	 */
	enum proxy_answer (*next)(struct proxy_talk *);
};

struct proxy {
	const struct proxy_kind *kind;
	struct addr addr;
	bool has_user;
	char user[PROXY_CREDENTIAL_MAX + 1];
	char password[PROXY_CREDENTIAL_MAX + 1];
};

/* For the functions above: add to what is sent, and forget what came. */
void proxy_say(struct proxy_talk *t, const void *data, size_t len);
void proxy_expect(struct proxy_talk *t, size_t len);

/* Fill the reason; returns the answer. */
enum proxy_answer proxy_reason(struct proxy_talk *t, enum proxy_answer answer,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

enum proxy_answer socks4_next(struct proxy_talk *t);
enum proxy_answer socks5_next(struct proxy_talk *t);
enum proxy_answer http_next(struct proxy_talk *t);

/* The first attempt of sock_connect through the proxy of the config. */
enum sk_result proxy_start(struct sock *s, struct err *e);

#endif
