/* A file that is received, and how it gets its name. */
#include "transfer/target_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer/fsys.h"

enum {
	OWNER_READ_WRITE = 0600,
	CHECK_STEP = 4 * 1024 * 1024,
	CHECK_BUFFER = 64 * 1024,
	ZEROS = 16 * 1024,
	SMALL = 64 * 1024,
	SYNC_EVERY = 64 * 1024 * 1024,
};

bool
target_fail(const struct target *t, int sys, const char *text, struct err *e)
{
	err_set(e, ERR_LOCAL, sys, t->name, "%s", text);
	return false;
}

static void
forget_partial(struct target *t)
{
	char partial[NAME_COMPONENT_MAX + 1];
	struct err e = { 0 };
	const char *base;
	int dir;

	dir = place_parent(t->place, FOR_DATA, t->name, &base, &e);
	if (dir != -1) {
		name_partial(base, partial);
		(void)unlinkat(dir, partial, 0);
	}
	err_clear(&e);
	t->partial = false;
}

void
target_drop(struct target *t)
{
	if (t->partial)
		forget_partial(t);
}

/* One serves all files, and stays in the cache, though many are offered. */
bool
target_open_digest(struct target *t, struct err *e)
{
	if (t->digest != NULL)
		return true;
	t->digest = t->place->spare;
	t->place->spare = NULL;
	if (t->digest == NULL)
		t->digest = digest_new(e);
	else
		digest_reset(t->digest);
	t->owns_digest = t->digest != NULL;
	return t->owns_digest;
}

static void
close_digest(struct target *t)
{
	if (t->place->spare == NULL)
		t->place->spare = t->digest;
	else
		digest_free(t->digest);
	t->digest = NULL;
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
		close_digest(t);
	free(t->name);
	free(t);
}

