/*
 * Connecting through a proxy: URLs, what is said to a proxy and taken from it
 * byte by byte, and sockets that go through fake ones.
 */
#include "sock/proxy_impl.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>

#include "net.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define TAIL		"what the target says first"

enum {
	RANDOM_ROUNDS = 50000,
	SHORT_MS = 100,
	STEPS_MAX = 4,
	LINE_MAX = 512,
};

/* --- URLs ---------------------------------------------------------------- */

static const struct good_url {
	const char *url, *auth;
	const char *host, *port, *user, *password;	/* user NULL: none */
} good_urls[] = {
	{ "socks5://192.0.2.1:9050", NULL, "192.0.2.1", "9050", NULL, NULL },
	{ "socks5://proxy", NULL, "proxy", "1080", NULL, NULL },
	{ "socks5h://proxy/", NULL, "proxy", "1080", NULL, NULL },
	{ "SOCKS4://proxy:1", NULL, "proxy", "1", NULL, NULL },
	{ "socks4a://me@proxy", NULL, "proxy", "1080", "me", "" },
	{ "http://proxy", NULL, "proxy", "8080", NULL, NULL },
	{ "http://[::1]:3128/", NULL, "::1", "3128", NULL, NULL },
	{ "http://[fe80::1%lo]", NULL, "fe80::1%lo", "8080", NULL, NULL },
	{ "http://u:p@h:65535", NULL, "h", "65535", "u", "p" },
	{ "http://u:@h", NULL, "h", "8080", "u", "" },
	{ "http://u@h", "x:y", "h", "8080", "u", "" },
	{ "socks5://u:a:b@h", NULL, "h", "1080", "u", "a:b" },
	{ "socks5://u%40x:%3a%2F%25@h", NULL, "h", "1080", "u@x", ":/%" },
	{ "socks5://%ff:p@h", NULL, "h", "1080", "\xff", "p" },
	{ "socks5://u%3Av:p@h", NULL, "h", "1080", "u:v", "p" },
	{ "socks5://h", "me:se%20cr@t/", "h", "1080", "me", "se%20cr@t/" },
	{ "socks5://h", "me", "h", "1080", "me", "" },
	{ "socks5://unix:1", NULL, "unix", "1", NULL, NULL },
};

static const struct bad_url {
	const char *url, *auth;
} bad_urls[] = {
	{ "", NULL }, { "proxy", NULL }, { "proxy:1080", NULL },
	{ "//proxy", NULL }, { "://proxy", NULL }, { "ftp://proxy", NULL },
	{ "socks://proxy", NULL }, { "socks55://proxy", NULL },
	{ "https://proxy", NULL }, { "socks5:/proxy", NULL },
	{ "socks5:proxy", NULL }, { "socks5://", NULL },
	{ "socks5:///", NULL }, { "socks5://:1080", NULL },
	{ "socks5://proxy:", NULL }, { "socks5://proxy:0", NULL },
	{ "socks5://proxy:65536", NULL }, { "socks5://proxy:http", NULL },
	{ "socks5://proxy:-1", NULL }, { "socks5://proxy: 1", NULL },
	{ "socks5://proxy:1/x", NULL }, { "socks5://proxy//", NULL },
	{ "socks5://::1", NULL }, { "socks5://::1:80", NULL },
	{ "socks5://[::1", NULL }, { "socks5://[]", NULL },
	{ "socks5://[::1]80", NULL }, { "socks5://[::1]:", NULL },
	{ "socks5://[192.0.2.1]", NULL }, { "socks5://[proxy]:1", NULL },
	{ "socks5://[::x]:1", NULL }, { "socks5://pro xy", NULL },
	{ "socks5://pro\nxy", NULL }, { "socks5://proxy?x", NULL },
	{ "socks5://proxy#x", NULL }, { "socks5://pr%6fxy", NULL },
	{ "socks5://@proxy", NULL }, { "socks5://:SECRET@proxy", NULL },
	{ "socks5://u:SECRET@x@proxy", NULL },
	{ "socks5://u:SECRET/@proxy", NULL },
	{ "socks5://u:SECRET%@proxy", NULL },
	{ "socks5://u:SECRET%4@proxy", NULL },
	{ "socks5://u:SECRET%4x@proxy", NULL },
	{ "socks5://u:SECRET%00@proxy", NULL },
	{ "socks5://u:SECRET#@proxy", NULL },
	{ "socks5://u:SECRET @proxy", NULL },
	{ "socks5://u:SECRET@", NULL }, { "socks5://u:SECRET@:1", NULL },
	{ "u:SECRET@proxy", NULL }, { "SECRET://u@proxy", NULL },
	{ "u:SECRET://proxy", NULL }, { "socks5://u:SECRET", NULL },
	{ "socks4://u:SECRET@proxy", NULL },
	{ "socks4a://proxy", "u:SECRET" }, { "http://proxy", ":SECRET" },
	{ "socks5://proxy", "" }, { "http://u%3av:SECRET@proxy", NULL },
};

