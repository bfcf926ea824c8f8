#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

static struct {
	const char *prefix;
	enum log_level level;
} log_state = { "haul", LOG_NORMAL };

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

size_t
log_escape(const char *text, char *buf, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;
	unsigned char c;

	for (; *text != '\0'; text++) {
		c = (unsigned char)*text;
		if (c >= 0x20 && c != 0x7f) {
			if (n + 1 >= size)
				break;
			buf[n++] = (char)c;
			continue;
		}
		if (n + 4 >= size)
			break;
		buf[n++] = '\\';
		buf[n++] = 'x';
		buf[n++] = hex[c >> 4];
		buf[n++] = hex[c & 15];
	}
	buf[n] = '\0';
	return n;
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
	/* Where standard error cannot be written there is nobody to tell. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
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
