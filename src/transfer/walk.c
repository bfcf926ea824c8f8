#include "transfer/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "transfer/name.h"

enum { BLOCK = 512 };	/* of st_blocks */

/* A directory that is being walked. */
struct level {
	int fd;
	char *text;		/* malloc: all names, each terminated */
	const char **names;	/* malloc: in order */
	size_t count, next;
	size_t path_len;	/* of the directory */
	struct level *above;
};

struct walk {
	char *const *operands;
	struct level *top;	/* NULL: the next operand */
	bool again;		/* an operand itself is no entry: go on */
	uint64_t names_max;	/* of a directory worth reading; 0: any */
	bool too_many;		/* one has more */
	size_t name_start;	/* in path, of what is below this operand */
	char path[PATH_MAX];
};

void
entry_release(struct entry *n)
{
	free(n->path);
	free(n->target);
	*n = (struct entry){ .path = NULL };
}

static bool
fail(const char *path, int sys, const char *text, struct err *e)
{
	err_set(e, ERR_LOCAL, sys, path, "%s", text);
	return false;
}

/* A directory's names. */

static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool
add_name(struct level *l, const char *name, size_t *used, size_t *room)
{
	size_t size = strlen(name) + 1;
	char *more;

	if (*used + size > *room) {
		*room = (*used + size) * 2;
		if ((more = realloc(l->text, *room)) == NULL)
			return false;
		l->text = more;
	}
	memcpy(l->text + *used, name, size);
	*used += size;
	l->count++;
	return true;
}

/* Read all names; 0 or an errno. */
static int
read_names(struct walk *w, struct level *l, DIR *dir)
{
	size_t i, used = 0, room = 0;
	const struct dirent *d;

	for (errno = 0; (d = readdir(dir)) != NULL && !w->too_many; errno = 0) {
		if (strcmp(d->d_name, ".") != 0 &&
		    strcmp(d->d_name, "..") != 0 &&
		    !add_name(l, d->d_name, &used, &room))
			return ENOMEM;
		w->too_many = w->names_max > 0 && l->count > w->names_max;
	}
	if (errno != 0 || l->count == 0)
		return errno;
	l->names = malloc(l->count * sizeof(*l->names));
	if (l->names == NULL)
		return ENOMEM;
	for (i = used = 0; i < l->count; i++) {
		l->names[i] = l->text + used;
		used += strlen(l->names[i]) + 1;
	}
	qsort(l->names, l->count, sizeof(*l->names), compare);
	return 0;
}

static void
leave(struct walk *w)
{
	struct level *l = w->top;

	w->top = l->above;
	if (l->fd != -1)
		(void)close(l->fd);
	free(l->text);
	free(l->names);
	free(l);
}

/* Begin with a directory, whose path is in w->path; fd is taken over. */
static bool
enter(struct walk *w, int fd, struct err *e)
{
	struct level *l = calloc(1, sizeof(*l));
	DIR *dir = NULL;
	int sys = ENOMEM, copy;

	if (l == NULL) {
		(void)close(fd);
		return fail(w->path, sys, "", e);
	}
	l->fd = fd;
	l->above = w->top;
	l->path_len = strlen(w->path);
	w->top = l;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy == -1 || (dir = fdopendir(copy)) == NULL) {
		sys = errno;
		if (copy != -1)
			(void)close(copy);
	} else
		sys = read_names(w, l, dir);
	if (dir != NULL)
		(void)closedir(dir);
	if (sys == 0)
		return true;
	leave(w);
	return fail(w->path, sys, "", e);
}

/* Entries. */