const char *
target_name(const struct target *t)
{
	return t->name;
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

/* Digest up to max bytes of what is there; -1 with errno. */
static ssize_t
check_some(struct target *t, size_t max)
{
	unsigned char buf[CHECK_BUFFER];
	ssize_t n;

	if (t->pos >= t->data_end)
		fsys_next_data(t->fd, t->pos, t->there, &t->data_start,
		    &t->data_end);
	if (t->pos < t->data_start) {
		if (max > t->data_start - t->pos)
			max = (size_t)(t->data_start - t->pos);
		digest_add_zeros(t->digest, max);
		return (ssize_t)max;
	}
	if (max > t->data_end - t->pos)
		max = (size_t)(t->data_end - t->pos);
	n = pread(t->fd, buf, max < sizeof(buf) ? max : sizeof(buf),
	    (off_t)t->pos);
	if (n > 0)
		digest_add(t->digest, buf, (size_t)n);
	return n;
}

enum sk_result
target_check(struct target *t, uint64_t *done,
    unsigned char digest[DIGEST_SIZE], struct err *e)
{
	uint64_t end = t->there - t->pos < CHECK_STEP ? t->there :
	    t->pos + CHECK_STEP;
	ssize_t n;

	for (*done = 0; t->pos < end; *done += (uint64_t)n) {
		n = check_some(t, (size_t)(end - t->pos));
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0) {
			(void)target_fail(t, n < 0 ? errno : EIO,
			    "what is there", e);
			return SK_ERROR;
		}
		t->pos += (uint64_t)n;
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

	dir = place_parent(t->place, FOR_DATA, t->name, &base, e);
	if (dir == -1)
		return false;
	/* A small file has no partial file: continuing it gains nothing. */
	if (!t->stream && t->size <= SMALL && !t->place->config.force)
		t->fd = fsys_open_unnamed(dir, t->mode | OWNER_READ_WRITE);
	t->unnamed = t->made = t->fd != -1;
	if (t->unnamed)
		return true;
	name_partial(base, partial);
	t->fd = openat(dir, partial, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, t->mode | OWNER_READ_WRITE);
	/* One that is there was looked at before, and not used. */
	if (t->fd == -1 && errno == EEXIST)
		return target_find_partial(t, dir, partial, e) &&
		    (t->fd != -1 || target_fail(t, EEXIST, "", e)) &&
		    (ftruncate(t->fd, 0) == 0 ||
		    target_fail(t, errno, "", e));
	if (t->fd == -1)
		return target_fail(t, errno, "cannot be made", e);
	if (!target_lock(t, t->fd, dir, partial, e))
		return false;
	t->partial = t->made = true;
	return true;
}

bool
target_begin(struct target *t, uint64_t offset, struct err *e)
{
	if (t->out != NULL)
		return offset == t->pos || target_fail(t, 0,
		    "what was written to standard output is not what is "
		    "sent now", e);
	if (!target_open_digest(t, e))
		return false;
	/* Of an empty one, nothing is there and nothing is to come. */
	if (offset > 0 || (t->final && t->size == 0))
		return true;
	digest_reset(t->digest);
	t->pos = 0;
	/* A final one will be replaced, when the new one is whole. */
	t->final = false;
	if (t->fd == -1)
		return make_partial(t, e);
	return ftruncate(t->fd, 0) == 0 || target_fail(t, errno, "", e);
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
			(void)target_fail(t, errno, "", e);
			return SK_ERROR;
		}
		t->pos += (uint64_t)n;
		*put += (size_t)n;
	}
	/* Now and then, so that the last time does not take minutes. */
	if (t->place->config.fsync && t->pos - t->synced >= SYNC_EVERY) {
		t->synced = t->pos;
		if (fdatasync(t->fd) != 0) {
			(void)target_fail(t, errno, "", e);
			return SK_ERROR;
		}
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
	(void)target_fail(t, errno, "", e);
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

bool
target_is_whole(const struct target *t, uint64_t size)
{
	return t->pos == size && (t->stream || size == t->size);
}

static bool
is_right(const struct target *t, const struct wire_close *c)
{
	unsigned char digest[DIGEST_SIZE];

	digest_get(t->digest, digest);
	return memcmp(digest, c->digest, DIGEST_SIZE) == 0;
}

static bool
give_properties(struct target *t, struct err *e)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
	    { .tv_sec = t->mtime_s, .tv_nsec = (long)t->mtime_ns } };
	unsigned is = (t->mode | OWNER_READ_WRITE) & ~t->place->umask;

	if ((!t->made || is != t->mode) && fchmod(t->fd, t->mode) != 0)
		return target_fail(t, errno, "cannot set its mode", e);
	if (!t->stream && futimens(t->fd, times) != 0)
		return target_fail(t, errno, "cannot set its time", e);
	if (t->place->config.fsync && fsync(t->fd) != 0)
		return target_fail(t, errno, "", e);
	return true;
}

static bool
give_name(struct target *t, struct err *e)
{
	char partial[NAME_COMPONENT_MAX + 1];
	const char *base;
	int dir, r;

	dir = place_parent(t->place, FOR_DATA, t->name, &base, e);
	if (dir == -1)
		return false;
	if (t->unnamed)
		r = fsys_name(t->fd, dir, base);
	else {
		name_partial(base, partial);
		r = t->place->config.force ?
		    renameat(dir, partial, dir, base) :
		    fsys_rename_new(dir, partial, base);
	}
	if (r != 0 && errno == EEXIST)
		return target_fail(t, 0, "exists; use --force to replace it",
		    e);
	if (r != 0)
		return target_fail(t, errno, "cannot be given its name", e);
	t->partial = false;
	return !t->place->config.fsync || fsync(dir) == 0 ||
	    target_fail(t, errno, "its directory", e);
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
	if (ok && t->final && t->leftover)
		forget_partial(t);
	if (ok && t->final)
		return SK_OK;
	ok = ok && give_properties(t, e) && give_name(t, e);
	return ok ? SK_OK : SK_ERROR;
}
