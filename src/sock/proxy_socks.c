/* What SOCKS 4, 4a and 5 say. */
#include "sock/proxy_impl.h"

#include <stdio.h>
#include <string.h>

enum {
	SOCKS4 = 4,
	SOCKS4_REPLY = 8,
	SOCKS4_GRANTED = 90,
	SOCKS5 = 5,
	SOCKS5_NO_LOGIN = 0,
	SOCKS5_LOGIN = 2,		/* RFC 1929 */
	SOCKS5_LOGIN_VERSION = 1,
	SOCKS5_NO_METHOD = 0xff,
	COMMAND_CONNECT = 1,
	HEAD = 5,		/* of a SOCKS 5 reply, to where its length is */
};

/* What an address is (ATYP). */
enum {
	TYPE_IPV4 = 1,
	TYPE_NAME = 3,
	TYPE_IPV6 = 4,
};

static const char *const socks4_refusals[] = {
	"refused, or could not connect",
	"cannot ask our identd",
	"our identd names another user",
};

static const char *const socks5_refusals[] = {
	"general failure",
	"not allowed by its rules",
	"network unreachable",
	"host unreachable",
	"connection refused",
	"TTL expired",
	"cannot connect anybody (command not supported)",
	"address type not supported",
};

static enum proxy_answer
refused(struct proxy_talk *t, const char *const *texts, size_t count,
    unsigned code, unsigned first)
{
	if (code >= first && code - first < count)
		return proxy_reason(t, PROXY_REFUSED, "%s",
		    texts[code - first]);
	return proxy_reason(t, PROXY_REFUSED, "refused with code %u", code);
}

static enum proxy_answer
nonsense(struct proxy_talk *t, int version)
{
	return proxy_reason(t, PROXY_FAILED,
	    "the answer is not SOCKS version %d", version);
}

static void
say_byte(struct proxy_talk *t, unsigned value)
{
	unsigned char byte = (unsigned char)value;

	proxy_say(t, &byte, 1);
}

static void
say_port(struct proxy_talk *t)
{
	say_byte(t, t->port >> 8);
	say_byte(t, t->port & 0xff);
}

/*
 * 4a sends the address 0.0.0.1, which nobody has, and the name behind the
 * user; the NUL of either is part of the request.
 */
static enum proxy_answer
socks4_ask(struct proxy_talk *t)
{
	static const unsigned char nobody[] = { 0, 0, 0, 1 };
	const char *user = t->proxy->user;

	say_byte(t, SOCKS4);
	say_byte(t, COMMAND_CONNECT);
	say_port(t);
	proxy_say(t, t->to != NULL ? (const void *)&t->to->u.in.sin_addr :
	    nobody, sizeof(nobody));
	proxy_say(t, user, strlen(user) + 1);
	if (t->to == NULL)
		proxy_say(t, t->host, strlen(t->host) + 1);
	proxy_expect(t, SOCKS4_REPLY);
	t->phase++;
	return PROXY_MORE;
}

enum proxy_answer
socks4_next(struct proxy_talk *t)
{
	if (t->phase == 0)
		return socks4_ask(t);
	/* The version of the reply, which is not that of SOCKS. */
	if (t->in[0] != 0)
		return nonsense(t, SOCKS4);
	if (t->in[1] == SOCKS4_GRANTED)
		return PROXY_AGREED;
	return refused(t, socks4_refusals, sizeof(socks4_refusals) /
	    sizeof(socks4_refusals[0]), t->in[1], SOCKS4_GRANTED + 1);
}

enum socks5_phase {
	PHASE_HELLO,
	PHASE_METHOD,
	PHASE_LOGIN,
	PHASE_REPLY,
	PHASE_ADDRESS,
	PHASE_END,
};

static enum proxy_answer
socks5_await(struct proxy_talk *t, enum socks5_phase phase, size_t len)
{
	proxy_expect(t, len);
	t->phase = (int)phase;
	return PROXY_MORE;
}

static enum proxy_answer
socks5_hello(struct proxy_talk *t)
{
	say_byte(t, SOCKS5);
	say_byte(t, t->proxy->has_user ? 2 : 1);
	say_byte(t, SOCKS5_NO_LOGIN);
	if (t->proxy->has_user)
		say_byte(t, SOCKS5_LOGIN);
	return socks5_await(t, PHASE_METHOD, 2);
}

