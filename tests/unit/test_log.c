/* Lines on standard error: levels, one write each, nothing for terminals. */
#include "base/log.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

enum { BUFFER_BYTES = 8192 };

static const struct escape_case {
	const char *text, *escaped;
} escapes[] = {
	{ "", "" },
	{ "plain text, 100%", "plain text, 100%" },
	{ "a\nb", "a\\x0ab" },
	{ "\x1b[31mred", "\\x1b[31mred" },
	{ "\x01\x1f\x7f", "\\x01\\x1f\\x7f" },
	{ "\t\r\b\a", "\\x09\\x0d\\x08\\x07" },
	{ "Z\xc3\xbcrich", "Z\xc3\xbcrich" },
	{ "\xe6\x9d\xb1\xe4\xba\xac", "\xe6\x9d\xb1\xe4\xba\xac" },
};

static void
test_escape(void)
{
	char buf[BUFFER_BYTES];
	size_t i, n;

	for (i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		n = log_escape(escapes[i].text, buf, sizeof(buf));
		tap_text(buf, escapes[i].escaped, "escaped: %s",
		    escapes[i].escaped);
		tap_int((long long)n, (long long)strlen(buf),
		    "its length");
	}
}

/* The C1 controls: CSI as one byte, and as U+009B in UTF-8. */
static void
test_c1(void)
{
	char buf[BUFFER_BYTES];

	(void)log_escape("\x9b" "31m", buf, sizeof(buf));
	tap_ok(strchr(buf, '\x9b') == NULL, "a C1 control byte is escaped");
	(void)log_escape("\xc2\x9b" "31m", buf, sizeof(buf));
	tap_ok(strstr(buf, "\xc2\x9b") == NULL,
	    "a C1 control character in UTF-8 is escaped");
}

static void
test_sizes(void)
{
	static const char text[] = "ab\ncd\x1b\x1b";
	char buf[64], full[64];
	size_t size, n;

	(void)log_escape(text, full, sizeof(full));
	for (size = 1; size < sizeof(buf); size++) {
		memset(buf, '!', sizeof(buf));
		n = log_escape(text, buf, size);
		if (n >= size || buf[n] != '\0' || strlen(buf) != n ||
		    buf[size] != '!' || strncmp(buf, full, n) != 0)
			break;
	}
	tap_int((long long)size, sizeof(buf),
	    "whatever the size, the text is a beginning and ends in NUL");
}

/* What a call writes to standard error, as a text. */
static const char *
capture(void (*call)(void))
{
	static char buf[BUFFER_BYTES];
	int fds[2], saved;
	ssize_t n = 0;

	if (pipe(fds) != 0)
		return "no pipe";
	saved = dup(STDERR_FILENO);
	(void)dup2(fds[1], STDERR_FILENO);
	(void)close(fds[1]);
	call();
	(void)dup2(saved, STDERR_FILENO);
	(void)close(saved);
	/* One line is one write, which a pipe keeps in one read. */
	n = read(fds[0], buf, sizeof(buf) - 1);
	(void)close(fds[0]);
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static void
say_error(void)
{
	log_error("%s: %s", "peer", "refused\x1b[0m");
}

static void
say_note(void)
{
	log_note("note %d", 1);
}

static void
say_verbose(void)
{
	log_verbose("listening on %s", "::");
}

static void
say_long(void)
{
	static char text[64 * 1024];

	memset(text, '\x1b', sizeof(text) - 1);
	log_error("%s", text);
}

static void
test_lines(void)
{
	static const struct level_case {
		enum log_level level;
		const char *name, *error, *note, *verbose;
	} levels[] = {
		{ LOG_QUIET, "quiet", "haul test: peer: refused\\x1b[0m\n",
		    "", "" },
		{ LOG_NORMAL, "normal", "haul test: peer: refused\\x1b[0m\n",
		    "haul test: note 1\n", "" },
		{ LOG_VERBOSE, "verbose", "haul test: peer: refused\\x1b[0m\n",
		    "haul test: note 1\n", "haul test: listening on ::\n" },
	};
	const char *line;
	size_t i;

	tap_text(capture(say_note), "haul: note 1\n", "the first prefix");
	log_open("haul test");
	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		log_set_level(levels[i].level);
		tap_text(capture(say_error), levels[i].error, "%s: error",
		    levels[i].name);
		tap_text(capture(say_note), levels[i].note, "%s: note",
		    levels[i].name);
		tap_text(capture(say_verbose), levels[i].verbose,
		    "%s: verbose", levels[i].name);
	}
	line = capture(say_long);
	tap_ok(strlen(line) > 1000 && strlen(line) < 4096 &&
	    strchr(line, '\n') == line + strlen(line) - 1 &&
	    strchr(line, '\x1b') == NULL, "64 KiB of escapes: one line");
}

/* Standard error may be closed: nothing happens then. */
static void
test_closed(void)
{
	int saved = dup(STDERR_FILENO);

	(void)close(STDERR_FILENO);
	say_error();
	(void)dup2(saved, STDERR_FILENO);
	(void)close(saved);
	tap_ok(true, "a line without a standard error");
}

int
main(void)
{
	tap_start();
	test_escape();
	test_c1();
	test_sizes();
	test_lines();
	test_closed();
	return tap_done();
}
