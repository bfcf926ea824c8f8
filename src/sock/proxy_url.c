/* The URL of a proxy. */
#include "sock/proxy_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"

enum {
	SCHEME_MAX = 16,
	PORT_MAX = 65535,
};

static const struct proxy_kind kinds[] = {
	{ "socks5", "1080", false, false, true, socks5_next },
	{ "socks5h", "1080", true, false, true, socks5_next },
	{ "socks4", "1080", false, true, false, socks4_next },
	{ "socks4a", "1080", true, true, false, socks4_next },
	{ "http", "8080", true, false, true, http_next },
};

/* What is wrong is described and never quoted: it could be a password. */
static bool
wrong(struct err *e, const char *what)
{
	err_set(e, ERR_USAGE, 0, "", "proxy: %s", what);
	return false;
}

static bool
set_kind(struct proxy *p, const char *scheme, size_t len, struct err *e)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i].scheme) == len &&
		    strncasecmp(scheme, kinds[i].scheme, len) == 0) {
			p->kind = &kinds[i];
			return true;
		}
	return wrong(e, "not a scheme that is known "
	    "(socks5, socks5h, socks4, socks4a, http)");
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3986 section 2.1, in place; whether it is well-formed, with no NUL. */
static bool
decode(char *text)
{
	char *to = text;
	int high, low;

	for (; *text != '\0'; text++, to++) {
		if ((unsigned char)*text <= ' ' || *text == 0x7f ||
		    strchr("/?#[]@\\", *text) != NULL)
			return false;
		*to = *text;
		if (*text != '%')
			continue;
		high = hex_digit(text[1]);
		low = high == -1 ? -1 : hex_digit(text[2]);
		if (low == -1 || (high == 0 && low == 0))
			return false;
		*to = (char)(high * 16 + low);
		text += 2;
	}
	*to = '\0';
	return true;
}

static bool
copy_credential(char *to, const char *from)
{
	size_t len = strlen(from);

	if (len > PROXY_CREDENTIAL_MAX)
		return false;
	memcpy(to, from, len + 1);
	return true;
}

/* "USER[:PASSWORD]", which is taken apart. */
static bool
set_user(struct proxy *p, char *text, bool encoded, struct err *e)
{
	char *password = strchr(text, ':');

	if (password != NULL)
		*password++ = '\0';
	if (encoded && (!decode(text) ||
	    (password != NULL && !decode(password))))
		return wrong(e, "the user or password has to be written "
		    "with %XX for special characters");
	if (*text == '\0')
		return wrong(e, "the user name is empty");
	if (password != NULL && !p->kind->password)
		return wrong(e, "SOCKS 4 has users, but no passwords");
	if (p->kind->next == http_next && strchr(text, ':') != NULL)
		return wrong(e, "a user name of HTTP cannot have a colon");
	if (!copy_credential(p->user, text) ||
	    !copy_credential(p->password, password != NULL ? password : ""))
		return wrong(e, "user or password too long "
		    "(at most 255 bytes)");
	p->has_user = true;
	return true;
}

/* The port behind HOST: NULL, which is not there, is the one of the kind. */
static bool
set_address(struct proxy *p, char *host, const char *port, bool brackets,
    struct err *e)
{
	char number[ADDR_PORT_MAX], *operands[] = { host, number, NULL };
	uint64_t n;
	int used;

	(void)snprintf(number, sizeof(number), "%s", p->kind->port);
	if (port != NULL) {
		if (!parse_number(port, 1, PORT_MAX, &n))
			return wrong(e, "not a port (1 to 65535)");
		(void)snprintf(number, sizeof(number), "%u", (unsigned)n);
	}
	if (*host == '\0')
		return wrong(e, "no host in the URL");
	if ((strchr(host, ':') != NULL) != brackets)
		return wrong(e, "not an IPv6 address in the brackets");
	if (!addr_parse(&p->addr, operands, ADDR_NUMERIC, &used, e)) {
		err_set(e, ERR_USAGE, 0, "", "proxy: %s", e->text);
		return false;
	}
	return true;
}

static bool
is_host(const char *host)
{
	for (; *host != '\0'; host++)
		if ((unsigned char)*host <= ' ' || *host == 0x7f ||
		    strchr("/?#[]@\\%", *host) != NULL)
			return false;
	return true;
}

/* HOST[:PORT], which is taken apart. */
static bool
split_address(struct proxy *p, char *text, struct err *e)
{
	bool brackets = *text == '[';
	char *end, *port;

	if (brackets) {
		end = strchr(++text, ']');
		if (end == NULL || (end[1] != ':' && end[1] != '\0'))
			return wrong(e, "not [IPV6] or [IPV6]:PORT");
		port = end[1] == ':' ? end + 2 : NULL;
	} else {
		end = text + strcspn(text, ":");
		port = *end == ':' ? end + 1 : NULL;
	}
	*end = '\0';
	if (!brackets && !is_host(text))
		return wrong(e, "not a host name");
	return set_address(p, text, port, brackets, e);
}

/* What stands behind "//". */
static bool
set_authority(struct proxy *p, char *text, struct err *e)
{
	char *slash, *at;

	slash = strchr(text, '/');
	if (slash != NULL && slash[1] != '\0')
		return wrong(e, "nothing can stand behind HOST[:PORT]");
	if (slash != NULL)
		*slash = '\0';
	at = strchr(text, '@');
	if (at != NULL) {
		*at++ = '\0';
		if (strchr(at, '@') != NULL)
			return wrong(e, "an @ in a user or password is "
			    "written %40");
		if (!set_user(p, text, true, e))
			return false;
		text = at;
	}
	return split_address(p, text, e);
}

static bool
parse(struct proxy *p, char *url, char *auth, struct err *e)
{
	char *colon = strstr(url, "://");

	if (colon == NULL || colon - url > SCHEME_MAX)
		return wrong(e, "not SCHEME://[USER[:PASSWORD]@]HOST[:PORT]");
	if (!set_kind(p, url, (size_t)(colon - url), e) ||
	    !set_authority(p, colon + 3, e))
		return false;
	return p->has_user || auth == NULL || set_user(p, auth, false, e);
}

struct proxy *
proxy_parse(const char *url, const char *auth, struct err *e)
{
	struct proxy *p = calloc(1, sizeof(*p));
	char *copy = strdup(url);
	char *auth_copy = auth != NULL ? strdup(auth) : NULL;

	if (p == NULL || copy == NULL || (auth != NULL && auth_copy == NULL)) {
		err_no_memory(e);
		proxy_free(p);
		p = NULL;
	} else if (!parse(p, copy, auth_copy, e)) {
		proxy_free(p);
		p = NULL;
	}
	free(copy);
	free(auth_copy);
	return p;
}

void
proxy_free(struct proxy *proxy)
{
	free(proxy);
}
