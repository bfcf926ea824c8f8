/* Text to numbers: what is taken, what is refused, and what is left alone. */
#include "base/parse.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tap.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum { HOSTILE_BYTES = 64 * 1024 };

static const struct number_case {
	const char *text;
	uint64_t lo, hi;
	bool ok;
	uint64_t value;
} numbers[] = {
	{ "0", 0, 65535, true, 0 },
	{ "1", 0, 65535, true, 1 },
	{ "65535", 0, 65535, true, 65535 },
	{ "65536", 0, 65535, false, 0 },
	{ "99999", 0, 65535, false, 0 },
	{ "0000000000000000000000080", 0, 65535, true, 80 },
	{ "18446744073709551615", 0, UINT64_MAX, true, UINT64_MAX },
	{ "18446744073709551616", 0, UINT64_MAX, false, 0 },
	{ "18446744073709551696", 0, 65535, false, 0 },
	{ "99999999999999999999999999", 0, UINT64_MAX, false, 0 },
	{ "4294967296", 0, UINT32_MAX, false, 0 },
	{ "0", 1, 10, false, 0 },
	{ "1", 1, 10, true, 1 },
	{ "10", 1, 10, true, 10 },
	{ "11", 1, 10, false, 0 },
	{ "5", 0, 5, true, 5 },
	{ "6", 0, 5, false, 0 },
	{ "9", 0, 5, false, 0 },
	{ "1", 0, 0, false, 0 },
	{ "0", 0, 0, true, 0 },
	{ "", 0, 10, false, 0 },
	{ " 1", 0, 10, false, 0 },
	{ "1 ", 0, 10, false, 0 },
	{ "1\n", 0, 10, false, 0 },
	{ "+1", 0, 10, false, 0 },
	{ "-1", 0, UINT64_MAX, false, 0 },
	{ "-0", 0, 10, false, 0 },
	{ "0x10", 0, 100, false, 0 },
	{ "1e3", 0, 10000, false, 0 },
	{ "1.0", 0, 10, false, 0 },
	{ "1,000", 0, 10000, false, 0 },
	{ "\xd9\xa1", 0, 10, false, 0 },	/* an Arabic digit one */
	{ "/", 0, 100, false, 0 },		/* around the digits */
	{ ":", 0, 100, false, 0 },
};

static void
test_numbers(void)
{
	const struct number_case *c;
	uint64_t out;
	bool ok;
	size_t i;

	for (i = 0; i < COUNT(numbers); i++) {
		c = &numbers[i];
		out = 4711;
		ok = parse_number(c->text, c->lo, c->hi, &out);
		tap_ok(ok == c->ok && out == (ok ? c->value : 4711),
		    "number \"%s\" from %llu to %llu", c->text,
		    (unsigned long long)c->lo, (unsigned long long)c->hi);
	}
}

static const struct mode_case {
	const char *text;
	bool ok;
	int value;
} modes[] = {
	{ "0", true, 0 },
	{ "600", true, 0600 },
	{ "0600", true, 0600 },
	{ "777", true, 0777 },
	{ "000000777", true, 0777 },
	{ "1000", false, 0 },
	{ "7777", false, 0 },
	{ "8", false, 0 },
	{ "608", false, 0 },
	{ "0o600", false, 0 },
	{ "u=rw", false, 0 },
	{ "-600", false, 0 },
	{ "600 ", false, 0 },
	{ "", false, 0 },
	{ "7777777777777777777777777", false, 0 },
};

static void
test_modes(void)
{
	size_t i;
	int out;
	bool ok;

	for (i = 0; i < COUNT(modes); i++) {
		out = -4711;
		ok = parse_mode(modes[i].text, &out);
		tap_ok(ok == modes[i].ok &&
		    out == (ok ? modes[i].value : -4711), "mode \"%s\"",
		    modes[i].text);
	}
}

#define MINUTE	(60 * CLOCK_SEC)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)

static const struct duration_case {
	const char *text;
	bool ok;
	int64_t ns;
} durations[] = {
	{ "0", true, 0 },
	{ "0ms", true, 0 },
	{ "1", true, CLOCK_SEC },
	{ "2s", true, 2 * CLOCK_SEC },
	{ "250ms", true, 250 * CLOCK_MS },
	{ "1.5m", true, 90 * CLOCK_SEC },
	{ "1h", true, HOUR },
	{ "0.5h", true, 30 * MINUTE },
	{ "0.001", true, CLOCK_MS },
	{ "0.5ms", true, CLOCK_MS / 2 },
	{ "1.999999999s", true, 2 * CLOCK_SEC - 1 },
	{ "1.9999999999999999999999s", true, 2 * CLOCK_SEC - 1 },
	{ "0.999999999h", true, HOUR - 3600 },
	{ "0.333333333m", true, 19999999980 },
	{ "86400000", true, 1000 * DAY },
	{ "86400001", false, 0 },
	{ "24000h", true, 1000 * DAY },
	{ "24001h", false, 0 },
	{ "24000.5h", false, 0 },
	{ "86400000.000000001", false, 0 },
	{ "86400000000ms", true, 1000 * DAY },
	{ "86400000001ms", false, 0 },
	{ "9223372036854775807", false, 0 },
	{ "18446744073709551616", false, 0 },
	{ "99999999999999999999999999999h", false, 0 },
	{ "", false, 0 },
	{ "ms", false, 0 },
	{ ".", false, 0 },
	{ ".5", false, 0 },
	{ "1.", false, 0 },
	{ "1.s", false, 0 },
	{ "1..5", false, 0 },
	{ "1.5.5s", false, 0 },
	{ "1,5s", false, 0 },
	{ "-1", false, 0 },
	{ "+1", false, 0 },
	{ " 1", false, 0 },
	{ "1 s", false, 0 },
	{ "1s ", false, 0 },
	{ "1S", false, 0 },
	{ "1sec", false, 0 },
	{ "1msec", false, 0 },
	{ "1us", false, 0 },
	{ "1d", false, 0 },
	{ "1h30m", false, 0 },
	{ "1e3", false, 0 },
	{ "0x10", false, 0 },
	{ "inf", false, 0 },
	{ "nan", false, 0 },
};

