#define _GNU_SOURCE
#include "transfer/fsys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE	1
#endif

int
fsys_rename_new(int dir, const char *from, const char *to)
{
	if (syscall(SYS_renameat2, dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* A file system that does not know the flag. */
	if (linkat(dir, from, dir, to, 0) != 0)
		return -1;
	return unlinkat(dir, from, 0);
}

int
fsys_open_unnamed(int dir, unsigned mode)
{
	return openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
}

int
fsys_name(int fd, int dir, const char *name)
{
	char path[32];

	if (linkat(fd, "", dir, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT && errno != EPERM)
		return -1;
	/* Without the capability for that, open(2) knows this way. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW);
}

void
fsys_next_data(int fd, uint64_t pos, uint64_t size, uint64_t *start,
    uint64_t *end)
{
	off_t data, hole;

	*start = pos;
	*end = size;
	data = lseek(fd, (off_t)pos, SEEK_DATA);
	if (data == -1 && errno == ENXIO)
		*start = size;
	if (data == -1)
		return;
	hole = lseek(fd, data, SEEK_HOLE);
	if ((uint64_t)data < size)
		*start = (uint64_t)data;
	else
		*start = size;
	if (hole > data && (uint64_t)hole < size)
		*end = (uint64_t)hole;
}
