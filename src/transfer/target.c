#include "transfer/target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "transfer/fsys.h"
#include "transfer/place_impl.h"

enum {
	OWNER_READ_WRITE = 0600,
	STREAM_MODE = 0666,
	MODE_BITS = 0777,
	CHECK_STEP = 1024 * 1024,
	CHECK_BUFFER = 64 * 1024,
	ZEROS = 16 * 1024,
	/* Smaller files are not worth asking for free space. */
	SPACE_ASKED = 64 * 1024,
};

struct target {
	struct place *place;
	char *name;		/* malloc */
	bool stream;		/* its size is not known */
	uint64_t size;
	unsigned mode;
	int64_t mtime_s;
	uint32_t mtime_ns;

	int fd;			/* the partial or final file; -1: none yet */
	struct sock *out;	/* or standard output, the place's */
	bool final;
	bool partial;		/* fd is a partial file */
	uint64_t there, pos;
	struct digest *digest;	/* of the first pos bytes */
	bool owns_digest;
};

static bool
fail(const struct target *t, int sys, const char *text, struct err *e)
{
	err_set(e, ERR_LOCAL, sys, t->name, "%s", text);
	return false;
}

/* The directory and base name for data; -1 with *e filled. */
static int
locate(struct target *t, enum place_use use, const char **base,
    char partial[NAME_COMPONENT_MAX + 1], struct err *e)
{
	int dir = place_parent(t->place, use, t->name, base, e);

	if (dir != -1)
		name_partial(*base, partial);
	return dir;
}

/* What is there. */

/*
 * A partial file that is used is a file of our own, with no other name, and no
 * other transfer writes to it.
 */
static bool
adopt_partial(struct target *t, int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return fail(t, errno, "its partial file", e);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    st.st_nlink != 1)
		return fail(t, 0, "its partial file is not one of ours", e);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return fail(t, 0, "another transfer is writing it", e);
	t->fd = fd;
	t->partial = true;
	if (!t->stream && (uint64_t)st.st_size <= t->size)
		t->there = (uint64_t)st.st_size;
	return true;
}

static bool
find_partial(struct target *t, int dir, const char *partial, struct err *e)
{
	int fd;

	fd = openat(dir, partial, O_RDWR | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC);
	if (fd == -1)
		return errno == ENOENT || fail(t, errno,
		    "its partial file", e);
	if (adopt_partial(t, fd, e))
		return true;
	(void)close(fd);
	return false;
}

/* An unused partial file is let go of. Returns true. */
static bool
release_partial(struct target *t)
{
	if (t->fd != -1)
		(void)close(t->fd);
	t->fd = -1;
	t->partial = false;
	t->there = 0;
	return true;
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

	if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT || fail(t, errno, "", e);
	/* To replace it is under way already. */
	if (S_ISREG(st.st_mode) && t->there > 0 && t->place->config.force)
		return true;
	if (S_ISREG(st.st_mode) && !t->stream &&
	    (uint64_t)st.st_size == t->size && release_partial(t))
		t->fd = openat(dir, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
		    O_CLOEXEC);
	if (t->fd != -1) {
		t->final = true;
		t->there = t->size;
		return true;
	}
	if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
		return t->place->config.force || fail(t, 0,
		    "exists; use --force to replace it", e);
	return fail(t, 0, "exists and is no file", e);
}