static enum proxy_answer
socks5_login(struct proxy_talk *t)
{
	const char *user = t->proxy->user, *password = t->proxy->password;

	say_byte(t, SOCKS5_LOGIN_VERSION);
	say_byte(t, (unsigned)strlen(user));
	proxy_say(t, user, strlen(user));
	say_byte(t, (unsigned)strlen(password));
	proxy_say(t, password, strlen(password));
	return socks5_await(t, PHASE_LOGIN, 2);
}

/*
 * A refusal is told by two bytes already, and not every proxy sends the rest
 * of it.
 */
static enum proxy_answer
socks5_ask(struct proxy_talk *t)
{
	say_byte(t, SOCKS5);
	say_byte(t, COMMAND_CONNECT);
	say_byte(t, 0);
	if (t->to == NULL) {
		say_byte(t, TYPE_NAME);
		say_byte(t, (unsigned)strlen(t->host));
		proxy_say(t, t->host, strlen(t->host));
	} else if (t->to->u.sa.sa_family == AF_INET6) {
		say_byte(t, TYPE_IPV6);
		proxy_say(t, &t->to->u.in6.sin6_addr,
		    sizeof(t->to->u.in6.sin6_addr));
	} else {
		say_byte(t, TYPE_IPV4);
		proxy_say(t, &t->to->u.in.sin_addr,
		    sizeof(t->to->u.in.sin_addr));
	}
	say_port(t);
	return socks5_await(t, PHASE_REPLY, 2);
}

static enum proxy_answer
socks5_method(struct proxy_talk *t)
{
	if (t->in[0] != SOCKS5)
		return nonsense(t, SOCKS5);
	if (t->in[1] == SOCKS5_NO_LOGIN)
		return socks5_ask(t);
	if (t->in[1] == SOCKS5_LOGIN && t->proxy->has_user)
		return socks5_login(t);
	if (t->in[1] != SOCKS5_NO_METHOD)
		return nonsense(t, SOCKS5);
	return proxy_reason(t, PROXY_FAILED, t->proxy->has_user ?
	    "takes no user and password" : "wants a user and password");
}

static enum proxy_answer
socks5_check_login(struct proxy_talk *t)
{
	if (t->in[0] != SOCKS5_LOGIN_VERSION)
		return nonsense(t, SOCKS5);
	if (t->in[1] != 0)
		return proxy_reason(t, PROXY_FAILED,
		    "user or password refused");
	return socks5_ask(t);
}

static enum proxy_answer
socks5_reply(struct proxy_talk *t)
{
	if (t->in[0] != SOCKS5)
		return nonsense(t, SOCKS5);
	if (t->in[1] != 0)
		return refused(t, socks5_refusals, sizeof(socks5_refusals) /
		    sizeof(socks5_refusals[0]), t->in[1], 1);
	t->in_want = HEAD;
	t->phase = PHASE_ADDRESS;
	return PROXY_MORE;
}

/* The rest: an address of the proxy's, which tells us nothing, and a port. */
static enum proxy_answer
socks5_address(struct proxy_talk *t)
{
	if (t->in[2] != 0)
		return nonsense(t, SOCKS5);
	if (t->in[3] == TYPE_IPV4)
		t->in_want = HEAD - 1 + sizeof(struct in_addr);
	else if (t->in[3] == TYPE_IPV6)
		t->in_want = HEAD - 1 + sizeof(struct in6_addr);
	else if (t->in[3] == TYPE_NAME)
		t->in_want = HEAD + t->in[4];
	else
		return nonsense(t, SOCKS5);
	t->in_want += sizeof(in_port_t);
	t->phase = PHASE_END;
	return PROXY_MORE;
}

enum proxy_answer
socks5_next(struct proxy_talk *t)
{
	static enum proxy_answer (*const phases[])(struct proxy_talk *) = {
		[PHASE_HELLO] = socks5_hello,
		[PHASE_METHOD] = socks5_method,
		[PHASE_LOGIN] = socks5_check_login,
		[PHASE_REPLY] = socks5_reply,
		[PHASE_ADDRESS] = socks5_address,
	};

	return t->phase == PHASE_END ? PROXY_AGREED : phases[t->phase](t);
}