static void
test_urls(void)
{
	const struct good_url *good;
	struct err e = { 0 };
	struct proxy *p;
	char line[LINE_MAX];
	size_t i;

	for (i = 0; i < COUNT(good_urls); i++) {
		good = &good_urls[i];
		p = proxy_parse(good->url, good->auth, &e);
		tap_ok(p != NULL && strcmp(p->addr.host, good->host) == 0 &&
		    strcmp(p->addr.port, good->port) == 0 &&
		    p->has_user == (good->user != NULL) &&
		    (good->user == NULL || (strcmp(p->user, good->user) == 0 &&
		    strcmp(p->password, good->password) == 0)),
		    "URL %s", good->url);
		proxy_free(p);
		err_clear(&e);
	}
	for (i = 0; i < COUNT(bad_urls); i++) {
		p = proxy_parse(bad_urls[i].url, bad_urls[i].auth, &e);
		(void)err_format(&e, line, sizeof(line));
		tap_ok(p == NULL && e.code == ERR_USAGE &&
		    strncmp(line, "proxy: ", 7) == 0 &&
		    strstr(line, "SECRET") == NULL,
		    "no URL: %.*s", (int)strcspn(bad_urls[i].url, "\n#"),
		    bad_urls[i].url);
		proxy_free(p);
		err_clear(&e);
	}
}

/* Parts of every length, the longest far beyond what fits. */
static void
test_long_urls(void)
{
	static const char *const forms[][2] = { { "socks5://", "" },
	    { "socks5://", "@h" }, { "socks5://u:", "@h" }, { "", "://h" },
	    { "http://h:", "" }, { "http://[", "]" } };
	static const size_t most[] = { 255, 255, 255, 0, 0, 0 };
	static char part[65537], url[sizeof(part) + 32];
	static const size_t lens[] = { 1, 254, 255, 256, 257, 1000, 65536 };
	struct err e = { 0 };
	struct proxy *p;
	bool ok = true;
	size_t i, k;

	for (i = 0; i < COUNT(forms); i++)
		for (k = 0; k < COUNT(lens); k++) {
			memset(part, 'a', lens[k]);
			part[lens[k]] = '\0';
			(void)snprintf(url, sizeof(url), "%s%s%s",
			    forms[i][0], part, forms[i][1]);
			p = proxy_parse(url, NULL, &e);
			ok = ok && (p != NULL) == (lens[k] <= most[i]);
			proxy_free(p);
			err_clear(&e);
		}
	tap_ok(ok, "URLs with parts of every length");
}

/* --- what is said, and what is taken ------------------------------------- */

struct script {
	const char *name, *url;
	const char *target;		/* an operand */
	struct step {
		const char *hears;	/* what the proxy must be told */
		size_t hears_len;
		const char *says;
		size_t says_len;
	} steps[STEPS_MAX];
};

#define STEP(hears, says)	{ hears, sizeof(hears) - 1, says, \
				    sizeof(says) - 1 }

static const struct script scripts[] = {
	{ "SOCKS 5", "socks5", "192.0.2.7:80", {
		STEP("\5\1\0", "\5\0"),
		STEP("\5\1\0\1\300\0\2\7\0\120", "\5\0\0\1\0\0\0\0\0\0") } },
	{ "SOCKS 5 to IPv6", "socks5", "[2001:db8::9]:443", {
		STEP("\5\1\0", "\5\0"),
		STEP("\5\1\0\4\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\11\1\273",
		    "\5\0\0\4AAAABBBBCCCCDDDDEE") } },
	{ "SOCKS 5 with a password", "socks5://me:secret", "192.0.2.7:80", {
		STEP("\5\2\0\2", "\5\2"), STEP("\1\2me\6secret", "\1\0"),
		STEP("\5\1\0\1\300\0\2\7\0\120", "\5\0\0\3\4name\1\2") } },
	{ "SOCKS 5 that wants no password", "socks5://me:secret",
	    "192.0.2.7:80", {
		STEP("\5\2\0\2", "\5\0"),
		STEP("\5\1\0\1\300\0\2\7\0\120", "\5\0\0\3\0\1\2") } },
	{ "SOCKS 5h", "socks5h", "example.com:25", {
		STEP("\5\1\0", "\5\0"),
		STEP("\5\1\0\3\13example.com\0\31",
		    "\5\0\0\1\0\0\0\0\0\0") } },
	{ "SOCKS 5h to an address", "socks5h", "192.0.2.7:80", {
		STEP("\5\1\0", "\5\0"),
		STEP("\5\1\0\1\300\0\2\7\0\120", "\5\0\0\1\0\0\0\0\0\0") } },
	{ "SOCKS 4", "socks4", "192.0.2.7:80", {
		STEP("\4\1\0\120\300\0\2\7\0", "\0\132\0\0\0\0\0\0") } },
	{ "SOCKS 4 with a user", "socks4://me", "192.0.2.7:80", {
		STEP("\4\1\0\120\300\0\2\7me\0", "\0\132xxxxxx") } },
	{ "SOCKS 4a", "socks4a://me", "example.com:80", {
		STEP("\4\1\0\120\0\0\0\1me\0example.com\0",
		    "\0\132\0\0\0\0\0\0") } },
	{ "SOCKS 4a to an address", "socks4a", "192.0.2.7:80", {
		STEP("\4\1\0\120\300\0\2\7\0", "\0\132\0\0\0\0\0\0") } },
	{ "SOCKS 4a to IPv6", "socks4a", "[::1]:80", {
		STEP("\4\1\0\120\0\0\0\1\0::1\0", "\0\132\0\0\0\0\0\0") } },
	{ "HTTP", "http", "example.com:80", {
		STEP("CONNECT example.com:80 HTTP/1.1\r\n"
		    "Host: example.com:80\r\n\r\n",
		    "HTTP/1.1 200 OK\r\n\r\n") } },
	{ "HTTP with fields", "http", "192.0.2.7:80", {
		STEP("CONNECT 192.0.2.7:80 HTTP/1.1\r\n"
		    "Host: 192.0.2.7:80\r\n\r\n",
		    "HTTP/1.0 299 Connection established: \tfine\r\n"
		    "Via: \xfc\r\nContent-Length: 100\r\n\r\n") } },
	{ "HTTP to IPv6, without a reason", "http", "[::1]:80", {
		STEP("CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
		    "HTTP/1.1 200\r\n\r\n") } },
	{ "HTTP with an interim answer", "http", "example.com:80", {
		STEP("CONNECT example.com:80 HTTP/1.1\r\n"
		    "Host: example.com:80\r\n\r\n",
		    "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n"
		    "HTTP/1.1 200 \r\n\r\n") } },
	{ "HTTP with a password", "http://Aladdin:open%20sesame",
	    "example.com:80", {
		STEP("CONNECT example.com:80 HTTP/1.1\r\n"
		    "Host: example.com:80\r\nProxy-Authorization: "
		    "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n",
		    "HTTP/1.1 200 OK\r\nX: y\r\n\r\n") } },
};