static bool
has_space(struct target *t, int dir, uint64_t stored, struct err *e)
{
	uint64_t need = stored - (t->there < stored ? t->there : stored);
	struct statvfs fs;

	if (t->stream || need < SPACE_ASKED || fstatvfs(dir, &fs) != 0)
		return true;
	if (need / fs.f_frsize < fs.f_bavail)
		return true;
	return fail(t, ENOSPC, "needs more than is free", e);
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
	if (p->out_closed || (p->out_bytes > 0 && (!same || t->stream)))
		return fail(t, 0, "standard output was used for another "
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
	dir = locate(t, FOR_OFFERS, &base, partial, e);
	/* What was begun goes on; it may be about to replace a final one. */
	if (dir == -1 || !find_partial(t, dir, partial, e) ||
	    !find_final(t, dir, base, e) ||
	    !has_space(t, dir, o->stored, e))
		return false;
	t->digest = digest_new(e);
	t->owns_digest = t->digest != NULL;
	return t->owns_digest;
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

static void
forget_partial(struct target *t)
{
	char partial[NAME_COMPONENT_MAX + 1];
	struct err e = { 0 };
	const char *base;
	int dir;

	dir = locate(t, FOR_DATA, &base, partial, &e);
	if (dir != -1)
		(void)unlinkat(dir, partial, 0);
	err_clear(&e);
	t->partial = false;
}

void
target_drop(struct target *t)
{
	if (t->partial)
		forget_partial(t);
}

void
target_free(struct target *t)
{
	struct stat st;

	if (t == NULL)
		return;
	/* Nothing that could be continued. */
	if (t->partial && t->fd != -1 && (t->stream ||
	    (fstat(t->fd, &st) == 0 && st.st_size == 0)))
		forget_partial(t);
	if (t->fd != -1)
		(void)close(t->fd);
	if (t->owns_digest)
		digest_free(t->digest);
	free(t->name);
	free(t);
}

uint64_t
target_there(const struct target *t)
{
	return t->there;
}

bool
target_is_final(const struct target *t)
{
	return t->final && !t->place->config.force;
}

enum sk_result
target_check(struct target *t, uint64_t *done,
    unsigned char digest[DIGEST_SIZE], struct err *e)
{
	unsigned char buf[CHECK_BUFFER];
	uint64_t end = t->pos + CHECK_STEP;
	ssize_t n;
	size_t len;

	for (*done = 0; t->pos < t->there && t->pos < end; ) {
		len = t->there - t->pos < sizeof(buf) ?
		    (size_t)(t->there - t->pos) : sizeof(buf);
		n = pread(t->fd, buf, len, (off_t)t->pos);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			(void)fail(t, n < 0 ? errno : EIO, "what is there",
			    e);
			return SK_ERROR;
		}
		digest_add(t->digest, buf, (size_t)n);
		t->pos += (uint64_t)n;
		*done += (uint64_t)n;
	}
	if (t->pos < t->there)
		return SK_OK;
	digest_get(t->digest, digest);
	if (t->final) {
		(void)close(t->fd);
		t->fd = -1;
	}
	return SK_EOF;
}

/* Data. */

static bool
make_partial(struct target *t, struct err *e)
{
	char partial[NAME_COMPONENT_MAX + 1];
	const char *base;
	int dir;

	dir = locate(t, FOR_DATA, &base, partial, e);
	if (dir == -1)
		return false;
	/* One that is there was looked at before, and not used. */
	if (!find_partial(t, dir, partial, e))
		return false;
	if (t->fd != -1)
		return ftruncate(t->fd, 0) == 0 || fail(t, errno, "", e);
	t->fd = openat(dir, partial, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, t->mode | OWNER_READ_WRITE);
	if (t->fd == -1)
		return fail(t, errno, "cannot be made", e);
	t->partial = true;
	if (flock(t->fd, LOCK_EX | LOCK_NB) != 0)
		return fail(t, 0, "another transfer is writing it", e);
	return true;
}

bool
target_begin(struct target *t, uint64_t offset, struct err *e)
{
	if (t->out != NULL)
		return offset == t->pos || fail(t, 0, "what was written to "
		    "standard output is not what is sent now", e);
	/* Of an empty one, nothing is there and nothing is to come. */
	if (offset > 0 || (t->final && t->size == 0))
		return true;
	digest_reset(t->digest);
	t->pos = 0;
	/* A final one will be replaced, when the new one is whole. */
	t->final = false;
	if (t->fd == -1)
		return make_partial(t, e);
	return ftruncate(t->fd, 0) == 0 || fail(t, errno, "", e);
}

struct sock *
target_output(const struct target *t)
{
	return t->out;
}

uint64_t
target_room(const struct target *t)
{
	return (t->stream ? INT64_MAX : t->size) - t->pos;
}

static enum sk_result
write_output(struct target *t, const unsigned char *data, size_t len,
    size_t *put, struct err *e)
{
	enum sk_result r;

	r = sock_send(t->out, data, len, put, e);
	if (r != SK_OK)
		return r;
	digest_add(t->digest, data, *put);
	t->pos += *put;
	t->place->out_bytes = t->pos;
	return SK_OK;
}

enum sk_result
target_write(struct target *t, const unsigned char *data, size_t len,
    size_t *put, struct err *e)
{
	ssize_t n;

	*put = 0;
	if (t->out != NULL)
		return write_output(t, data, len, put, e);
	digest_add(t->digest, data, len);
	while (*put < len) {
		n = pwrite(t->fd, data + *put, len - *put, (off_t)t->pos);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			(void)fail(t, errno, "", e);
			return SK_ERROR;
		}
		t->pos += (uint64_t)n;
		*put += (size_t)n;
	}
	return SK_OK;
}

