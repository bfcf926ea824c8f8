/* What is there of a file that is offered. */
#include "transfer/target_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
	STREAM_MODE = 0666,
	MODE_BITS = 0777,
	/* Smaller files are not worth asking for free space. */
	SPACE_ASKED = 64 * 1024,
};

/*
 * A partial file that is used is a file of our own, with no other name, and no
 * other transfer writes to it.
 */
static bool
is_usable(struct target *t, const struct stat *st, struct err *e)
{
	return (S_ISREG(st->st_mode) && st->st_uid == geteuid() &&
	    st->st_nlink == 1) || target_fail(t, 0,
	    "its partial file is not one of ours", e);
}

/*
 * Whoever held the lock may have given the file its final name meanwhile: what
 * is locked has to be what the name leads to.
 */
static bool
is_still(int dir, const char *partial, const struct stat *st)
{
	struct stat now;

	return fstatat(dir, partial, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	    now.st_dev == st->st_dev && now.st_ino == st->st_ino;
}

static bool
fail_lock(const struct target *t, int sys, struct err *e)
{
	if (sys == EWOULDBLOCK)
		return target_fail(t, 0, "another transfer is writing it", e);
	return target_fail(t, sys, "its partial file cannot be locked", e);
}

bool
target_lock(struct target *t, int fd, int dir, const char *partial,
    struct err *e)
{
	struct stat st;

	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return fail_lock(t, errno, e);
	return (fstat(fd, &st) == 0 && is_still(dir, partial, &st)) ||
	    fail_lock(t, EWOULDBLOCK, e);
}

/* Open and lock it; *fd is -1 if there is none. False with *e filled. */
static bool
open_partial(struct target *t, int dir, const char *partial, int *fd,
    struct stat *st, struct err *e)
{
	for (;;) {
		*fd = openat(dir, partial, O_RDWR | O_NOFOLLOW | O_NONBLOCK |
		    O_NOCTTY | O_CLOEXEC);
		if (*fd == -1)
			return errno == ENOENT || target_fail(t, errno,
			    "its partial file", e);
		if (fstat(*fd, st) != 0)
			return target_fail(t, errno, "its partial file", e);
		if (!is_usable(t, st, e))
			return false;
		if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
			return fail_lock(t, errno, e);
		if (is_still(dir, partial, st) && fstat(*fd, st) == 0)
			return true;
		(void)close(*fd);
	}
}

bool
target_find_partial(struct target *t, int dir, const char *partial,
    struct err *e)
{
	struct stat st;
	int fd;

	if (!open_partial(t, dir, partial, &fd, &st, e)) {
		if (fd != -1)
			(void)close(fd);
		return false;
	}
	if (fd == -1)
		return true;
	t->fd = fd;
	t->partial = true;
	if (!t->stream && (uint64_t)st.st_size <= t->size)
		t->there = (uint64_t)st.st_size;
	return true;
}

/* An unused partial file is let go of. */
static void
release_partial(struct target *t)
{
	if (t->fd != -1)
		(void)close(t->fd);
	t->fd = -1;
	t->leftover = t->partial;
	t->partial = false;
	t->there = 0;
}

/*
 * What has the final name already. Only a file (or a link, which is not
 * followed) is ever replaced, and only with --force; one of the same size may
 * be the same file.
 */
static bool
find_final(struct target *t, int dir, const char *base, struct err *e)
{
	struct stat st;
	int fd = -1;

	if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT || target_fail(t, errno, "", e);
	/* To replace it is under way already. */
	if (S_ISREG(st.st_mode) && t->there > 0 && t->place->config.force)
		return true;
	if (S_ISREG(st.st_mode) && !t->stream &&
	    (uint64_t)st.st_size == t->size)
		fd = openat(dir, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
		    O_CLOEXEC);
	if (fd != -1) {
		release_partial(t);
		t->fd = fd;
		t->final = true;
		t->there = t->size;
		return true;
	}
	if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
		return t->place->config.force || target_fail(t, 0,
		    "exists; use --force to replace it", e);
	return target_fail(t, 0, "exists and is no file", e);
}

static bool
has_space(struct target *t, int dir, uint64_t stored, struct err *e)
{
	uint64_t need = stored - (t->there < stored ? t->there : stored);
	struct statvfs fs;

	/* Some file systems do not tell. */
	if (t->stream || need < SPACE_ASKED || fstatvfs(dir, &fs) != 0 ||
	    fs.f_blocks == 0)
		return true;
	if (need / fs.f_frsize < fs.f_bavail)
		return true;
	return target_fail(t, ENOSPC, "needs more than is free", e);
}

/* Standard output: what was written before the connection broke is there. */
static bool
find_output(struct target *t, const struct wire_offer *o, struct err *e)
{
	struct place *p = t->place;
	unsigned char id[DIGEST_SIZE], raw[WIRE_HEADER + WIRE_CONTROL_MAX];
	size_t len = wire_put_offer(raw, o);
	bool same;

	digest_of(raw, len, id);
	same = p->out_named && memcmp(id, p->out_offer, DIGEST_SIZE) == 0;
	if ((p->out_closed || p->out_bytes > 0) && (!same || t->stream))
		return target_fail(t, 0, "standard output was used for another "
		    "transfer", e);
	memcpy(p->out_offer, id, DIGEST_SIZE);
	p->out_named = true;
	t->out = p->out;
	t->digest = p->out_digest;
	t->there = t->pos = p->out_bytes;
	return true;
}

static bool
find(struct target *t, const struct wire_offer *o, struct err *e)
{
	char partial[NAME_COMPONENT_MAX + 1];
	const char *base;
	int dir;

	if (t->place->out != NULL)
		return find_output(t, o, e);
	dir = place_parent(t->place, FOR_OFFERS, t->name, &base, e);
	if (dir == -1)
		return false;
	if (!place_is_fresh(t->place, t->name)) {
		name_partial(base, partial);
		/* What was begun goes on, and may be to replace a final one. */
		if (!target_find_partial(t, dir, partial, e) ||
		    !find_final(t, dir, base, e))
			return false;
	}
	if (!has_space(t, dir, o->stored, e))
		return false;
	return t->there == 0 || target_open_digest(t, e);
}

struct target *
target_find(struct place *p, const char *name, const struct wire_offer *o,
    struct err *e)
{
	struct target *t = calloc(1, sizeof(*t));

	if (p->config.kind == PLACE_FILE)
		name = p->config.path;
	else if (*name == '\0')
		name = "standard output";
	if (t == NULL || (t->name = strdup(name)) == NULL) {
		free(t);
		err_no_memory(e);
		return NULL;
	}
	t->place = p;
	t->fd = -1;
	t->stream = o->kind == WIRE_KIND_STREAM;
	t->size = o->size;
	t->mode = t->stream ? STREAM_MODE & ~p->umask : o->mode & MODE_BITS;
	t->mtime_s = o->mtime_s;
	t->mtime_ns = o->mtime_ns;
	if (find(t, o, e))
		return t;
	target_free(t);
	return NULL;
}
