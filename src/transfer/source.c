#include "transfer/source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer/fsys.h"

enum {
	PAGE = 4096,
	SMALL = 64 * 1024,
};

static bool
fail(const struct entry *n, int sys, const char *text, struct err *e)
{
	err_set(e, ERR_LOCAL, sys, n->path, "%s", text);
	return false;
}

static bool
changed(const struct entry *n, struct err *e)
{
	return fail(n, 0, "changed while it was sent", e);
}

static bool
is_same(const struct entry *n, const struct stat *st)
{
	return st->st_dev == n->dev && st->st_ino == n->ino &&
	    (uint64_t)st->st_size == n->size &&
	    st->st_mtim.tv_sec == n->mtime_s &&
	    st->st_mtim.tv_nsec == (long)n->mtime_ns;
}

static bool
check(const struct source *s, const struct entry *n, struct err *e)
{
	struct stat st;

	if (fstat(s->fd, &st) != 0)
		return fail(n, errno, "", e);
	return is_same(n, &st) || changed(n, e);
}

bool
source_finish(const struct source *s, const struct entry *n, struct err *e)
{
	ssize_t more = 0;
	char byte;

	/* Some files (proc(5)) have a size of 0 and a content. */
	if (s->size == 0)
		more = pread(s->fd, &byte, 1, 0);
	if (more < 0)
		return fail(n, errno, "", e);
	if (more > 0)
		return fail(n, 0, "has a content, but not a size", e);
	return check(s, n, e);
}

bool
source_open(struct source *s, const struct entry *n, struct err *e)
{
	s->size = n->size;
	s->sparse = n->stored < n->size;
	source_rewind(s);
	s->fd = open(n->path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (s->fd == -1)
		return fail(n, errno, "", e);
	/* A small one is looked at once it is read. */
	if (n->size <= SMALL)
		return true;
	return check(s, n, e);
}

void
source_close(struct source *s)
{
	if (s->fd != -1)
		(void)close(s->fd);
	s->fd = -1;
}

void
source_rewind(struct source *s)
{
	s->pos = 0;
	s->data_end = s->sparse ? 0 : s->size;
	digest_reset(s->digest);
}

uint64_t
source_skip_hole(struct source *s, uint64_t max)
{
	uint64_t start, zeros;

	if (s->pos < s->data_end || s->pos == s->size)
		return 0;
	fsys_next_data(s->fd, s->pos, s->size, &start, &s->data_end);
	zeros = start - s->pos;
	if (zeros > max) {
		zeros = max;
		s->data_end = 0;
	}
	digest_add_zeros(s->digest, zeros);
	s->pos += zeros;
	return zeros;
}

bool
source_read(struct source *s, const struct entry *n, void *buf, size_t len,
    size_t *got, struct err *e)
{
	ssize_t done;

	*got = 0;
	if (len > s->data_end - s->pos)
		len = (size_t)(s->data_end - s->pos);
	else if (len > PAGE)
		/* Up to a page: the next read begins with one. */
		len -= (size_t)((s->pos + len) % PAGE);
	if (len == 0)
		return true;
	do
		done = pread(s->fd, buf, len, (off_t)s->pos);
	while (done < 0 && errno == EINTR);
	if (done < 0)
		return fail(n, errno, "", e);
	if (done == 0)
		return changed(n, e);
	*got = (size_t)done;
	digest_add(s->digest, buf, *got);
	s->pos += *got;
	return true;
}
