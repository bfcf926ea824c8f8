/* The CONNECT method of HTTP (RFC 9110 section 9.3.6, RFC 9112). */
#include "sock/proxy_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum {
	HEADER_MAX = 16 * 1024,
	BASE64_MAX = (2 * PROXY_CREDENTIAL_MAX + 1 + 2) / 3 * 4 + 1,
	STATUS_AT = 9,			/* behind "HTTP/1.1 " */
	REASON_AT = STATUS_AT + 4,
};

enum http_phase {
	PHASE_ASK,
	PHASE_STATUS,
	PHASE_FIELDS,
};

static const char version[] = "HTTP/1.";

/* RFC 4648 section 4. */
static void
base64(const char *text, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strlen(text), i, k, n;
	unsigned long group;

	for (i = 0; i < len; i += 3) {
		n = len - i < 3 ? len - i : 3;
		for (group = k = 0; k < 3; k++)
			group = group << 8 |
			    (k < n ? (unsigned char)text[i + k] : 0);
		for (k = 0; k < 4; k++)
			*out++ = (char)(k > n ? '=' :
			    digits[group >> (18 - 6 * k) & 63]);
	}
	*out = '\0';
}

/* Nothing that would end the line or the name within it. */
static bool
is_host(const char *host)
{
	for (; *host != '\0'; host++)
		if ((unsigned char)*host <= ' ' || *host == 0x7f ||
		    strchr("/?#[]@\\:%\"<>", *host) != NULL)
			return false;
	return true;
}

static void
say_text(struct proxy_talk *t, const char *text)
{
	proxy_say(t, text, strlen(text));
}

static void
say_login(struct proxy_talk *t)
{
	char login[2 * PROXY_CREDENTIAL_MAX + 2], encoded[BASE64_MAX];

	(void)snprintf(login, sizeof(login), "%s:%s", t->proxy->user,
	    t->proxy->password);
	base64(login, encoded);
	say_text(t, "Proxy-Authorization: Basic ");
	say_text(t, encoded);
	say_text(t, "\r\n");
}

static enum proxy_answer
ask(struct proxy_talk *t)
{
	char target[ADDR_HOST_MAX + ADDR_PORT_MAX];
	struct sk_name name;

	if (t->to != NULL) {
		sock_split(t->to, &name);
		(void)snprintf(target, sizeof(target),
		    t->to->u.sa.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		    name.host, t->port);
	} else if (is_host(t->host))
		(void)snprintf(target, sizeof(target), "%s:%u", t->host,
		    t->port);
	else
		return proxy_reason(t, PROXY_FAILED,
		    "not a host name of HTTP");
	say_text(t, "CONNECT ");
	say_text(t, target);
	say_text(t, " HTTP/1.1\r\nHost: ");
	say_text(t, target);
	say_text(t, "\r\n");
	if (t->proxy->has_user)
		say_login(t);
	say_text(t, "\r\n");
	proxy_expect(t, 1);
	t->phase = PHASE_STATUS;
	return PROXY_MORE;
}

static enum proxy_answer
nonsense(struct proxy_talk *t)
{
	return proxy_reason(t, PROXY_FAILED, "the answer is not HTTP");
}

/*
 * "HTTP/1.1 200 OK", without the end of the line. The space behind the status
 * is there even where no reason is, but not everybody knows that.
 */
static enum proxy_answer
check_status(struct proxy_talk *t, const char *line, size_t len)
{
	const char *p = line + STATUS_AT;

	if (len < REASON_AT - 1 ||
	    !isdigit((unsigned char)line[STATUS_AT - 2]) ||
	    line[STATUS_AT - 1] != ' ' || p[0] < '1' || p[0] > '5' ||
	    !isdigit((unsigned char)p[1]) || !isdigit((unsigned char)p[2]) ||
	    (len >= REASON_AT && p[3] != ' '))
		return nonsense(t);
	t->status = (p[0] - '0') * 100 + (p[1] - '0') * 10 + p[2] - '0';
	while (line[len - 1] == ' ')
		len--;
	if (t->status >= 300)
		return proxy_reason(t, PROXY_REFUSED, "%.*s",
		    (int)(len - STATUS_AT), p);
	proxy_expect(t, 1);
	t->phase = PHASE_FIELDS;
	return PROXY_MORE;
}

/* A line is in, with its end. */
static enum proxy_answer
check_line(struct proxy_talk *t)
{
	if (t->phase == PHASE_STATUS)
		return check_status(t, (const char *)t->in, t->in_len - 2);
	if (t->in_len > 2) {
		proxy_expect(t, 1);
		return PROXY_MORE;
	}
	if (t->status >= 200)
		return PROXY_AGREED;
	/* An interim answer (RFC 9110 section 15.2): another one follows. */
	proxy_expect(t, 1);
	t->phase = PHASE_STATUS;
	return PROXY_MORE;
}

/* Whether the last byte can stand where it is. */
static bool
fits(const struct proxy_talk *t)
{
	size_t at = t->in_len - 1;
	unsigned char c = t->in[at];

	if (t->phase == PHASE_STATUS && at < sizeof(version) - 1)
		return c == (unsigned char)version[at];
	if (at > 0 && t->in[at - 1] == '\r')
		return c == '\n';
	return c == '\r' || c == '\t' || (c >= ' ' && c != 0x7f);
}

/*
 * Byte by byte, as what stands behind the header is not ours, and nothing
 * tells how long the header is.
 */
enum proxy_answer
http_next(struct proxy_talk *t)
{
	if (t->phase == PHASE_ASK)
		return ask(t);
	if (++t->heard > HEADER_MAX)
		return proxy_reason(t, PROXY_FAILED,
		    "the header of the answer is too long");
	if (!fits(t))
		return nonsense(t);
	if (t->in[t->in_len - 1] == '\n')
		return check_line(t);
	if (t->in_len == sizeof(t->in)) {
		if (t->phase == PHASE_STATUS)
			return nonsense(t);
		/* Of a field its end matters, and that it is not empty. */
		t->in[1] = t->in[t->in_len - 1];
		t->in_len = 2;
	}
	t->in_want = t->in_len + 1;
	return PROXY_MORE;
}
