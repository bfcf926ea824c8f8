/* Standard streams, files, and nothing, read and written like sockets. */
#include "sock/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "sock/sys.h"

/* How an attempt is kept from blocking. */
enum access {
	ACCESS_NEVER_BLOCKS,	/* a file */
	ACCESS_OURS,		/* O_NONBLOCK on a description of our own */
	ACCESS_SHARED,		/* poll first: its flags are not ours */
	ACCESS_SOCKET,		/* MSG_DONTWAIT */
};

enum {
	TERMINAL_WRITE_MAX = 256,
	BACKGROUND_LOOK_MS = 200,
};

struct stdio {
	enum access access;
	int inherited;		/* 0 or 1, or -1: fd is a file that we opened */
	bool terminal;
	size_t write_max;	/* what surely fits when poll says writable */
	char *const *paths;	/* the next file of sock_files; NULL: none */
};

static void
classify(struct sock *s, const struct stat *st)
{
	struct stdio *f = s->priv;
	struct stat null;

	f->access = ACCESS_SHARED;
	s->kind = KIND_OTHER;
	f->write_max = SSIZE_MAX;
	if (S_ISREG(st->st_mode)) {
		s->kind = KIND_FILE;
		f->access = ACCESS_NEVER_BLOCKS;
	} else if (S_ISFIFO(st->st_mode)) {
		s->kind = KIND_PIPE;
		f->write_max = PIPE_BUF;
	} else if (S_ISSOCK(st->st_mode))
		f->access = ACCESS_SOCKET;
	else if (S_ISCHR(st->st_mode) && stat("/dev/null", &null) == 0 &&
	    st->st_rdev == null.st_rdev) {
		s->kind = KIND_NULL;
		f->access = ACCESS_NEVER_BLOCKS;
	}
	f->terminal = isatty(s->fd);
	if (f->terminal)
		f->write_max = TERMINAL_WRITE_MAX;
}

/* Take over an inherited descriptor; flags is O_RDONLY or O_WRONLY. */
static void
adopt(struct sock *s, int fd, int flags)
{
	struct stdio *f = s->priv;
	struct stat st;
	int access_mode, ours = -1;

	s->fd = f->inherited = fd;
	if (fstat(fd, &st) != 0)
		return;
	classify(s, &st);
	/* What it was not opened for fails at once: no way around that. */
	access_mode = fcntl(fd, F_GETFL) & O_ACCMODE;
	if (access_mode != flags && access_mode != O_RDWR) {
		s->kind = KIND_OTHER;
		f->access = ACCESS_NEVER_BLOCKS;
		return;
	}
	if (s->kind == KIND_PIPE || f->terminal)
		ours = sys_reopen(fd, flags);
	if (ours != -1) {
		s->fd = ours;
		f->access = ACCESS_OURS;
	}
}

static bool
is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) > 0;
}

/*
 * A read from the terminal by a job in the background would stop the job. Its
 * input is not for us then: look again later, perhaps in the foreground.
 */
static bool
in_background(struct sock *s)
{
	pid_t group = tcgetpgrp(s->fd);

	if (group == -1 || group == getpgrp())
		return false;
	sock_pause(s, SK_IN, clock_now_ns() + BACKGROUND_LOOK_MS * CLOCK_MS,
	    true);
	return true;
}

static enum sk_result
local_error(struct sock *s, int sys, struct err *e)
{
	err_set(e, ERR_LOCAL, sys, s->name, "%s", "");
	/* Whoever read our output has seen enough. */
	e->quiet = sys == EPIPE;
	return SK_ERROR;
}

/* Let go of the file that was read; an inherited descriptor stays open. */
static void
leave(struct sock *s)
{
	struct stdio *f = s->priv;

	if (s->fd != -1 && s->fd != f->inherited)
		(void)close(s->fd);
	s->fd = f->inherited = -1;
	s->generation = sock_next_generation();
}

