/* Which names of a sender are taken, and what partial files are called. */
#include "transfer/name.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "transfer/wire.h"

#define SIZED(text)	text, sizeof(text) - 1
#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum {
	RANDOM_NAMES = 100 * 1000,
	RANDOM_MAX = 24,
	PATH_BUFFER = 2 * WIRE_NAME_MAX,
};

struct sample {
	const char *name;
	size_t len;
};

/* Each leads, or may lead, out of the directory, or is no name at all. */
static const struct sample hostile[] = {
	{ SIZED("") },
	{ SIZED("/") },
	{ SIZED("//") },
	{ SIZED("/etc/passwd") },
	{ SIZED("//etc/passwd") },
	{ SIZED("/.") },
	{ SIZED("/..") },
	{ SIZED(".") },
	{ SIZED("./") },
	{ SIZED("./x") },
	{ SIZED("./.") },
	{ SIZED("./..") },
	{ SIZED("..") },
	{ SIZED("../") },
	{ SIZED("../x") },
	{ SIZED("../..") },
	{ SIZED("../../../../../../etc/passwd") },
	{ SIZED("..//x") },
	{ SIZED("a/..") },
	{ SIZED("a/../") },
	{ SIZED("a/../b") },
	{ SIZED("a/../../b") },
	{ SIZED("a/b/..") },
	{ SIZED("a/b/../../../c") },
	{ SIZED("a/.") },
	{ SIZED("a/./b") },
	{ SIZED("a/./..") },
	{ SIZED("a/") },
	{ SIZED("a/b/") },
	{ SIZED("a//") },
	{ SIZED("a//b") },
	{ SIZED("a///b") },
	{ SIZED("a//..") },
	{ SIZED(".hidden/..") },
	{ SIZED("\0") },
	{ SIZED("\0a") },
	{ SIZED("a\0") },
	{ SIZED("a\0b") },
	{ SIZED("a/\0") },
	{ SIZED("a/\0/b") },
	{ SIZED("a\0/../b") },
	{ SIZED("..\0") },
	{ SIZED("..\0/x") },
	{ SIZED("/\0") },
	{ SIZED("a/b\0/../../c") },
	/* Unfinished files, ours or those of a transfer that goes on. */
	{ SIZED(".x.haul-part") },
	{ SIZED("..x.haul-part") },
	{ SIZED("...haul-part") },
	{ SIZED(". .haul-part") },
	{ SIZED("a/.x.haul-part") },
	{ SIZED(".x.haul-part/b") },
	{ SIZED("a/.x.haul-part/b") },
	{ SIZED(".x.haul-part.haul-part") },
	{ SIZED(".x~0123456789abcdef.haul-part") },
	{ SIZED(".\n.haul-part") },
};

/* Each looks odd, and is a name like any other. */
static const struct sample harmless[] = {
	{ SIZED("a") },
	{ SIZED("a/b/c/d/e/f/g") },
	{ SIZED("...") },
	{ SIZED("....") },
	{ SIZED(".../...") },
	{ SIZED("..a") },
	{ SIZED("a..") },
	{ SIZED("a..b") },
	{ SIZED(".a") },
	{ SIZED("a.") },
	{ SIZED("..a/..b") },
	{ SIZED("a../b..") },
	{ SIZED(".. /x") },
	{ SIZED(" ..") },
	{ SIZED("..\n") },
	{ SIZED("..\t/x") },
	{ SIZED(" ") },
	{ SIZED(" /  ") },
	{ SIZED("-") },
	{ SIZED("-rf") },
	{ SIZED("--force") },
	{ SIZED("~") },
	{ SIZED("~root/.ssh/authorized_keys") },
	{ SIZED("\\") },
	{ SIZED("..\\..\\x") },
	{ SIZED("C:\\autoexec.bat") },
	{ SIZED("C:x") },
	{ SIZED("\\\\host\\share") },
	{ SIZED("NUL") },
	{ SIZED("file:stream") },
	{ SIZED("%2e%2e%2fx") },
	{ SIZED("%s%n") },
	{ SIZED("*") },
	{ SIZED("?") },
	{ SIZED("$(reboot)") },
	{ SIZED("`reboot`") },
	{ SIZED("a;b|c&d") },
	{ SIZED("'\"") },
	{ SIZED("a\nb") },
	{ SIZED("\n") },
	{ SIZED("\r") },
	{ SIZED("\x1b[2J") },
	{ SIZED("\x7f") },
	{ SIZED("\x01/\x02") },
	{ SIZED("\x80") },
	{ SIZED("\xff\xfe") },
	{ SIZED("\xc0\xae\xc0\xae/x") },		/* overlong ".." */
	{ SIZED("\xc0\xaf" "etc") },			/* overlong "/" */
	{ SIZED("\xef\xbc\x8e\xef\xbc\x8e") },	/* full-width ".." */
	{ SIZED("\xe2\x80\xa5") },			/* two dot leader */
	{ SIZED("\xe2\x88\x95" "etc") },		/* division slash */
	{ SIZED("gpj.\xe2\x80\xae" "exe") },		/* right to left */
	{ SIZED("\xe2\x80\x8b") },			/* zero width */
	{ SIZED("a\xcc\x81") },			/* a combining accent */
	{ SIZED(".haul-part") },
	{ SIZED("..haul-part") },
	{ SIZED("x.haul-part") },
	{ SIZED(".x.haul-part~") },
	{ SIZED(".x.haul-parts") },
	{ SIZED(".x.haul-par") },
	{ SIZED(".x-haul-part") },
	{ SIZED("haul-part") },
	{ SIZED("x/haul-part") },
	{ SIZED("x/.haul-part") },
	{ SIZED(".x/haul-part") },
};

