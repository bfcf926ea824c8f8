#ifndef HAUL_BASE_LATCH_IMPL_H
#define HAUL_BASE_LATCH_IMPL_H

#include <stdbool.h>

/*
 * Two descriptors, perhaps the same one: 8 bytes written to the second can be
 * read from the first. Close-on-exec, and blocking. False with errno.
 */
bool latch_make(int *read_fd, int *write_fd);

#endif
