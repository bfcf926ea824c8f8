#ifndef HAUL_BASE_LOG_H
#define HAUL_BASE_LOG_H

#include <stddef.h>

/*
 * Lines on standard error. Only cli/ and main.c call this. Each line is one
 * write, and bytes that a terminal could take for commands are escaped. A line
 * that standard error does not take within a second is lost.
 */
enum log_level {
	LOG_QUIET,	/* errors only */
	LOG_NORMAL,	/* and notes */
	LOG_VERBOSE,	/* and what is going on */
};

/* The prefix of every line ("haul connect"); kept, not copied. */
void log_open(const char *prefix);

void log_set_level(enum log_level level);

/* An error, printed at every level: "haul connect: TEXT". */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Something that the user should know, unless -q. */
void log_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What is going on, with -v. */
void log_verbose(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Write text as it is, with no prefix, no escapes and no end of line; nothing
 * if it would have to wait. For a line of progress.
 */
void log_draw(const char *text);

/*
 * Copy text to buf (size > 0); returns the length, what does not fit is left
 * out. Control characters, marks that turn the direction of writing, and what
 * is no UTF-8 come out byte by byte as \xNN.
 */
size_t log_escape(const char *text, char *buf, size_t size);

#endif