enum sk_result
target_write_zeros(struct target *t, uint64_t count, uint64_t *put,
    struct err *e)
{
	static const unsigned char zeros[ZEROS];
	enum sk_result r;
	size_t some = 0;

	if (t->out != NULL) {
		r = write_output(t, zeros, count < ZEROS ? (size_t)count :
		    (size_t)ZEROS, &some, e);
		*put = some;
		return r;
	}
	digest_add_zeros(t->digest, count);
	t->pos += count;
	*put = count;
	/* A file system has its own limits to the size of a file. */
	if (ftruncate(t->fd, (off_t)t->pos) == 0)
		return SK_OK;
	(void)fail(t, errno, "", e);
	return SK_ERROR;
}

/* The end. */

static bool
differs(const struct target *t, struct err *e)
{
	err_set(e, ERR_PEER, 0, t->name,
	    "what arrived is not what was sent: the digests differ");
	return false;
}

static bool
is_right(const struct target *t, const struct wire_close *c)
{
	unsigned char digest[DIGEST_SIZE];

	digest_get(t->digest, digest);
	return t->pos == c->size &&
	    memcmp(digest, c->digest, DIGEST_SIZE) == 0;
}

static bool
give_properties(struct target *t, struct err *e)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
	    { .tv_sec = t->mtime_s, .tv_nsec = (long)t->mtime_ns } };
	struct stat st;

	if (fstat(t->fd, &st) != 0)
		return fail(t, errno, "", e);
	if ((st.st_mode & MODE_BITS) != t->mode &&
	    fchmod(t->fd, t->mode) != 0)
		return fail(t, errno, "cannot set its mode", e);
	if (!t->stream && futimens(t->fd, times) != 0)
		return fail(t, errno, "cannot set its time", e);
	if (t->place->config.fsync && fsync(t->fd) != 0)
		return fail(t, errno, "", e);
	return true;
}

static bool
give_name(struct target *t, struct err *e)
{
	char partial[NAME_COMPONENT_MAX + 1];
	const char *base;
	int dir, r;

	dir = locate(t, FOR_DATA, &base, partial, e);
	if (dir == -1)
		return false;
	if (t->place->config.force)
		r = renameat(dir, partial, dir, base);
	else
		r = fsys_rename_new(dir, partial, base);
	if (r != 0 && errno == EEXIST)
		return fail(t, 0, "exists; use --force to replace it", e);
	if (r != 0)
		return fail(t, errno, "cannot be given its name", e);
	t->partial = false;
	return !t->place->config.fsync || fsync(dir) == 0 ||
	    fail(t, errno, "its directory", e);
}

/* Only the closing of standard output tells whether all of it is out. */
static enum sk_result
finish_output(struct target *t, const struct wire_close *c, struct err *e)
{
	enum sk_result r;

	if (!is_right(t, c)) {
		(void)differs(t, e);
		return SK_ERROR;
	}
	r = sock_shutdown_write(t->out, e);
	t->place->out_closed = r == SK_OK;
	return r;
}

enum sk_result
target_finish(struct target *t, const struct wire_close *c, struct err *e)
{
	bool ok;

	if (t->out != NULL)
		return finish_output(t, c, e);
	ok = is_right(t, c) || differs(t, e);
	if (!ok)
		target_drop(t);
	if (ok && t->final)
		return SK_OK;
	ok = ok && give_properties(t, e) && give_name(t, e);
	return ok ? SK_OK : SK_ERROR;
}
