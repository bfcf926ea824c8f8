#include "transfer/name.h"

#include <stdio.h>
#include <string.h>

#include "transfer/wire.h"

#define SUFFIX	".haul-part"

enum {
	SUFFIX_LEN = sizeof(SUFFIX) - 1,
	CHECK_DIGITS = 16,
	/* The dot in front, the tilde, the digits, the suffix. */
	BEGINNING_MAX = NAME_COMPONENT_MAX - 2 - CHECK_DIGITS - SUFFIX_LEN,
};

bool
name_is_partial(const char *name)
{
	size_t len = strlen(name);

	return len > SUFFIX_LEN + 1 && name[0] == '.' &&
	    strcmp(name + len - SUFFIX_LEN, SUFFIX) == 0;
}

static const char *
component_fault(const char *name, size_t len)
{
	if (len == 0)
		return "the name has an empty part";
	if (len > NAME_COMPONENT_MAX)
		return "the name has a part of more than 255 bytes";
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return "the name leads to another directory";
	if (len > SUFFIX_LEN + 1 && name[0] == '.' &&
	    memcmp(name + len - SUFFIX_LEN, SUFFIX, SUFFIX_LEN) == 0)
		return "the name is one of unfinished files";
	return NULL;
}

const char *
name_fault(const char *name, size_t len)
{
	const char *fault, *slash, *end = name + len;

	if (len == 0)
		return "there is no name";
	if (len > WIRE_NAME_MAX)
		return "the name is too long";
	if (memchr(name, '\0', len) != NULL)
		return "the name has a NUL byte";
	if (name[0] == '/')
		return "the name is an absolute path";
	for (;;) {
		slash = memchr(name, '/', (size_t)(end - name));
		fault = component_fault(name, (size_t)((slash != NULL ?
		    slash : end) - name));
		if (fault != NULL || slash == NULL)
			return fault;
		name = slash + 1;
	}
}

void
name_partial(const char *target, char partial[NAME_COMPONENT_MAX + 1])
{
	size_t len = strlen(target);

	if (len + 1 + SUFFIX_LEN <= NAME_COMPONENT_MAX)
		(void)snprintf(partial, NAME_COMPONENT_MAX + 1, ".%s%s",
		    target, SUFFIX);
	else
		(void)snprintf(partial, NAME_COMPONENT_MAX + 1,
		    ".%.*s~%016llx%s", BEGINNING_MAX, target,
		    (unsigned long long)digest_check(target, len), SUFFIX);
}