/* A copy without anything behind it, so that reading on is seen. */
static const char *
fault_of(const char *name, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);
	const char *fault;

	if (copy == NULL)
		return "no memory";
	memcpy(copy, name, len);
	fault = name_fault(copy, len);
	free(copy);
	return fault;
}

static void
test_samples(void)
{
	const char *fault;
	size_t i;

	for (i = 0; i < COUNT(hostile); i++) {
		fault = fault_of(hostile[i].name, hostile[i].len);
		if (tap_ok(fault != NULL, "refused: %.*s (%zu bytes)",
		    (int)hostile[i].len, hostile[i].name, hostile[i].len) &&
		    *fault == '\0')
			(void)tap_ok(false, "with a reason");
	}
	for (i = 0; i < COUNT(harmless); i++) {
		fault = fault_of(harmless[i].name, harmless[i].len);
		if (!tap_ok(fault == NULL, "taken: %.*s",
		    (int)harmless[i].len, harmless[i].name))
			tap_note("%s", fault);
	}
}

/* Parts of that many bytes, together len bytes. */
static const char *
long_name(size_t part, size_t len)
{
	static char name[PATH_BUFFER];
	size_t i;

	for (i = 0; i < len; i++)
		name[i] = i % (part + 1) == part ? '/' : 'x';
	name[len] = '\0';
	return name;
}

/* The three in one, which has PATH_BUFFER bytes. */
static void
concat(char *to, const char *a, const char *b, const char *c)
{
	size_t len = 0;

	for (; *a != '\0' && len < PATH_BUFFER - 1; a++)
		to[len++] = *a;
	for (; *b != '\0' && len < PATH_BUFFER - 1; b++)
		to[len++] = *b;
	for (; *c != '\0' && len < PATH_BUFFER - 1; c++)
		to[len++] = *c;
	to[len] = '\0';
}

static void
test_lengths(void)
{
	char name[PATH_BUFFER];

	tap_ok(fault_of(long_name(255, 255), 255) == NULL,
	    "taken: a part of 255 bytes");
	tap_ok(fault_of(long_name(256, 256), 256) != NULL,
	    "refused: a part of 256 bytes");
	tap_ok(fault_of(long_name(255, 511), 511) == NULL,
	    "taken: two parts of 255 bytes");
	concat(name, "a/", long_name(256, 256), "");
	tap_ok(fault_of(name, strlen(name)) != NULL,
	    "refused: a last part of 256 bytes");
	concat(name, "", long_name(256, 256), "/a");
	tap_ok(fault_of(name, strlen(name)) != NULL,
	    "refused: a first part of 256 bytes");
	tap_ok(fault_of(long_name(255, WIRE_NAME_MAX), WIRE_NAME_MAX) == NULL,
	    "taken: 4095 bytes in all");
	tap_ok(fault_of(long_name(100, WIRE_NAME_MAX + 1), WIRE_NAME_MAX + 1) !=
	    NULL, "refused: 4096 bytes in all");
	tap_ok(fault_of(long_name(1, WIRE_NAME_MAX), WIRE_NAME_MAX) == NULL,
	    "taken: 2048 parts");
	tap_ok(fault_of(long_name(1, WIRE_NAME_MAX - 1), WIRE_NAME_MAX - 1) !=
	    NULL, "refused: a slash at the end of a long name");
}