static const struct size_case {
	const char *text;
	bool ok;
	uint64_t value;
} sizes[] = {
	{ "1", true, 1 },
	{ "65507", true, 65507 },
	{ "500K", true, 500 * 1024 },
	{ "1.5M", true, 3 * 512 * 1024 },
	{ "0.5K", true, 512 },
	{ "2G", true, UINT64_C(2) << 30 },
	{ "1T", true, UINT64_C(1) << 40 },
	{ "1.9", true, 1 },
	{ "4194303T", true, UINT64_C(4194303) << 40 },
	{ "4194304T", false, 0 },
	{ "18446744073709551616", false, 0 },
	{ "0", false, 0 },
	{ "0.0001K", false, 0 },
	{ "", false, 0 },
	{ "K", false, 0 },
	{ ".5K", false, 0 },
	{ "1.K", false, 0 },
	{ "1k", false, 0 },
	{ "1KB", false, 0 },
	{ "1KK", false, 0 },
	{ "1 K", false, 0 },
	{ "-1", false, 0 },
	{ "0x10", false, 0 },
	{ "1e3", false, 0 },
};

static void
test_sizes(void)
{
	uint64_t out;
	size_t i;
	bool ok;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		out = 7;
		ok = parse_size(sizes[i].text, &out);
		tap_ok(ok == sizes[i].ok &&
		    out == (ok ? sizes[i].value : 7), "size %s",
		    sizes[i].text);
	}
}

static void
test_durations(void)
{
	const struct duration_case *c;
	int64_t out;
	size_t i;
	bool ok;

	for (i = 0; i < COUNT(durations); i++) {
		c = &durations[i];
		out = -4711;
		ok = parse_duration(c->text, &out);
		if (!tap_ok(ok == c->ok && out == (ok ? c->ns : -4711),
		    "duration \"%s\"", c->text))
			tap_note("got %s, %lld ns", ok ? "true" : "false",
			    (long long)out);
	}
}

static const struct bool_case {
	const char *text;
	bool ok, value;
} bools[] = {
	{ "on", true, true }, { "yes", true, true }, { "1", true, true },
	{ "off", true, false }, { "no", true, false }, { "0", true, false },
	{ "", false, false }, { "ON", false, false }, { "true", false, false },
	{ "on ", false, false }, { "2", false, false }, { "o", false, false },
	{ "00", false, false },
};

static void
test_bools(void)
{
	size_t i;
	bool a, b, ok;

	for (i = 0; i < COUNT(bools); i++) {
		a = true;
		b = false;
		ok = parse_bool(bools[i].text, &a);
		tap_ok(ok == bools[i].ok && parse_bool(bools[i].text, &b) ==
		    ok && (ok ? a == bools[i].value && b == a : a && !b),
		    "bool \"%s\"", bools[i].text);
	}
}

/* Texts of 64 KiB of one byte, which nothing may take for a small number. */
static void
test_hostile(void)
{
	static const char bytes[] = "019.-% s\xff\n";
	char *text = malloc(HOSTILE_BYTES + 1);
	uint64_t n;
	int64_t ns;
	const char *c;
	int mode;
	bool ok, on;

	if (text == NULL) {
		tap_ok(false, "memory for hostile texts");
		return;
	}
	for (c = bytes; *c != '\0'; c++) {
		memset(text, *c, HOSTILE_BYTES);
		text[HOSTILE_BYTES] = '\0';
		n = 1;
		ok = parse_number(text, 0, 65535, &n);
		tap_ok(ok == (*c == '0') && n == (ok ? 0 : 1),
		    "number: 64 KiB of 0x%02x", (unsigned char)*c);
		ok = parse_duration(text, &ns);
		tap_ok(ok == (*c == '0'), "duration: 64 KiB of 0x%02x",
		    (unsigned char)*c);
		tap_ok(parse_mode(text, &mode) == (*c == '0') &&
		    !parse_bool(text, &on), "mode, bool: 64 KiB of 0x%02x",
		    (unsigned char)*c);
	}
	free(text);
}

int
main(void)
{
	tap_start();
	test_numbers();
	test_modes();
	test_sizes();
	test_durations();
	test_bools();
	test_hostile();
	return tap_done();
}
