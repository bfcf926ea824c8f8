/*
 * Linux: /etc/services without the name service switch, where nsswitch.conf(5)
 * names nothing but this file. The switch looks for its modules in up to forty
 * places: 110 of the 200 system calls of a probe, and a fifth of its time.
 */
#include "sock/services_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_BYTES = 4096 };

#define SPACE	" \t\n\v\f\r"

/* Where there would be a "db": as glibc has it, and as Debian does. */
static const char *const databases[] = {
	"/var/db/services.db",
	"/var/lib/misc/services.db",
};

typedef void line_reader(void *context, char *line);

/* Give all whole lines in buf to reader. Returns how much of it is left. */
static size_t
read_lines(char *buf, size_t len, line_reader *reader, void *context)
{
	char *line = buf, *end;

	while ((end = memchr(line, '\n', len)) != NULL) {
		*end++ = '\0';
		len -= (size_t)(end - line);
		line[strcspn(line, "#")] = '\0';
		reader(context, line);
		line = end;
	}
	memmove(buf, line, len);
	return len;
}

static bool
read_descriptor(int fd, line_reader *reader, void *context)
{
	char buf[LINE_BYTES];
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	while ((n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0) {
		len = read_lines(buf, len + (size_t)n, reader, context);
		if (len == sizeof(buf) - 1)
			return false;
	}
	/* The last one may have no end. */
	buf[len++] = '\n';
	(void)read_lines(buf, len, reader, context);
	return n == 0;
}

/* Each line, without its comment. False: not to its end, or a line is long. */
static bool
read_file(const char *path, line_reader *reader, void *context)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	bool ok;

	if (fd == -1)
		return false;
	ok = read_descriptor(fd, reader, context);
	(void)close(fd);
	return ok;
}

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What the switch has for services. */
struct sources {
	int lines;
	bool files, db, others;
};

static void
read_sources(void *context, char *line)
{
	static const char name[] = "services";
	struct sources *s = context;
	char *word, *rest;

	line += strspn(line, SPACE);
	if (strncmp(line, name, sizeof(name) - 1) != 0)
		return;
	line += sizeof(name) - 1;
	line += strspn(line, SPACE);
	if (*line != ':')
		return;
	s->lines++;
	for (word = strtok_r(line + 1, SPACE, &rest); word != NULL;
	    word = strtok_r(NULL, SPACE, &rest)) {
		if (strcmp(word, "files") == 0)
			s->files = true;
		else if (strcmp(word, "db") == 0)
			s->db = true;
		else
			s->others = true;
	}
}

/* A database that is not there has nothing to tell. */
static bool
is_file_only(void)
{
	struct sources s = { .lines = 0 };
	size_t i;

	if (!read_file("/etc/nsswitch.conf", read_sources, &s) ||
	    s.lines != 1 || !s.files || s.others)
		return false;
	for (i = 0; s.db && i < sizeof(databases) / sizeof(databases[0]); i++)
		if (access(databases[i], F_OK) == 0 || errno != ENOENT)
			return false;
	return true;
}

/* strspn(3) makes a table in each call: too much for words so short. */
static char *
skip_space(char *p)
{
	while (is_space(*p))
		p++;
	return p;
}

static char *
skip_word(char *p)
{
	while (*p != '\0' && !is_space(*p))
		p++;
	return p;
}

/* "ssh 22/tcp alias..." as glibc reads it: services(5). */
static void
read_service(void *context, char *line)
{
	char *name = skip_space(line), *end = skip_word(name), *proto;
	unsigned long port;

	if (end == name || *end == '\0')
		return;
	*end++ = '\0';
	port = strtoul(end, &proto, 0);
	if (proto == end || *proto != '/')
		return;
	while (*proto == '/')
		proto++;
	*skip_word(proto) = '\0';
	services_add(context, name, port, proto);
}

bool
services_from_file(struct services *s)
{
	return is_file_only() &&
	    read_file("/etc/services", read_service, s);
}
