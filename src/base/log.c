#include "base/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 2048,
	PATIENCE_MS = 1000,
};

static struct {
	const char *prefix;
	enum log_level level;
} log_state = { "haul", LOG_NORMAL };

/*
 * A pipe that nobody reads must not stop haul: what it does not take in time is
 * lost, as it would be where standard error cannot be written at all. Less than
 * PIPE_BUF bytes do not block once poll(2) says that there is room.
 */
static void
put(const char *text, size_t len, int patience_ms)
{
	static atomic_bool stuck;
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	/* One that was full before is not waited for again. */
	if (atomic_load(&stuck))
		patience_ms = 0;
	if (poll(&p, 1, patience_ms) <= 0) {
		atomic_store(&stuck, true);
		return;
	}
	atomic_store(&stuck, false);
	if (write(STDERR_FILENO, text, len) < 0)
		return;
}

void
log_open(const char *prefix)
{
	log_state.prefix = prefix;
}

void
log_set_level(enum log_level level)
{
	log_state.level = level;
}

/*
 * The character at text: its length in bytes, or 0 if it is no UTF-8 (RFC
 * 3629: no overlong form, no surrogate, nothing above U+10FFFF).
 */
static size_t
decode(const unsigned char *text, unsigned long *character)
{
	static const unsigned long least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t i, len;

	if (text[0] < 0x80)
		len = 1;
	else if (text[0] >= 0xc2 && text[0] <= 0xdf)
		len = 2;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		len = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		len = 4;
	else
		return 0;
	*character = len == 1 ? text[0] : text[0] & (0x7fU >> len);
	for (i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		*character = *character << 6 | (text[i] & 0x3f);
	}
	if (*character < least[len] || *character > 0x10ffff ||
	    (*character >= 0xd800 && *character <= 0xdfff))
		return 0;
	return len;
}

/* Controls (C0, C1), line ends, and the bidirectional marks of Unicode. */
static bool
is_harmless(unsigned long c)
{
	return c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) &&
	    c != 0x061c && c != 0x200e && c != 0x200f &&
	    !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069);
}

size_t
log_escape(const char *text, char *buf, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)text;
	unsigned long character = 0;
	size_t len, n = 0;

	while (*p != '\0') {
		len = decode(p, &character);
		if (len > 0 && is_harmless(character)) {
			if (n + len >= size)
				break;
			memcpy(buf + n, p, len);
			n += len;
			p += len;
			continue;
		}
		if (n + 4 >= size)
			break;
		buf[n++] = '\\';
		buf[n++] = 'x';
		buf[n++] = hex[*p >> 4];
		buf[n++] = hex[*p++ & 15];
	}
	buf[n] = '\0';
	return n;
}

void
log_draw(const char *text)
{
	put(text, strlen(text), 0);
}

static void put_line(const char *, va_list)
    __attribute__((format(printf, 1, 0)));

static void
put_line(const char *fmt, va_list ap)
{
	char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 64];
	size_t n;
	int k;

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	k = snprintf(line, sizeof(line), "%.48s: ", log_state.prefix);
	n = k > 0 ? (size_t)k : 0;
	n += log_escape(text, line + n, sizeof(line) - n - 1);
	line[n++] = '\n';
	put(line, n, PATIENCE_MS);
}

void
log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_line(fmt, ap);
	va_end(ap);
}

void
log_note(const char *fmt, ...)
{
	va_list ap;

	if (log_state.level < LOG_NORMAL)
		return;
	va_start(ap, fmt);
	put_line(fmt, ap);
	va_end(ap);
}

void
log_verbose(const char *fmt, ...)
{
	va_list ap;

	if (log_state.level < LOG_VERBOSE)
		return;
	va_start(ap, fmt);
	put_line(fmt, ap);
	va_end(ap);
}