static enum sk_result
open_file(struct sock *s, const char *path, struct err *e)
{
	struct stdio *f = s->priv;
	struct stat st = { 0 };
	int sys = 0;

	leave(s);
	if (strcmp(path, "-") == 0) {
		sock_set_name(s, "standard input");
		adopt(s, STDIN_FILENO, O_RDONLY);
		return SK_OK;
	}
	sock_set_name(s, path);
	/* O_NONBLOCK: a FIFO may be without a writer yet. */
	s->fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (s->fd == -1 || fstat(s->fd, &st) != 0)
		sys = errno;
	else if (S_ISDIR(st.st_mode))
		sys = EISDIR;
	if (sys != 0)
		return local_error(s, sys, e);
	classify(s, &st);
	/* splice(2) takes a FIFO without a writer for one at its end. */
	if (s->kind == KIND_PIPE)
		s->kind = KIND_OTHER;
	f->inherited = -1;
	return SK_OK;
}

static enum sk_result
stdio_try_next(struct sock *s, struct err *e)
{
	struct stdio *f = s->priv;
	const char *path;

	path = f->paths != NULL ? *f->paths : NULL;
	if (path == NULL)
		return SK_EOF;
	f->paths++;
	return open_file(s, path, e);
}

/*
 * A pipe that is read by a thread of its own, without a time limit: it sleeps
 * in read(2). It is our own description, and splice(2) is told not to block.
 */
static void
stdio_set_kicked(struct sock *s)
{
	struct stdio *f = s->priv;

	if (f->access == ACCESS_OURS && s->kind == KIND_PIPE &&
	    f->inherited == STDIN_FILENO)
		(void)sock_set_blocks(s, s->kicked &&
		    s->deadline_ns[SK_IN] == CLOCK_NEVER);
}

static enum sk_result
stdio_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	struct stdio *f = s->priv;
	enum sk_result r;
	ssize_t n;

	for (;;) {
		if ((f->access == ACCESS_SHARED || f->terminal) &&
		    !is_ready(s->fd, POLLIN))
			return SK_WANT_READ;
		if (f->terminal && in_background(s))
			return SK_WANT_READ;
		n = f->access == ACCESS_SOCKET ?
		    recv(s->fd, buf, len, MSG_DONTWAIT) :
		    read(s->fd, buf, len);
		if (n > 0) {
			*got = (size_t)n;
			return SK_OK;
		}
		if (n == 0) {
			r = stdio_try_next(s, e);
			if (r != SK_OK)
				return r;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK ||
		    (errno == EINTR && s->sleeps))
			return SK_WANT_READ;
		else if (errno != EINTR)
			return local_error(s, errno, e);
	}
}

static enum sk_result
stdio_try_send(struct sock *s, const void *buf, size_t len, size_t *put,
    struct err *e)
{
	struct stdio *f = s->priv;
	ssize_t n;

	if (f->access == ACCESS_SHARED) {
		if (!is_ready(s->fd, POLLOUT))
			return SK_WANT_WRITE;
		if (len > f->write_max)
			len = f->write_max;
	}
	do
		n = f->access == ACCESS_SOCKET ?
		    send(s->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) :
		    write(s->fd, buf, len);
	while (n < 0 && errno == EINTR);
	if (n >= 0) {
		*put = (size_t)n;
		return SK_OK;
	}
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return SK_WANT_WRITE;
	return local_error(s, errno, e);
}

/*
 * Whether standard input and output are one connection, as inetd gives it: then
 * closing one of the two would not show its peer an end.
 */
static bool
is_one_connection(void)
{
	struct stat in, out;

	return fstat(STDIN_FILENO, &in) == 0 &&
	    fstat(STDOUT_FILENO, &out) == 0 && S_ISSOCK(out.st_mode) &&
	    in.st_dev == out.st_dev && in.st_ino == out.st_ino;
}

/*
 * Close standard output for good, so that its reader sees the end at once.
 * /dev/null takes its place, or the next descriptor would become number 1.
 */
static enum sk_result
stdio_try_shutdown(struct sock *s, struct err *e)
{
	struct stdio *f = s->priv;
	int null, number = f->inherited, sys = 0;

	if (number == -1)
		return SK_OK;
	if (is_one_connection())
		(void)shutdown(number, SHUT_WR);
	leave(s);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* Only of a file does closing tell something; else in one step. */
	if ((s->kind == KIND_FILE || null == -1) && close(number) != 0 &&
	    errno != EINTR)
		sys = errno;
	if (null != -1) {
		(void)dup2(null, number);
		(void)close(null);
	}
	return sys == 0 ? SK_OK : local_error(s, sys, e);
}

static void
stdio_release(struct sock *s)
{
	leave(s);
	free(s->priv);
}