/* The proxy of a script, at a port. */
static struct proxy *
proxy_of(const char *url, const char *port, struct err *e)
{
	char text[LINE_MAX];
	const char *at = strstr(url, "://");

	(void)snprintf(text, sizeof(text), "%s%s127.0.0.1:%s", url,
	    at != NULL ? "@" : "://", port);
	return proxy_parse(text, NULL, e);
}

/* The target of a script as a talk has it: an address, or a name. */
static void
aim(struct proxy_talk *t, const char *operand, struct addr *a,
    struct sk_addr *to)
{
	char text[LINE_MAX], *operands[] = { text, NULL };
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST |
	    AI_NUMERICSERV }, *ai;
	struct err e = { 0 };
	int used;

	(void)snprintf(text, sizeof(text), "%s", operand);
	(void)addr_parse(a, operands, ADDR_NUMERIC, &used, &e);
	err_clear(&e);
	t->host = a->host;
	t->port = (uint16_t)strtoul(a->port, NULL, 10);
	if (t->proxy->kind->ipv4 && strchr(a->host, ':') != NULL)
		return;
	if (getaddrinfo(a->host, a->port, &hints, &ai) != 0)
		return;
	memset(to, 0, sizeof(*to));
	to->len = ai->ai_addrlen;
	memcpy(&to->u, ai->ai_addr, to->len);
	t->to = to;
	freeaddrinfo(ai);
}

/*
 * What a proxy says, given to one who talks as it wants it: the last answer of
 * the talk, PROXY_MORE if it wants more than there is. *taken is what it took.
 */
static enum proxy_answer
talk(struct proxy_talk *t, const void *data, size_t len, size_t *taken)
{
	const unsigned char *p = data;
	enum proxy_answer answer;
	size_t n;

	*taken = 0;
	while ((answer = t->proxy->kind->next(t)) == PROXY_MORE) {
		if (t->out_len > sizeof(t->out) ||
		    t->in_want > sizeof(t->in) || t->in_want <= t->in_len) {
			tap_note("out %zu, in %zu to %zu", t->out_len,
			    t->in_len, t->in_want);
			return PROXY_AGREED + 100;
		}
		n = t->in_want - t->in_len;
		if (n > len - *taken)
			return PROXY_MORE;
		memcpy(t->in + t->in_len, p + *taken, n);
		t->in_len += n;
		*taken += n;
	}
	return answer;
}

/* A talk of a script, with all that its proxy says; out has what was said. */
static enum proxy_answer
talk_script(const struct script *script, const void *data, size_t len,
    size_t *taken, struct proxy_talk *t)
{
	struct err e = { 0 };
	struct proxy *p = proxy_of(script->url, "1", &e);
	enum proxy_answer answer;
	struct sk_addr to;
	struct addr a;

	memset(t, 0, sizeof(*t));
	t->proxy = p;
	aim(t, script->target, &a, &to);
	answer = talk(t, data, len, taken);
	proxy_free(p);
	err_clear(&e);
	return answer;
}

static size_t
all_said(const struct script *script, char *buf)
{
	size_t i, n = 0;

	for (i = 0; i < STEPS_MAX; i++) {
		if (script->steps[i].says_len > 0)
			memcpy(buf + n, script->steps[i].says,
			    script->steps[i].says_len);
		n += script->steps[i].says_len;
	}
	return n;
}

