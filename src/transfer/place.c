#include "transfer/place_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
	OWNER_ALL = 0700,
	MODE_BITS = 0777,
};

static bool
fail(const char *name, int sys, const char *text, struct err *e)
{
	err_set(e, ERR_LOCAL, sys, name, "%s", text);
	return false;
}

/* Opening. */

/* PLACE_FILE: its directory is opened, its name kept. */
static bool
open_beside(struct place *p, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path;
	char *dir;

	if (*base == '\0' || strcmp(base, ".") == 0 ||
	    strcmp(base, "..") == 0)
		return fail(path, EISDIR, "", e);
	if (strlen(base) > NAME_COMPONENT_MAX)
		return fail(path, ENAMETOOLONG, "", e);
	memcpy(p->file, base, strlen(base) + 1);
	dir = slash == NULL ? strdup(".") :
	    strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (dir == NULL)
		return fail(path, ENOMEM, "", e);
	p->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir == -1)
		(void)fail(dir, errno, "", e);
	free(dir);
	return p->dir != -1;
}

static bool
open_place(struct place *p, enum sk_mode mode, struct err *e)
{
	const char *path = p->config.path;

	switch (p->config.kind) {
	case PLACE_STDOUT:
		p->out = sock_stdout(mode, e);
		p->out_digest = p->out != NULL ? digest_new(e) : NULL;
		return p->out_digest != NULL;
	case PLACE_FILE:
		return open_beside(p, path, e);
	case PLACE_DIRECTORY:
		p->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return p->dir != -1 || fail(path, errno, "", e);
	}
	return false;
}

struct place *
place_open(const struct place_config *config, enum sk_mode mode,
    struct err *e)
{
	struct place *p = calloc(1, sizeof(*p));
	int i;

	if (p == NULL) {
		err_no_memory(e);
		return NULL;
	}
	p->config = *config;
	p->dir = -1;
	for (i = 0; i < PLACE_USES; i++)
		p->parents[i].fd = -1;
	p->umask = umask(0);
	(void)umask(p->umask);
	if (open_place(p, mode, e))
		return p;
	place_close(p);
	return NULL;
}

static bool
push(struct place_level **top, const char *name, struct err *e)
{
	struct place_level *l = calloc(1, sizeof(*l));

	if (l == NULL || (l->name = strdup(name)) == NULL) {
		free(l);
		return fail(name, ENOMEM, "", e);
	}
	l->above = *top;
	*top = l;
	return true;
}

static void
pop(struct place_level **top)
{
	struct place_level *l = *top;

	*top = l->above;
	free(l->name);
	free(l);
}

void
place_forget(struct place *p)
{
	int i;

	while (p->top != NULL)
		pop(&p->top);
	while (p->made != NULL)
		pop(&p->made);
	for (i = 0; i < PLACE_USES; i++) {
		if (p->parents[i].fd != -1)
			(void)close(p->parents[i].fd);
		p->parents[i].fd = -1;
	}
	p->looked = false;
}

void
place_close(struct place *p)
{
	if (p == NULL)
		return;
	place_forget(p);
	if (p->dir != -1)
		(void)close(p->dir);
	sock_abort(&p->out);
	digest_free(p->out_digest);
	digest_free(p->spare);
	free(p);
}

struct sock *
place_output(const struct place *p)
{
	return p->out;
}

bool
place_admits(const struct place *p, enum wire_shape shape, struct err *e)
{
	const char *text = NULL;

	switch (p->config.kind) {
	case PLACE_STDOUT:
		if (shape == WIRE_TREE)
			text = "several files, or a directory, need "
			    "--directory at the receiver";
		else if (shape == WIRE_FILE && sock_is_terminal(p->out))
			text = "the receiver's standard output is a terminal: "
			    "it needs --output or --directory";
		break;
	case PLACE_FILE:
		if (shape == WIRE_TREE)
			text = "several files, or a directory, need "
			    "--directory at the receiver, not --output";
		break;
	case PLACE_DIRECTORY:
		if (shape == WIRE_STREAM)
			text = "a stream has no name: it needs --output at "
			    "the receiver, not --directory";
		break;
	}
	if (text != NULL)
		err_set(e, ERR_PEER, 0, "", "%s", text);
	return text == NULL;
}

