/* Reasons: how they are filled, chained, moved and shown. */
#include "base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

enum {
	LINE_BYTES = ERR_WHO_MAX + ERR_TEXT_MAX + 128,
	CHAIN = 5,
};

static int
length(const struct err *e)
{
	int n = 0;

	if (e->code == ERR_NONE)
		return 0;
	for (; e != NULL; e = e->next)
		n++;
	return n;
}

static const struct format_case {
	int sys;
	const char *who, *text, *line;
} formats[] = {
	{ ECONNREFUSED, "192.0.2.7 port 80", "",
	    "192.0.2.7 port 80: connection refused" },
	{ ECONNRESET, "127.0.0.1 port 1", "receiving",
	    "127.0.0.1 port 1: receiving: connection reset by peer" },
	{ 0, "host", "no such host", "host: no such host" },
	{ 0, "", "no address given", "no address given" },
	{ 0, "peer", "", "peer" },
	{ ENOMEM, "", "", "cannot allocate memory" },
	{ EIO, "standard input", "", "standard input: input/output error" },
	{ 0, "", "", "" },
	{ 0, "%s%n", "100 %d", "%s%n: 100 %d" },
};

static void
test_format(void)
{
	const struct format_case *c;
	struct err e = { 0 };
	char buf[LINE_BYTES];
	size_t i;

	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		c = &formats[i];
		err_set(&e, ERR_LOCAL, c->sys, c->who, "%s", c->text);
		tap_text(err_format(&e, buf, sizeof(buf)), c->line,
		    "line \"%s\"", c->line);
	}
	err_clear(&e);
}

/* No text is too long, no buffer too small. */
static void
test_lengths(void)
{
	struct err e = { 0 };
	char big[64 * 1024], buf[LINE_BYTES];
	size_t size;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_set(&e, ERR_USAGE, EINVAL, big, "%s", big);
	tap_ok(strlen(e.who) == ERR_WHO_MAX - 1 &&
	    strlen(e.text) == ERR_TEXT_MAX - 1, "64 KiB are cut to size");
	(void)err_format(&e, buf, sizeof(buf));
	tap_ok(strstr(buf, "x: invalid argument") != NULL,
	    "the cause stands behind long texts");
	for (size = 1; size < sizeof(buf); size++) {
		memset(buf, '!', sizeof(buf));
		(void)err_format(&e, buf, size);
		if (memchr(buf, '\0', size) == NULL || buf[size] != '!')
			break;
	}
	tap_int((long long)size, sizeof(buf), "a buffer of any size suffices");
	err_clear(&e);
}

static void
test_chain(void)
{
	struct err all = { 0 }, one = { 0 }, to = { 0 };
	const struct err *p;
	bool ordered = true;
	int i;

	for (i = 1; i <= CHAIN; i++) {
		err_set(&one, ERR_CONNECT, i, "host", "try %d", i);
		err_append(&all, &one);
	}
	tap_int(length(&all), CHAIN, "appended reasons are kept");
	for (p = &all, i = 1; p != NULL; p = p->next, i++)
		ordered = ordered && p->sys == i;
	tap_ok(ordered, "in their order");
	tap_int(length(&one), 1, "appending copies");

	err_set(&to, ERR_LOCAL, 0, "", "old");
	err_append(&to, &one);
	err_move(&to, &all);
	tap_ok(length(&to) == CHAIN && all.code == ERR_NONE &&
	    all.next == NULL, "moving takes all and leaves nothing");
	tap_int(to.sys, 1, "moving replaces");

	to.quiet = true;
	err_set(&to, ERR_BIND, 0, "", "new");
	tap_ok(length(&to) == 1 && to.code == ERR_BIND && !to.quiet,
	    "setting replaces the whole chain");
	err_clear(&to);
	tap_ok(length(&to) == 0 && to.next == NULL && *to.text == '\0',
	    "cleared is empty");
	err_clear(&to);
	err_clear(&one);
	err_no_memory(&to);
	tap_ok(to.code == ERR_LOCAL && to.sys == ENOMEM, "out of memory");
	err_clear(&to);
}

int
main(void)
{
	tap_start();
	test_format();
	test_lengths();
	test_chain();
	return tap_done();
}