/* Every answer is taken to its last byte, no further, and not before. */
static void
test_talks(void)
{
	char said[LINE_MAX], expected[LINE_MAX];
	struct proxy_talk t;
	size_t i, k, n, len, taken;
	bool ok;

	for (i = 0; i < COUNT(scripts); i++) {
		len = all_said(&scripts[i], said);
		memcpy(said + len, TAIL, sizeof(TAIL));
		for (k = n = 0; k < STEPS_MAX; k++) {
			memcpy(expected + n, scripts[i].steps[k].hears != NULL ?
			    scripts[i].steps[k].hears : "",
			    scripts[i].steps[k].hears_len);
			n += scripts[i].steps[k].hears_len;
		}
		tap_ok(talk_script(&scripts[i], said, len + sizeof(TAIL),
		    &taken, &t) == PROXY_AGREED && taken == len,
		    "%s: agreed", scripts[i].name);
		tap_ok(t.out_len == n && memcmp(t.out, expected, n) == 0,
		    "%s: what is said", scripts[i].name);
		ok = true;
		for (k = 0; k < len; k++)
			ok = ok && talk_script(&scripts[i], said, k, &taken,
			    &t) == PROXY_MORE;
		tap_ok(ok, "%s: parts of it wait", scripts[i].name);
	}
}

/* A changed bit leads to some answer, and never beyond what belongs to it. */
static void
test_flips(void)
{
	char said[LINE_MAX];
	struct proxy_talk t;
	size_t i, k, len, taken;
	enum proxy_answer answer;
	bool ok;

	for (i = 0; i < COUNT(scripts); i++) {
		len = all_said(&scripts[i], said);
		memcpy(said + len, TAIL, sizeof(TAIL));
		ok = true;
		for (k = 0; k < len * 8 && ok; k++) {
			said[k / 8] = (char)(said[k / 8] ^ 1 << k % 8);
			answer = talk_script(&scripts[i], said,
			    len + sizeof(TAIL), &taken, &t);
			said[k / 8] = (char)(said[k / 8] ^ 1 << k % 8);
			ok = answer <= PROXY_FAILED &&
			    (answer < PROXY_REFUSED || t.reason[0] != '\0');
		}
		tap_ok(ok, "%s: every bit flipped", scripts[i].name);
		if (!ok)
			tap_note("bit %zu", k - 1);
	}
}

static void
test_random(void)
{
	uint64_t state = tap_seed();
	char said[LINE_MAX];
	struct proxy_talk t;
	size_t i, len, taken;
	bool ok = true;
	int round;

	for (round = 0; round < RANDOM_ROUNDS && ok; round++) {
		const struct script *script = &scripts[(size_t)round %
		    COUNT(scripts)];

		len = all_said(script, said);
		for (i = (size_t)(tap_random(&state) % (len + 1));
		    i < sizeof(said); i++)
			said[i] = (char)(tap_random(&state) % 4 == 0 ?
			    "\r\n \5"[tap_random(&state) % 4] :
			    (char)tap_random(&state));
		ok = talk_script(script, said, sizeof(said), &taken, &t) <=
		    PROXY_FAILED;
	}
	tap_ok(ok, "%d answers of anything", RANDOM_ROUNDS);
}