/* What follows the last slash, but for slashes at the end. */
static size_t
base_name(const char *path)
{
	size_t end = strlen(path), start;

	while (end > 0 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/'; start--)
		continue;
	return start;
}

static const char *
kind_name(mode_t mode)
{
	if (S_ISSOCK(mode))
		return "a socket: not carried";
	if (S_ISFIFO(mode))
		return "a FIFO: not carried";
	return "a device: not carried";
}

static bool
read_target(struct entry *n, int dir, const char *name, struct err *e)
{
	char target[WIRE_NAME_MAX + 1];
	ssize_t len = readlinkat(dir, name, target, sizeof(target));

	if (len <= 0 || len > WIRE_NAME_MAX)
		return fail(n->path, len < 0 ? errno : ENAMETOOLONG, "", e);
	n->target = strndup(target, (size_t)len);
	return n->target != NULL || fail(n->path, ENOMEM, "", e);
}

static void
describe(struct entry *n, const struct stat *st)
{
	n->mode = (unsigned)st->st_mode & 07777;
	n->mtime_s = st->st_mtim.tv_sec;
	n->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	n->dev = st->st_dev;
	n->ino = st->st_ino;
	if (n->kind == WIRE_KIND_STREAM)
		n->size = n->stored = WIRE_UNKNOWN;
	if (n->kind != WIRE_KIND_FILE)
		return;
	n->size = (uint64_t)st->st_size;
	n->stored = (uint64_t)st->st_blocks * BLOCK;
	if (n->stored > n->size)
		n->stored = n->size;
}

/* The entry at w->path, which dir knows as name; st is what it is. */
static enum walk_result
make_entry(struct walk *w, struct entry *n, int dir, const char *name,
    const struct stat *st, struct err *e)
{
	*n = (struct entry){ .path = strdup(w->path) };
	if (n->path == NULL) {
		(void)fail(w->path, ENOMEM, "", e);
		return WALK_FAILED;
	}
	n->name = n->path + w->name_start;
	if (S_ISDIR(st->st_mode))
		n->kind = WIRE_KIND_DIRECTORY;
	else if (S_ISLNK(st->st_mode))
		n->kind = WIRE_KIND_LINK;
	else
		n->kind = S_ISREG(st->st_mode) ? WIRE_KIND_FILE :
		    WIRE_KIND_STREAM;
	describe(n, st);
	if (strlen(n->name) > WIRE_NAME_MAX)
		(void)fail(n->path, ENAMETOOLONG, "", e);
	else if (n->kind != WIRE_KIND_LINK || read_target(n, dir, name, e))
		return WALK_ENTRY;
	entry_release(n);
	return WALK_FAILED;
}

/* Operands. */

static enum walk_result
standard_input(struct entry *n, struct err *e)
{
	*n = (struct entry){ .kind = WIRE_KIND_STREAM, .path = strdup(""),
	    .mode = 0666, .size = WIRE_UNKNOWN, .stored = WIRE_UNKNOWN };
	n->name = n->path;
	if (n->path != NULL)
		return WALK_ENTRY;
	(void)fail("standard input", ENOMEM, "", e);
	return WALK_FAILED;
}

/* Whether what is in an operand is sent without a name in front. */
static bool
is_nameless(const char *base)
{
	size_t len = strcspn(base, "/");

	return len == 0 || (len == 1 && base[0] == '.') ||
	    (len == 2 && base[0] == '.' && base[1] == '.');
}

/* Links on the command line are followed. */
static enum walk_result
next_operand(struct walk *w, struct entry *n, struct err *e)
{
	const char *operand = *w->operands++;
	struct stat st;
	size_t len;
	int fd;

	if (strcmp(operand, "-") == 0)
		return standard_input(n, e);
	w->name_start = base_name(operand);
	len = strlen(operand);
	if (len >= sizeof(w->path)) {
		(void)fail(operand, ENAMETOOLONG, "", e);
		return WALK_FAILED;
	}
	memcpy(w->path, operand, len + 1);
	if (stat(operand, &st) != 0)
		goto failed;
	if (!S_ISDIR(st.st_mode))
		return make_entry(w, n, AT_FDCWD, operand, &st, e);
	while (len > 1 && w->path[len - 1] == '/')
		w->path[--len] = '\0';
	fd = open(operand, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		goto failed;
	if (!enter(w, fd, e))
		return WALK_FAILED;
	if (!is_nameless(w->path + w->name_start))
		return make_entry(w, n, AT_FDCWD, operand, &st, e);
	/* Behind the slash that will follow, if there is none yet. */
	w->name_start = len + (w->path[len - 1] != '/');
	w->again = true;
	return WALK_END;
failed:
	(void)fail(operand, errno, "", e);
	return WALK_FAILED;
}

struct walk *
walk_new(char *const *operands, struct err *e)
{
	struct walk *w = calloc(1, sizeof(*w));

	if (w == NULL)
		err_no_memory(e);
	else
		w->operands = operands;
	return w;
}

void
walk_free(struct walk *w)
{
	if (w == NULL)
		return;
	while (w->top != NULL)
		leave(w);
	free(w);
}

/* w->path becomes that of a name in the directory; false: it is too long. */
static bool
join(struct walk *w, const char *name)
{
	size_t len = w->top->path_len, room = sizeof(w->path) - len;
	const char *slash = len > 0 && w->path[len - 1] == '/' ? "" : "/";
	int n;

	n = snprintf(w->path + len, room, "%s%s", slash, name);
	return n > 0 && (size_t)n < room;
}

static enum walk_result
next_entry(struct walk *w, struct entry *n, struct err *e)
{
	struct level *l;
	const char *name;
	struct stat st;
	enum walk_result r;
	int fd;

	while ((l = w->top) != NULL && l->next == l->count)
		leave(w);
	if (l == NULL)
		return *w->operands == NULL ? WALK_END :
		    next_operand(w, n, e);
	name = l->names[l->next++];
	w->path[l->path_len] = '\0';
	if (!join(w, name)) {
		(void)fail(w->path, ENAMETOOLONG, "", e);
		return WALK_FAILED;
	}
	if (fstatat(l->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		(void)fail(w->path, errno, "", e);
		return WALK_FAILED;
	}
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) &&
	    !S_ISLNK(st.st_mode)) {
		err_set(e, ERR_LOCAL, 0, w->path, "%s", kind_name(st.st_mode));
		return WALK_SKIPPED;
	}
	if (name_is_partial(name)) {
		err_set(e, ERR_LOCAL, 0, w->path,
		    "left by an unfinished transfer: not carried");
		return WALK_SKIPPED;
	}
	r = make_entry(w, n, l->fd, name, &st, e);
	if (r != WALK_ENTRY || n->kind != WIRE_KIND_DIRECTORY)
		return r;
	fd = openat(l->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (fd != -1 && enter(w, fd, e))
		return r;
	if (fd == -1)
		(void)fail(w->path, errno, "", e);
	entry_release(n);
	return WALK_FAILED;
}

enum walk_result
walk_next(struct walk *w, struct entry *n, struct err *e)
{
	enum walk_result r = WALK_END;

	do {
		w->again = false;
		r = next_entry(w, n, e);
	} while (w->again);
	return r;
}

/* All of them. */

static int
compare_bases(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	size_t i;

	x += base_name(x);
	y += base_name(y);
	for (i = 0; x[i] == y[i] && x[i] != '/' && x[i] != '\0'; i++)
		continue;
	/* Slashes at the end do not count. */
	return (x[i] == '/' ? 0 : (unsigned char)x[i]) -
	    (y[i] == '/' ? 0 : (unsigned char)y[i]);
}

/* Two names that are the same would be one file at the receiver. */
static bool
are_unique(char *const *operands, size_t count, struct err *e)
{
	const char **sorted = malloc((count + 1) * sizeof(*sorted));
	size_t i;
	bool unique = true;

	if (sorted == NULL) {
		err_no_memory(e);
		return false;
	}
	for (i = 0; i < count; i++)
		sorted[i] = operands[i];
	qsort(sorted, count, sizeof(*sorted), compare_bases);
	for (i = 1; i < count && unique; i++)
		unique = is_nameless(sorted[i] + base_name(sorted[i])) ||
		    compare_bases(&sorted[i - 1], &sorted[i]) != 0;
	if (!unique)
		err_set(e, ERR_USAGE, 0, "",
		    "%s and %s would have the same name", sorted[i - 2],
		    sorted[i - 1]);
	free(sorted);
	return unique;
}

static bool
is_present(const char *path, struct stat *st, struct err *e)
{
	if (strcmp(path, "-") == 0) {
		st->st_mode = S_IFIFO;
		return true;
	}
	return stat(path, st) == 0 || fail(path, errno, "", e);
}

bool
walk_shape(char *const *operands, enum wire_shape *shape, struct err *e)
{
	struct stat st = { 0 };
	size_t i;

	for (i = 0; operands[i] != NULL; i++) {
		if (strcmp(operands[i], "-") == 0 &&
		    (i > 0 || operands[1] != NULL)) {
			err_set(e, ERR_USAGE, 0, "",
			    "standard input cannot be one of several");
			return false;
		}
		if (!is_present(operands[i], &st, e))
			return false;
	}
	if (!are_unique(operands, i, e))
		return false;
	if (i != 1 || S_ISDIR(st.st_mode))
		*shape = WIRE_TREE;
	else if (strcmp(operands[0], "-") == 0)
		*shape = WIRE_STREAM;
	else
		*shape = WIRE_FILE;
	/* Alone, what cannot be read is a failure before anything is sent. */
	return *shape != WIRE_FILE || faccessat(AT_FDCWD, operands[0], R_OK,
	    AT_EACCESS) == 0 || fail(operands[0], errno, "", e);
}

void
walk_count(char *const *operands, uint64_t max, int64_t deadline_ns,
    uint64_t *entries, uint64_t *bytes)
{
	enum walk_result r = WALK_FAILED;
	struct err e = { 0 };
	struct walk *w = walk_new(operands, &e);
	struct entry n;

	*entries = *bytes = 0;
	if (w != NULL)
		w->names_max = max;
	while (w != NULL && *entries <= max && !w->too_many &&
	    clock_now_ns() < deadline_ns &&
	    (r = walk_next(w, &n, &e)) != WALK_END) {
		if (r == WALK_ENTRY) {
			*entries += 1;
			if (n.kind == WIRE_KIND_STREAM)
				*bytes = WIRE_UNKNOWN;
			else if (*bytes != WIRE_UNKNOWN)
				*bytes += n.size;
			entry_release(&n);
		}
		err_clear(&e);
	}
	if (w == NULL || r != WALK_END)
		*entries = *bytes = WIRE_UNKNOWN;
	walk_free(w);
	err_clear(&e);
}
