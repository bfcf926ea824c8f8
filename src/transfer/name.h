#ifndef HAUL_TRANSFER_NAME_H
#define HAUL_TRANSFER_NAME_H

#include <stdbool.h>
#include <stddef.h>

enum { NAME_COMPONENT_MAX = 255 };

/*
 * Why a name that a sender chose is not taken, as a text; NULL if it is: a
 * relative path of components with 1 to 255 bytes, without NUL, "." and "..",
 * and names of partial files.
 */
const char *name_fault(const char *name, size_t len);

/*
 * The name of the partial file beside a target: ".NAME.haul-part", and if that
 * is longer than a name may be, ".BEGINNING~DIGEST.haul-part".
 */
void name_partial(const char *target, char partial[NAME_COMPONENT_MAX + 1]);
bool name_is_partial(const char *name);

#endif
