#ifndef HAUL_TRANSFER_FSYS_H
#define HAUL_TRANSFER_FSYS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What differs between platforms in dealing with files; one file each,
 * fsys_linux.c and fsys_posix.c.
 */

/*
 * Rename within one directory, and fail with EEXIST if the new name is taken.
 * 0, or -1 with errno.
 */
int fsys_rename_new(int dir, const char *from, const char *to);

/*
 * A file without a name, to be written, on the file system of a directory: -1
 * if there is no such thing. And give it a name in that directory; 0, or -1
 * with errno, EEXIST if the name is taken.
 */
int fsys_open_unnamed(int dir, unsigned mode);
int fsys_name(int fd, int dir, const char *name);

/*
 * The next part of a file that is no hole, at or behind pos: *start and *end.
 * At the end of the file both are its size. Where the system cannot tell, all
 * of the file is such a part.
 */
void fsys_next_data(int fd, uint64_t pos, uint64_t size, uint64_t *start,
    uint64_t *end);

#endif