/* Looking up. */

/* Open the directory path from what is open already. False: see errno. */
static bool
descend(struct place *p, struct place_parent *at, const char *path)
{
	size_t known = strlen(at->path);
	char part[NAME_COMPONENT_MAX + 1];
	size_t len;
	int fd;

	/* Below the one that is open, or from the beginning. */
	if (at->fd == -1 || strncmp(path, at->path, known) != 0 ||
	    (known > 0 && path[known] != '/')) {
		if (at->fd != -1)
			(void)close(at->fd);
		at->path[0] = '\0';
		at->fd = fcntl(p->dir, F_DUPFD_CLOEXEC, 0);
		if (at->fd == -1)
			return false;
		known = 0;
	}
	for (path += known; *path != '\0'; path += len) {
		path += *path == '/';
		len = strcspn(path, "/");
		memcpy(part, path, len);
		part[len] = '\0';
		fd = openat(at->fd, part, OPEN_DIRECTORY);
		if (fd == -1)
			return false;
		(void)close(at->fd);
		at->fd = fd;
		known = strlen(at->path);
		(void)snprintf(at->path + known, sizeof(at->path) - known,
		    "%s%s", known > 0 ? "/" : "", part);
	}
	return true;
}

/* The directory path itself; -1 with errno. */
static int
open_directory(struct place *p, enum place_use use, const char *path)
{
	struct place_parent *at = &p->parents[use];

	if (at->fd != -1 && strcmp(at->path, path) == 0)
		return at->fd;
	return descend(p, at, path) ? at->fd : -1;
}

static bool
is_empty(int directory)
{
	int fd = openat(directory, ".", OPEN_DIRECTORY);
	DIR *dir = fd != -1 ? fdopendir(fd) : NULL;
	const struct dirent *d;

	if (dir == NULL) {
		if (fd != -1)
			(void)close(fd);
		return false;
	}
	errno = 0;
	do
		d = readdir(dir);
	while (d != NULL && (strcmp(d->d_name, ".") == 0 ||
	    strcmp(d->d_name, "..") == 0));
	(void)closedir(dir);
	return d == NULL && errno == 0;
}

/*
 * Before the first offer can make anything. Names come in order, and whoever
 * does not keep to that may offer one twice.
 */
static void
look(struct place *p, const char *name)
{
	if (!p->looked) {
		p->was_empty = is_empty(p->dir);
		p->last[0] = '\0';
		p->looked = true;
	}
	if (!p->was_empty || name == NULL)
		return;
	p->was_empty = strcmp(name, p->last) > 0;
	memcpy(p->last, name, strlen(name) + 1);
}

int
place_parent(struct place *p, enum place_use use, const char *name,
    const char **base, struct err *e)
{
	char path[WIRE_NAME_MAX + 1];
	const char *slash;
	int dir;

	if (p->config.kind == PLACE_FILE) {
		*base = p->file;
		return p->dir;
	}
	slash = strrchr(name, '/');
	if (use == FOR_OFFERS)
		look(p, slash == NULL ? name : NULL);
	if (slash == NULL) {
		*base = name;
		return p->dir;
	}
	*base = slash + 1;
	memcpy(path, name, (size_t)(slash - name));
	path[slash - name] = '\0';
	dir = open_directory(p, use, path);
	if (dir == -1)
		(void)fail(name, errno, "its directory", e);
	return dir;
}

static bool
is_inside(const char *name, const char *directory)
{
	size_t len = strlen(directory);

	return strncmp(name, directory, len) == 0 && name[len] == '/';
}

bool
place_is_fresh(struct place *p, const char *name)
{
	const char *slash = strrchr(name, '/');

	while (p->made != NULL && !is_inside(name, p->made->name))
		pop(&p->made);
	if (slash == NULL)
		return p->looked && p->was_empty;
	return p->made != NULL &&
	    strlen(p->made->name) == (size_t)(slash - name);
}

/* Directories and links. */

/*
 * A directory that is being filled can be written by us; place_leave gives it
 * its mode.
 */
