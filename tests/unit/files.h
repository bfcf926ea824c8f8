#ifndef HAUL_TESTS_FILES_H
#define HAUL_TESTS_FILES_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

/*
 * What the tests of files share: a folder of the test's own, and files in it
 * that are made and looked at in one line.
 */
enum {
	FILES_PATH_MAX = 8192,
	FILES_PATHS = 8,
};

static char files_root[256];

/* Below the folder; valid until FILES_PATHS more are asked for. */
static inline const char *files_path(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

static inline const char *
files_path(const char *fmt, ...)
{
	static char paths[FILES_PATHS][FILES_PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % FILES_PATHS];
	int len = snprintf(path, FILES_PATH_MAX, "%s/", files_root);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(path + len, (size_t)(FILES_PATH_MAX - len), fmt, ap);
	va_end(ap);
	return path;
}

static inline void
files_start(void)
{
	const char *folder = getenv("TMPDIR");

	(void)snprintf(files_root, sizeof(files_root),
	    "%.200s/haul-files-XXXXXX", folder != NULL && *folder != '\0' ?
	    folder : "/tmp");
	if (mkdtemp(files_root) == NULL) {
		perror("mkdtemp");
		exit(1);
	}
	(void)umask(022);
}

/* Remove what a directory holds, however deep and whatever its mode. */
static inline void
files_empty_at(int dir)
{
	const struct dirent *d;
	DIR *list = fdopendir(dir);
	int fd, shut;

	while (list != NULL && (d = readdir(list)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 ||
		    strcmp(d->d_name, "..") == 0 ||
		    unlinkat(dir, d->d_name, 0) == 0)
			continue;
		shut = fchmodat(dir, d->d_name, 0700, 0);
		fd = shut != 0 ? -1 : openat(dir, d->d_name, O_RDONLY |
		    O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd != -1)
			files_empty_at(fd);
		(void)unlinkat(dir, d->d_name, AT_REMOVEDIR);
	}
	if (list != NULL)
		(void)closedir(list);
}

/* path becomes an empty directory. */
static inline void
files_empty(const char *path)
{
	int fd;

	(void)unlink(path);
	(void)mkdir(path, 0755);
	(void)chmod(path, 0755);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd != -1)
		files_empty_at(fd);
}

static inline void
files_end(void)
{
	files_empty(files_root);
	if (rmdir(files_root) != 0)
		tap_note("%s is left: %s", files_root, strerror(errno));
}

static inline bool
files_put(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool ok = fd != -1 && write(fd, data, size) == (ssize_t)size;

	if (fd == -1 || close(fd) != 0 || !ok) {
		tap_note("%.200s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

static inline bool
files_put_text(const char *path, const char *text)
{
	return files_put(path, text, strlen(text));
}

/* Whether a file, and no link to one, has exactly this content. */
static inline bool
files_has(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char *is = malloc(size + 1);
	size_t len = 0;
	ssize_t n = 1;
	bool same;

	while (fd != -1 && is != NULL && n > 0 && len <= size) {
		n = read(fd, is + len, size + 1 - len);
		if (n > 0)
			len += (size_t)n;
	}
	same = fd != -1 && is != NULL && n == 0 && len == size &&
	    (size == 0 || memcmp(is, data, size) == 0);
	if (fd != -1)
		(void)close(fd);
	free(is);
	return same;
}

static inline bool
files_has_text(const char *path, const char *text)
{
	return files_has(path, text, strlen(text));
}

static inline void
files_make_link(const char *target, const char *path)
{
	if (symlink(target, path) != 0)
		tap_note("%.200s: %s", path, strerror(errno));
}

static inline void
files_go_to(const char *path)
{
	if (chdir(path) != 0)
		tap_note("%.200s: %s", path, strerror(errno));
}

/* What is at path itself, links not followed; st_mode is 0 if nothing is. */
static inline struct stat
files_stat(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		memset(&st, 0, sizeof(st));
	return st;
}

static inline bool
files_is_there(const char *path)
{
	return files_stat(path).st_mode != 0;
}

/* The target of a link, "" if there is none. */
static inline const char *
files_link(const char *path)
{
	static char target[FILES_PATH_MAX];
	ssize_t len = readlink(path, target, sizeof(target) - 1);

	target[len > 0 ? len : 0] = '\0';
	return target;
}

/* How many names a directory holds; -1: it cannot be read. */
static inline int
files_count(const char *path)
{
	DIR *list = opendir(path);
	int count = -2;		/* "." and ".." */

	if (list == NULL)
		return -1;
	while (readdir(list) != NULL)
		count++;
	(void)closedir(list);
	return count;
}

/* The same bytes for the same seed. */
static inline void
files_fill(void *data, size_t size, uint64_t seed)
{
	unsigned char *p = data;
	size_t i;

	for (i = 0; i < size; i++)
		p[i] = (unsigned char)(tap_random(&seed) >> 32);
}

#endif