static const struct transport transport_stdio = {
	.try_recv = stdio_try_recv,
	.try_send = stdio_try_send,
	.try_shutdown = stdio_try_shutdown,
	.try_next = stdio_try_next,
	.set_kicked = stdio_set_kicked,
	.release = stdio_release,
};

static struct sock *
make(enum sk_mode mode, const char *name, struct err *e)
{
	struct sock *s = sock_make(&transport_stdio, -1, mode, name, e);
	struct stdio *f;

	if (s == NULL)
		return NULL;
	f = s->priv = calloc(1, sizeof(*f));
	if (f == NULL) {
		free(s->name);
		free(s);
		err_no_memory(e);
		return NULL;
	}
	f->inherited = -1;
	return s;
}

struct sock *
sock_stdin(enum sk_mode mode, struct err *e)
{
	struct sock *s = make(mode, "standard input", e);

	if (s != NULL)
		adopt(s, STDIN_FILENO, O_RDONLY);
	return s;
}

struct sock *
sock_stdout(enum sk_mode mode, struct err *e)
{
	struct sock *s = make(mode, "standard output", e);

	if (s != NULL)
		adopt(s, STDOUT_FILENO, O_WRONLY);
	return s;
}

bool
sock_is_file(const struct sock *s)
{
	return s->kind == KIND_FILE;
}

/* Reads do not move where standard input stands. */
static enum sk_result
again_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	off_t *at = s->priv;
	ssize_t n;

	do
		n = pread(STDIN_FILENO, buf, len, *at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return local_error(s, errno, e);
	*at += n;
	*got = (size_t)n;
	return n > 0 ? SK_OK : SK_EOF;
}

static void
again_release(struct sock *s)
{
	free(s->priv);
}

static const struct transport transport_again = {
	.try_recv = again_try_recv,
	.release = again_release,
};

struct sock *
sock_stdin_again(enum sk_mode mode, struct err *e)
{
	struct sock *s = sock_make(&transport_again, -1, mode,
	    "standard input", e);
	off_t *at = malloc(sizeof(*at));

	if (s == NULL || at == NULL) {
		err_no_memory(e);
		free(at);
		sock_abort(&s);
		return NULL;
	}
	*at = lseek(STDIN_FILENO, 0, SEEK_CUR);
	if (*at < 0)
		*at = 0;
	s->priv = at;
	return s;
}

/* Opening is no way to ask: it would let the writer of a FIFO go ahead. */
static bool
is_readable(struct sock *s, const char *path, struct err *e)
{
	struct stat st;
	int sys = 0;

	if (strcmp(path, "-") == 0)
		return true;
	sock_set_name(s, path);
	if (stat(path, &st) != 0 ||
	    faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0)
		sys = errno;
	else if (S_ISDIR(st.st_mode))
		sys = EISDIR;
	return sys == 0 || local_error(s, sys, e) == SK_OK;
}

struct sock *
sock_files(char *const *paths, enum sk_mode mode, struct err *e)
{
	struct sock *s = make(mode, "", e);
	struct stdio *f;
	size_t i;

	if (s == NULL)
		return NULL;
	f = s->priv;
	for (i = 0; paths[i] != NULL; i++)
		if (!is_readable(s, paths[i], e)) {
			sock_abort(&s);
			return NULL;
		}
	f->paths = paths;
	if (stdio_try_next(s, e) == SK_ERROR)
		sock_abort(&s);
	return s;
}

bool
sock_is_terminal(const struct sock *s)
{
	const struct stdio *f = s->priv;

	return s->tr == &transport_stdio && f->terminal;
}

int
sock_watch_fd(const struct sock *s)
{
	const struct stdio *f = s->priv;

	if (s->tr != &transport_stdio || f->access == ACCESS_NEVER_BLOCKS)
		return -1;
	return s->fd;
}

static enum sk_result
null_try_send(struct sock *s, const void *buf, size_t len, size_t *put,
    struct err *e)
{
	(void)s;
	(void)buf;
	(void)e;
	*put = len;
	return SK_OK;
}

static const struct transport transport_null = {
	.try_send = null_try_send,
};

struct sock *
sock_null(enum sk_mode mode, struct err *e)
{
	return sock_make(&transport_null, -1, mode, "nothing", e);
}