bool
place_make_directory(struct place *p, const char *name,
    const struct wire_offer *o, bool *made, struct err *e)
{
	const char *base;
	int dir, fd;

	dir = place_parent(p, FOR_OFFERS, name, &base, e);
	if (dir == -1)
		return false;
	*made = mkdirat(dir, base, (o->mode & MODE_BITS) | OWNER_ALL) == 0;
	if (*made) {
		(void)place_is_fresh(p, name);
		return push(&p->made, name, e);
	}
	if (errno != EEXIST)
		return fail(name, errno, "", e);
	fd = openat(dir, base, OPEN_DIRECTORY);
	if (fd == -1)
		return fail(name, ENOTDIR, "exists", e);
	(void)close(fd);
	return true;
}

/* Whether there is such a link already. */
static bool
is_link(int dir, const char *base, const char *target)
{
	char is[WIRE_NAME_MAX + 1];
	ssize_t len = readlinkat(dir, base, is, sizeof(is));

	return len > 0 && (size_t)len == strlen(target) &&
	    memcmp(is, target, (size_t)len) == 0;
}

static bool
is_replaceable(int dir, const char *base)
{
	struct stat st;

	return fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode));
}

static bool
replace_by_link(int dir, const char *base, const char *target)
{
	char partial[NAME_COMPONENT_MAX + 1];

	name_partial(base, partial);
	(void)unlinkat(dir, partial, 0);
	return symlinkat(target, dir, partial) == 0 &&
	    renameat(dir, partial, dir, base) == 0;
}

bool
place_make_link(struct place *p, const char *name, const char *target,
    const struct wire_offer *o, struct err *e)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
	    { .tv_sec = o->mtime_s, .tv_nsec = (long)o->mtime_ns } };
	const char *base;
	bool made;
	int dir;

	dir = place_parent(p, FOR_OFFERS, name, &base, e);
	if (dir == -1)
		return false;
	made = symlinkat(target, dir, base) == 0;
	if (!made && errno == EEXIST) {
		made = is_link(dir, base, target);
		if (!made && !is_replaceable(dir, base))
			return fail(name, 0, "exists and is no file", e);
		if (!made && !p->config.force)
			return fail(name, 0,
			    "exists; use --force to replace it", e);
		made = made || replace_by_link(dir, base, target);
	}
	if (!made)
		return fail(name, errno, "", e);
	(void)utimensat(dir, base, times, AT_SYMLINK_NOFOLLOW);
	return true;
}

/* Leaving directories. */

static bool
finish_level(struct place *p, struct err *e)
{
	const struct place_times *t = &p->top->times;
	const char *name = p->top->name;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
	    { .tv_sec = t->mtime_s, .tv_nsec = (long)t->mtime_ns } };
	mode_t is;
	struct stat st;
	int fd;

	fd = open_directory(p, FOR_DATA, name);
	if (fd == -1 || fstat(fd, &st) != 0)
		return fail(name, errno, "", e);
	/*
	 * One that was there keeps its mode, unless it has just the one that
	 * a transfer that broke has given it; and nobody gets more rights.
	 */
	is = st.st_mode & MODE_BITS;
	if (is != t->mode && (t->made || ((t->mode & ~is) == 0 &&
	    is == ((t->mode | OWNER_ALL) & ~p->umask))) &&
	    fchmod(fd, t->mode | (st.st_mode & S_ISGID)) != 0)
		return fail(name, errno, "", e);
	if (p->config.fsync && fsync(fd) != 0)
		return fail(name, errno, "", e);
	(void)futimens(fd, times);
	return true;
}

bool
place_enter(struct place *p, const char *name,
    const struct place_times *times, struct err *e)
{
	if (!push(&p->top, name, e))
		return false;
	p->top->times = *times;
	p->top->times.mode &= MODE_BITS;
	return true;
}

bool
place_leave(struct place *p, const char *name, struct err *e)
{
	bool ok = true;

	while (p->top != NULL &&
	    (name == NULL || !is_inside(name, p->top->name))) {
		ok = finish_level(p, e) && ok;
		pop(&p->top);
	}
	if (name == NULL && p->config.fsync && p->dir != -1 &&
	    fsync(p->dir) != 0)
		return fail(p->config.path, errno, "", e);
	return ok;
}