/* The same rules once more, told in another way. */
static bool
is_good(const char *name, size_t len)
{
	static const char suffix[] = ".haul-part";
	size_t i, n, s = sizeof(suffix) - 1;
	char part[RANDOM_MAX + 1];

	for (i = 0; i <= len; i += n + 1) {
		for (n = 0; i + n < len && name[i + n] != '/'; n++)
			part[n] = name[i + n];
		part[n] = '\0';
		if (strlen(part) != n || n == 0 || strcmp(part, ".") == 0 ||
		    strcmp(part, "..") == 0)
			return false;
		if (part[0] == '.' && n >= s + 2 &&
		    strcmp(part + n - s, suffix) == 0)
			return false;
	}
	return true;
}

static void
test_random(void)
{
	static const char *const pieces[] = { "/", ".", "..", "a", "/", "b/",
	    "", ".haul-part", "//", "/./", "/../", "\n" };
	uint64_t seed = tap_seed();
	char name[RANDOM_MAX + 16];
	size_t len, n, good = 0, wrong = 0;
	const char *piece;
	int i;

	for (i = 0; i < RANDOM_NAMES && wrong == 0; i++) {
		for (len = 0; len < RANDOM_MAX &&
		    tap_random(&seed) % 6 != 0; len += n) {
			piece = pieces[tap_random(&seed) % COUNT(pieces)];
			/* The empty one is a NUL. */
			n = *piece == '\0' ? tap_random(&seed) % 8 == 0 :
			    strlen(piece);
			memcpy(name + len, piece, n);
		}
		if (len > RANDOM_MAX)
			len = RANDOM_MAX;
		if (is_good(name, len) != (fault_of(name, len) == NULL)) {
			tap_note("%.*s (%zu bytes)", (int)len, name, len);
			wrong++;
		}
		good += is_good(name, len);
	}
	tap_ok(wrong == 0 && good > 0, "%d random names", RANDOM_NAMES);
}

/* Partial files. */

static const char *
partial_of(const char *name)
{
	static char partial[NAME_COMPONENT_MAX + 1];

	memset(partial, 'x', sizeof(partial));
	name_partial(name, partial);
	return partial;
}

static void
test_partial_lengths(void)
{
	char first[NAME_COMPONENT_MAX + 1];
	size_t len, wrong = 0;
	const char *name, *partial;

	for (len = 1; len <= NAME_COMPONENT_MAX; len++) {
		name = long_name(NAME_COMPONENT_MAX, len);
		partial = partial_of(name);
		if (memchr(partial, '\0', NAME_COMPONENT_MAX + 1) == NULL ||
		    strchr(partial, '/') != NULL ||
		    strcmp(partial, name) == 0 || !name_is_partial(partial) ||
		    name_fault(partial, strlen(partial)) == NULL) {
			tap_note("%zu bytes: %s", len, partial);
			wrong++;
		}
		memcpy(first, partial, strlen(partial) + 1);
		if (strcmp(partial_of(name), first) != 0)
			wrong++;
	}
	tap_ok(wrong == 0, "names of 1 to 255 bytes have a partial name");
}

static void
test_partial(void)
{
	char a[NAME_COMPONENT_MAX + 1], b[NAME_COMPONENT_MAX + 1];
	char one[NAME_COMPONENT_MAX + 1], whole[PATH_BUFFER];

	tap_text(partial_of("x"), ".x.haul-part", "the partial file of x");
	tap_text(partial_of(".x"), "..x.haul-part", "the partial file of .x");
	concat(whole, ".", long_name(255, 244), ".haul-part");
	tap_text(partial_of(long_name(255, 244)), whole,
	    "a name of 244 bytes stands in it whole");
	test_partial_lengths();
	memcpy(a, long_name(255, 255), 256);
	memcpy(b, a, sizeof(b));
	b[254] = 'y';
	memcpy(one, partial_of(a), sizeof(one));
	tap_ok(strcmp(one, partial_of(b)) != 0,
	    "long names that differ at their end have different ones");
	b[253] = 'y';
	b[254] = '\0';
	tap_ok(strcmp(one, partial_of(b)) != 0,
	    "long names of different lengths have different ones");
	tap_ok(!name_is_partial("x") && !name_is_partial("") &&
	    !name_is_partial(".haul-part") && !name_is_partial("x.haul-part"),
	    "others are none");
}

int
main(void)
{
	tap_start();
	test_samples();
	test_lengths();
	test_random();
	test_partial();
	return tap_done();
}
