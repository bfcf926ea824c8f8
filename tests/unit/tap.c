#include "tap.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	HANG_LIMIT_S = 200,
	NAME_BYTES = 256,
	REPORT_FD_MIN = 100,	/* out of the way of the descriptors tested */
};

static struct {
	FILE *report;
	int count, failed;
	bool seeded;
	uint64_t seed;
} tap;

void
tap_start(void)
{
	int fd;

	(void)alarm(HANG_LIMIT_S);
	fd = fcntl(STDOUT_FILENO, F_DUPFD, REPORT_FD_MIN);
	if (fd == -1 || fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ||
	    (tap.report = fdopen(fd, "w")) == NULL) {
		perror("tap_start");
		exit(1);
	}
	(void)setvbuf(tap.report, NULL, _IOLBF, 0);
}

bool
tap_is_slow(void)
{
	const char *tool = getenv("RUN_UNDER");

	return tool != NULL && *tool != '\0';
}

/* A name may quote hostile input, but is one line without a directive. */
static void
put(bool passed, char *name, const char *directive)
{
	char *c;

	for (c = name; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == '#')
			*c = '?';
	(void)fprintf(tap.report, "%sok %d - %s%s\n", passed ? "" : "not ",
	    ++tap.count, name, directive);
	tap.failed += !passed;
}

/* The name of a test, from the format that ends the arguments of fn. */
#define FORMAT_NAME(name, fmt) do {					\
	va_list ap;							\
									\
	va_start(ap, fmt);						\
	(void)vsnprintf(name, sizeof(name), fmt, ap);			\
	va_end(ap);							\
} while (0)

bool
tap_ok(bool passed, const char *fmt, ...)
{
	char name[NAME_BYTES];

	FORMAT_NAME(name, fmt);
	put(passed, name, "");
	return passed;
}

void
tap_skip(const char *reason, const char *fmt, ...)
{
	char name[NAME_BYTES], directive[NAME_BYTES];

	FORMAT_NAME(name, fmt);
	(void)snprintf(directive, sizeof(directive), " # SKIP %s", reason);
	put(true, name, directive);
}

void
tap_note(const char *fmt, ...)
{
	char text[4 * NAME_BYTES];

	FORMAT_NAME(text, fmt);
	(void)fprintf(tap.report, "# %s\n", text);
}

bool
tap_int(long long got, long long expected, const char *fmt, ...)
{
	char name[NAME_BYTES];

	FORMAT_NAME(name, fmt);
	put(got == expected, name, "");
	if (got != expected)
		tap_note("got %lld, expected %lld", got, expected);
	return got == expected;
}

bool
tap_text(const char *got, const char *expected, const char *fmt, ...)
{
	char name[NAME_BYTES];
	bool passed = strcmp(got, expected) == 0;

	FORMAT_NAME(name, fmt);
	put(passed, name, "");
	if (!passed) {
		tap_note("got      \"%.200s\"", got);
		tap_note("expected \"%.200s\"", expected);
	}
	return passed;
}

int
tap_done(void)
{
	(void)fprintf(tap.report, "1..%d\n", tap.count);
	if (fclose(tap.report) != 0)
		return 1;
	return tap.failed > 0;
}

uint64_t
tap_seed(void)
{
	const char *text = getenv("HAUL_SEED");

	if (tap.seeded)
		return tap.seed;
	if (text != NULL)
		tap.seed = strtoull(text, NULL, 10);
	else
		tap.seed = (uint64_t)time(NULL) << 16 ^ (uint64_t)getpid();
	tap.seeded = true;
	tap_note("HAUL_SEED=%llu", (unsigned long long)tap.seed);
	return tap.seed;
}

uint64_t
tap_random(uint64_t *state)
{
	uint64_t z;

	z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}
