#include "base/err.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
err_set(struct err *e, enum err_code code, int sys, const char *who,
    const char *fmt, ...)
{
	struct err new = { .code = code, .sys = sys };
	va_list ap;

	/* who and the text may be parts of *e. */
	(void)snprintf(new.who, sizeof(new.who), "%s", who);
	va_start(ap, fmt);
	(void)vsnprintf(new.text, sizeof(new.text), fmt, ap);
	va_end(ap);
	err_clear(e);
	*e = new;
}

bool
err_is_exhausted(int sys)
{
	return sys == EMFILE || sys == ENFILE || sys == ENOMEM ||
	    sys == ENOBUFS;
}

void
err_no_memory(struct err *e)
{
	err_set(e, ERR_LOCAL, ENOMEM, "", "%s", "");
}

void
err_append(struct err *e, const struct err *more)
{
	struct err *copy, **end;

	if (e->code == ERR_NONE) {
		*e = *more;
		e->next = NULL;
		return;
	}
	copy = malloc(sizeof(*copy));
	if (copy == NULL)
		return;
	*copy = *more;
	copy->next = NULL;
	for (end = &e->next; *end != NULL; end = &(*end)->next)
		continue;
	*end = copy;
}

void
err_move(struct err *to, struct err *from)
{
	err_clear(to);
	*to = *from;
	from->next = NULL;
	err_clear(from);
}

void
err_clear(struct err *e)
{
	struct err *next, *p;

	for (p = e->next; p != NULL; p = next) {
		next = p->next;
		free(p);
	}
	*e = (struct err){ .code = ERR_NONE };
}

/* Append text to buf, behind ": " unless it is the first part. */
static void
add_part(char *buf, size_t size, const char *text)
{
	size_t len;

	if (*text == '\0')
		return;
	len = strlen(buf);
	(void)snprintf(buf + len, size - len, "%s%s", len > 0 ? ": " : "",
	    text);
}

char *
err_format(const struct err *e, char *buf, unsigned long size)
{
	char cause[128] = "";

	if (e->sys != 0) {
		(void)snprintf(cause, sizeof(cause), "%s", strerror(e->sys));
		/* "Connection refused", but not "RPC ..." */
		if (islower((unsigned char)cause[1]))
			cause[0] = (char)tolower((unsigned char)cause[0]);
	}
	buf[0] = '\0';
	add_part(buf, size, e->who);
	add_part(buf, size, e->text);
	add_part(buf, size, cause);
	return buf;
}