static const struct answer {
	const char *url, *said;
	size_t len;
	enum proxy_answer answer;
	const char *reason;
} answers[] = {
#define SAID(text)	text, sizeof(text) - 1
#define NO_SOCKS5	"the answer is not SOCKS version 5"
#define NO_SOCKS4	"the answer is not SOCKS version 4"
#define NO_HTTP		"the answer is not HTTP"
	{ "socks5", SAID("\5\0\5\1"), PROXY_REFUSED, "general failure" },
	{ "socks5", SAID("\5\0\5\2"), PROXY_REFUSED,
	    "not allowed by its rules" },
	{ "socks5", SAID("\5\0\5\3"), PROXY_REFUSED, "network unreachable" },
	{ "socks5", SAID("\5\0\5\4"), PROXY_REFUSED, "host unreachable" },
	{ "socks5", SAID("\5\0\5\5"), PROXY_REFUSED, "connection refused" },
	{ "socks5", SAID("\5\0\5\6"), PROXY_REFUSED, "TTL expired" },
	{ "socks5", SAID("\5\0\5\7"), PROXY_REFUSED,
	    "cannot connect anybody (command not supported)" },
	{ "socks5", SAID("\5\0\5\10"), PROXY_REFUSED,
	    "address type not supported" },
	{ "socks5", SAID("\5\0\5\11"), PROXY_REFUSED,
	    "refused with code 9" },
	{ "socks5", SAID("\5\0\5\377"), PROXY_REFUSED,
	    "refused with code 255" },
	{ "socks5", SAID("\5\377"), PROXY_FAILED,
	    "wants a user and password" },
	{ "socks5", SAID("\5\2"), PROXY_FAILED, NO_SOCKS5 },
	{ "socks5", SAID("\5\1"), PROXY_FAILED, NO_SOCKS5 },
	{ "socks5", SAID("\4\0"), PROXY_FAILED, NO_SOCKS5 },
	{ "socks5", SAID("HTTP"), PROXY_FAILED, NO_SOCKS5 },
	{ "socks5", SAID("\5\0\4\0"), PROXY_FAILED, NO_SOCKS5 },
	{ "socks5", SAID("\5\0\5\0\1\1\0"), PROXY_FAILED, NO_SOCKS5 },
	{ "socks5", SAID("\5\0\5\0\0\2\0"), PROXY_FAILED, NO_SOCKS5 },
	{ "socks5", SAID("\5\0\5\0\0\0\0"), PROXY_FAILED, NO_SOCKS5 },
	{ "socks5://u:p", SAID("\5\377"), PROXY_FAILED,
	    "takes no user and password" },
	{ "socks5://u:p", SAID("\5\2\1\1"), PROXY_FAILED,
	    "user or password refused" },
	{ "socks5://u:p", SAID("\5\2\5\0"), PROXY_FAILED, NO_SOCKS5 },
	{ "socks4", SAID("\0\133xxxxxx"), PROXY_REFUSED,
	    "refused, or could not connect" },
	{ "socks4", SAID("\0\134xxxxxx"), PROXY_REFUSED,
	    "cannot ask our identd" },
	{ "socks4", SAID("\0\135xxxxxx"), PROXY_REFUSED,
	    "our identd names another user" },
	{ "socks4", SAID("\0\131xxxxxx"), PROXY_REFUSED,
	    "refused with code 89" },
	{ "socks4", SAID("\4\132xxxxxx"), PROXY_FAILED, NO_SOCKS4 },
	{ "http", SAID("HTTP/1.1 403 Not for you\r\n"), PROXY_REFUSED,
	    "403 Not for you" },
	{ "http", SAID("HTTP/1.1 407 \r\n"), PROXY_REFUSED, "407" },
	{ "http", SAID("HTTP/1.0 502\r\n"), PROXY_REFUSED, "502" },
	{ "http", SAID("HTTP/1.1 302 Elsewhere\r\n"), PROXY_REFUSED,
	    "302 Elsewhere" },
	{ "http", SAID("HTTP/2"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID("SSH-"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID(" HTTP/1.1 200 OK"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID("HTTP/1.x 200 OK\r\n"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID("HTTP/1.1  200 OK\r\n"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID("HTTP/1.1 20 OK\r\n"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID("HTTP/1.1 2000 OK\r\n"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID("HTTP/1.1 099 OK\r\n"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID("HTTP/1.1 600 OK\r\n"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID("HTTP/1.1\r\n"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID("HTTP/1.\r\n"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID("HTTP/1.1 200 OK\n"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID("HTTP/1.1 200 OK\r\r\n"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID("HTTP/1.1 200 O\0K\r\n"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID("HTTP/1.1 200 OK\r\nA: b\n"), PROXY_FAILED, NO_HTTP },
	{ "http", SAID("HTTP/1.1 200 OK\r\nA: \33[2J"), PROXY_FAILED,
	    NO_HTTP },
};

static void
test_answers(void)
{
	struct script script = { .target = "192.0.2.7:80" };
	struct proxy_talk t;
	size_t i, taken;

	for (i = 0; i < COUNT(answers); i++) {
		script.url = answers[i].url;
		tap_ok(talk_script(&script, answers[i].said, answers[i].len,
		    &taken, &t) == answers[i].answer &&
		    strcmp(t.reason, answers[i].reason) == 0,
		    "answer %zu: %s", i, answers[i].reason);
	}
}

/* An HTTP header up to 16 KiB: long fields, many fields, and one byte more. */
static void
test_header_sizes(void)
{
	static char said[20000];
	struct script script = { .target = "h:80", .url = "http" };
	struct proxy_talk t;
	size_t i, k, len, taken;
	bool ok = true;

	for (i = 0; i < 3; i++)
		for (k = 16300; k < 16400; k++) {
			memset(said, 'a', sizeof(said));
			memcpy(said, "HTTP/1.1 200 OK\r\n", 17);
			for (len = 17 + 700; i > 0 && len < k - 8;
			    len += i * 333)
				memcpy(said + len, "\r\n", 2);
			memcpy(said + k - 4, "\r\n\r\n", 4);
			ok = ok && talk_script(&script, said, sizeof(said),
			    &taken, &t) == (k <= 16384 ? PROXY_AGREED :
			    PROXY_FAILED) && (k > 16384 || taken == k);
		}
	tap_ok(ok, "headers of HTTP around 16 KiB");
	memset(said, 'a', sizeof(said));
	memcpy(said, "HTTP/1.1 200 ", 13);
	tap_int(talk_script(&script, said, sizeof(said), &taken, &t),
	    PROXY_FAILED, "an endless status");
	for (k = 0; k + 25 < sizeof(said); k += 25)
		memcpy(said + k, "HTTP/1.1 100 Continue\r\n\r\n", 26);
	tap_int(talk_script(&script, said, k, &taken, &t), PROXY_FAILED,
	    "endless interim answers");
}

static void
test_hosts(void)
{
	static const char *const bad[] = { "a b", "a\r\nX: y", "a/b", "a@b",
	    "a?b", "a#b", "a[b", "a\\b", "\x7f" };
	struct err e = { 0 };
	struct proxy *p = proxy_of("http", "1", &e);
	struct proxy_talk t;
	bool ok = true;
	size_t i;

	for (i = 0; i < COUNT(bad); i++) {
		memset(&t, 0, sizeof(t));
		t.proxy = p;
		t.host = bad[i];
		ok = ok && http_next(&t) == PROXY_FAILED && t.out_len == 0;
	}
	tap_ok(ok, "a host cannot become anything else in a request");
	proxy_free(p);
}

/* --- sockets ------------------------------------------------------------- */

/* A proxy that follows a script, once for each connection. */
struct fake {
	int fd;
	char port[16];
	const struct script *script;
	int connections;	/* to be served */
	bool drips;		/* a byte at a time */
	bool cuts, resets;	/* ends after so many bytes */
	size_t cut;
	bool wrong;		/* it was told something else */
	pthread_t thread;
};

static bool
fake_open(struct fake *f)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	const struct timeval limit = { .tv_sec = NET_LIMIT_MS / 1000 };
	socklen_t len = sizeof(in);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->fd = socket(AF_INET, SOCK_STREAM, 0);
	(void)setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
	    sizeof(limit));
	if (bind(f->fd, (struct sockaddr *)&in, len) != 0 ||
	    listen(f->fd, 8) != 0 ||
	    getsockname(f->fd, (struct sockaddr *)&in, &len) != 0)
		return false;
	(void)snprintf(f->port, sizeof(f->port), "%u", ntohs(in.sin_port));
	return true;
}

static void
fake_say(struct fake *f, int fd, const char *data, size_t len)
{
	size_t i, step = f->drips ? 1 : len;

	if (f->cuts && len > f->cut)
		len = step = f->cut;
	f->cut -= f->cuts ? len : 0;
	for (i = 0; i < len; i += step) {
		(void)send(fd, data + i, step, MSG_NOSIGNAL);
		if (f->drips)
			(void)usleep(300);
	}
}

/* The tail comes in one piece with the last answer; then all goes back. */
static void
fake_serve(struct fake *f, int fd)
{
	char buf[LINE_MAX], out[LINE_MAX];
	const struct step *step;
	bool last;
	ssize_t n;

	for (step = f->script->steps; step < f->script->steps + STEPS_MAX &&
	    step->hears_len > 0; step++) {
		n = recv(fd, buf, step->hears_len, MSG_WAITALL);
		if (n != (ssize_t)step->hears_len ||
		    memcmp(buf, step->hears, step->hears_len) != 0)
			f->wrong = true;
		last = step + 1 == f->script->steps + STEPS_MAX ||
		    step[1].hears_len == 0;
		memcpy(out, step->says, step->says_len);
		memcpy(out + step->says_len, TAIL, sizeof(TAIL) - 1);
		fake_say(f, fd, out, step->says_len +
		    (last && !f->cuts ? sizeof(TAIL) - 1 : 0));
		if (f->cuts && f->cut == 0)
			return;
	}
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		(void)send(fd, buf, (size_t)n, MSG_NOSIGNAL);
}

static void *
fake_thread(void *arg)
{
	const struct linger now = { .l_onoff = 1 };
	struct fake *f = arg;
	int i, fd, on = 1;

	for (i = 0; i < f->connections; i++) {
		fd = accept(f->fd, NULL, NULL);
		if (fd == -1)
			break;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
		    sizeof(on));
		fake_serve(f, fd);
		if (f->resets)
			(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now,
			    sizeof(now));
		(void)close(fd);
	}
	(void)close(f->fd);
	return NULL;
}

static bool
fake_start(struct fake *f)
{
	return fake_open(f) && pthread_create(&f->thread, NULL, fake_thread,
	    f) == 0;
}

/* Whether exactly this comes. */
static bool
comes(struct sock *s, const char *data, size_t len)
{
	char buf[LINE_MAX];
	struct err e = { 0 };
	size_t got, n = 0;

	while (n < len && net_recv(s, buf + n, sizeof(buf) - n, &got, &e) ==
	    SK_OK)
		n += got;
	err_clear(&e);
	return n == len && memcmp(buf, data, len) == 0;
}

static void
test_socket(const struct script *script, enum sk_mode mode, bool drips)
{
	struct sock_config config = { .mode = mode, .socket_mode = -1 };
	struct fake f = { .script = script, .connections = 1,
	    .drips = drips };
	struct proxy *p = NULL;
	struct sock *s = NULL;
	struct err e = { 0 };
	char name[128], text[LINE_MAX];
	size_t n;

	(void)snprintf(name, sizeof(name), "%s, %s%s", script->name,
	    net_mode_names[mode], drips ? ", byte by byte" : "");
	if (!fake_start(&f))
		return;
	config.proxy = p = proxy_of(script->url, f.port, &e);
	if (p != NULL)
		s = net_open(script->target, &config, false, &e);
	if (tap_ok(s != NULL, "%s: connected", name)) {
		tap_ok(s->kind == KIND_TCP && s->armed &&
		    s->tr == &transport_stream &&
		    strncmp(sock_name(s), script->target[0] == '[' ?
		    script->target + 1 : script->target, 3) == 0,
		    "%s: a plain stream called %s", name, sock_name(s));
		tap_ok(comes(s, TAIL, sizeof(TAIL) - 1) &&
		    net_send(s, "echo", 4, &n, &e) == SK_OK &&
		    comes(s, "echo", 4), "%s: what comes and goes", name);
		tap_ok(net_finish(s, sock_shutdown_write, &e) == SK_OK &&
		    net_close(&s, &e) == SK_OK, "%s: closed", name);
	} else
		tap_note("%s", err_format(&e, text, sizeof(text)));
	sock_abort(&s);
	(void)pthread_join(f.thread, NULL);
	tap_ok(!f.wrong, "%s: what the proxy was told", name);
	proxy_free(p);
	err_clear(&e);
}

/* A connection that must fail; the reason as it would be printed. */
static enum err_code
fails_within(int limit_ms, const char *url, const char *port,
    const char *target, struct sock_config config, char text[LINE_MAX],
    int *reasons)
{
	struct err e = { 0 }, *next;
	struct proxy *p = proxy_of(url, port, &e);
	struct sock *s;
	enum err_code code;

	config.proxy = p;
	config.socket_mode = -1;
	s = net_open_within(limit_ms, target, &config, false, &e);
	if (s != NULL)
		err_set(&e, ERR_NONE, 0, "", "connected");
	(void)err_format(&e, text, LINE_MAX);
	for (*reasons = 0, next = &e; next != NULL; next = next->next)
		++*reasons;
	sock_abort(&s);
	proxy_free(p);
	code = e.code;
	err_clear(&e);
	return code;
}

static enum err_code
fails(const char *url, const char *port, const char *target,
    struct sock_config config, char text[LINE_MAX], int *reasons)
{
	return fails_within(NET_LIMIT_MS, url, port, target, config, text,
	    reasons);
}

static const struct script refusing = { "", "", "", {
	STEP("\5\1\0", "\5\0"),
	STEP("\5\1\0\1\300\0\2\7\0\120", "\5\5\0\1\0\0\0\0\0\0") } };
static const struct script filtering = { "", "", "", {
	STEP("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n",
	    "HTTP/1.1 403 \x1b[31mFiltered\r\n\r\n") } };
static const struct script denying = { "", "", "", {
	STEP("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n",
	    "HTTP/1.1 403 Filtered\r\n\r\n") } };

static const struct failure {
	const struct script *script;
	const char *url, *target, *text;	/* PORT stands for its port */
} failures[] = {
	{ &refusing, "socks5", "192.0.2.7:80", "192.0.2.7 port 80: "
	    "proxy 127.0.0.1 port PORT: connection refused" },
	{ &filtering, "http", "h:80", "h port 80: "
	    "proxy 127.0.0.1 port PORT: the answer is not HTTP" },
	{ &denying, "http", "h:80", "h port 80: "
	    "proxy 127.0.0.1 port PORT: 403 Filtered" },
};

static void
expect_text(const char *got, const char *expected, const char *port,
    const char *name)
{
	char text[LINE_MAX];
	const char *mark = strstr(expected, "PORT");

	(void)snprintf(text, sizeof(text), "%.*s%s%s",
	    (int)(mark - expected), expected, port, mark + 4);
	tap_text(got, text, "%s", name);
}

static void
test_failures(enum sk_mode mode)
{
	struct sock_config config = { .mode = mode };
	char text[LINE_MAX];
	struct fake f;
	size_t i;
	int n;

	for (i = 0; i < COUNT(failures); i++) {
		f = (struct fake){ .script = failures[i].script,
		    .connections = 1 };
		if (!fake_start(&f))
			return;
		tap_int(fails(failures[i].url, f.port, failures[i].target,
		    config, text, &n), ERR_CONNECT, "%s: refusal %zu",
		    net_mode_names[mode], i);
		expect_text(text, failures[i].text, f.port, "its reason");
		(void)pthread_join(f.thread, NULL);
	}
}

/* One that takes a connection and says nothing, and one that is not there. */
static void
test_dead_proxies(enum sk_mode mode)
{
	struct sock_config config = { .mode = mode };
	struct fake f = { .connections = 1 };
	char text[LINE_MAX], name[64];
	int fd, n;

	(void)snprintf(name, sizeof(name), "%s", net_mode_names[mode]);
	if (!fake_open(&f))
		return;
	tap_int(fails_within(SHORT_MS, "socks5", f.port, "192.0.2.7:80",
	    config, text, &n), ERR_TIMEOUT, "%s: a silent proxy", name);
	fd = accept(f.fd, NULL, NULL);
	(void)close(fd);
	(void)close(f.fd);
	tap_int(fails("socks5", f.port, "192.0.2.7:80", config, text, &n),
	    ERR_CONNECT, "%s: no proxy", name);
	expect_text(text, "proxy 127.0.0.1 port PORT: connection refused",
	    f.port, "its reason");
}

/* Where names are looked up here, every address is tried. */
static void
test_every_address(enum sk_mode mode)
{
	struct sock_config config = { .mode = mode };
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai, *next;
	static const struct script any = { "", "", "", {
		STEP("\5\1\0", "\5\0"),
		STEP("\5\1\0", "\5\4\0") } };
	struct fake f = { .script = &any };
	char text[LINE_MAX];
	int n;

	if (getaddrinfo("localhost", "80", &hints, &ai) != 0)
		return;
	for (next = ai; next != NULL; next = next->ai_next)
		f.connections++;
	freeaddrinfo(ai);
	if (!fake_start(&f))
		return;
	tap_int(fails("socks5", f.port, "localhost:80", config, text, &n),
	    ERR_CONNECT, "%s: no address will do", net_mode_names[mode]);
	tap_int(n, f.connections, "a reason for each");
	tap_ok(strstr(text, "host unreachable") != NULL, "%s", text);
	(void)pthread_join(f.thread, NULL);
}

static void
test_unfit(void)
{
	struct sock_config config = { 0 }, six = { .family = AF_INET6 },
	    four = { .family = AF_INET }, datagram = { .datagram = true };
	struct sock_config numeric = { .numeric = true };
	char text[LINE_MAX];
	int n;

	tap_int(fails("socks5", "1", "192.0.2.7:80", datagram, text, &n),
	    ERR_USAGE, "datagrams: %s", text);
	tap_int(fails("socks5", "1", "unix:/x", config, text, &n), ERR_USAGE,
	    "a UNIX socket: %s", text);
	tap_int(fails("socks5", "1", "vsock:1:1", config, text, &n),
	    ERR_USAGE, "vsock: %s", text);
	tap_int(fails("http", "1", "[fe80::1%lo]:80", config, text, &n),
	    ERR_USAGE, "a zone: %s", text);
	tap_int(fails("socks4", "1", "192.0.2.7:80", six, text, &n),
	    ERR_USAGE, "SOCKS 4 with -6: %s", text);
	tap_int(fails("socks4", "1", "[::1]:80", config, text, &n),
	    ERR_RESOLVE, "SOCKS 4 to IPv6: %s", text);
	tap_int(fails("socks5h", "1", "[::1]:80", four, text, &n),
	    ERR_RESOLVE, "IPv6 with -4: %s", text);
	tap_int(fails("socks5", "1", "nowhere.invalid:80", numeric, text, &n),
	    ERR_RESOLVE, "a name with -n: %s", text);
	/* With -6 the address of the proxy still is what it is. */
	tap_int(fails("socks5", "1", "[::1]:80", six, text, &n), ERR_CONNECT,
	    "-6: %s", text);
}

/* A proxy that closes or resets after any byte. */
static void
test_cut(enum sk_mode mode, bool resets, int fds)
{
	struct sock_config config = { .mode = mode };
	char text[LINE_MAX], said[LINE_MAX];
	struct fake f;
	size_t i, k, len;
	bool ok = true;
	int n;

	for (i = 0; i < COUNT(scripts) && ok; i++) {
		len = all_said(&scripts[i], said);
		for (k = 0; k < len && ok; k += len > 30 ? 7 : 1) {
			f = (struct fake){ .script = &scripts[i],
			    .connections = 1, .cuts = true, .cut = k,
			    .resets = resets };
			if (!fake_start(&f))
				return;
			ok = fails(scripts[i].url, f.port, scripts[i].target,
			    config, text, &n) == ERR_CONNECT &&
			    strstr(text, ": proxy 127.0.0.1 port ") != NULL &&
			    (strstr(text, ": connection reset") != NULL ||
			    (strstr(text, ": closed the connection") != NULL &&
			    !resets)) && n == 1;
			(void)pthread_join(f.thread, NULL);
		}
	}
	tap_ok(ok, "%s: a proxy that %s after any byte", net_mode_names[mode],
	    resets ? "resets" : "closes");
	if (!ok)
		tap_note("%s at %zu: %s", scripts[i - 1].name, k, text);
	tap_int(net_await_fds(fds), fds, "no descriptor is left");
}

int
main(void)
{
	static const enum sk_mode modes[] = { SK_NONBLOCKING, SK_BLOCKING };
	size_t i, k;
	int fds;

	tap_start();
	fds = net_count_fds();
	test_urls();
	test_long_urls();
	test_talks();
	test_flips();
	test_random();
	test_answers();
	test_header_sizes();
	test_hosts();
	test_unfit();
	for (k = 0; k < COUNT(modes); k++) {
		for (i = 0; i < COUNT(scripts); i++) {
			test_socket(&scripts[i], modes[k], false);
			test_socket(&scripts[i], modes[k], true);
		}
		test_failures(modes[k]);
		test_dead_proxies(modes[k]);
		test_every_address(modes[k]);
		test_cut(modes[k], false, fds);
		test_cut(modes[k], true, fds);
	}
	net_clean();
	return tap_done();
}
