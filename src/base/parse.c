#include "base/parse.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"

enum {
	DURATION_DAYS_MAX = 1000,
	FRACTION_DIGITS_MAX = 9,
};

/* Read digits of a base at *s, moving it behind them; false if none. */
static bool
take_digits(const char **s, unsigned base, uint64_t max, uint64_t *out)
{
	const char *p;
	uint64_t digit, n = 0;

	for (p = *s; *p >= '0' && *p < (char)('0' + base); p++) {
		digit = (uint64_t)(*p - '0');
		if (digit > max || n > (max - digit) / base)
			return false;
		n = n * base + digit;
	}
	if (p == *s)
		return false;
	*s = p;
	*out = n;
	return true;
}

bool
parse_number(const char *s, uint64_t lo, uint64_t hi, uint64_t *out)
{
	uint64_t n;

	if (!take_digits(&s, 10, hi, &n) || *s != '\0' || n < lo)
		return false;
	*out = n;
	return true;
}

bool
parse_mode(const char *s, int *out)
{
	uint64_t n;

	if (!take_digits(&s, 8, 0777, &n) || *s != '\0')
		return false;
	*out = (int)n;
	return true;
}

static const struct unit {
	const char *name;
	int64_t ns;
} units[] = {
	{ "", CLOCK_SEC },
	{ "ms", CLOCK_MS },
	{ "s", CLOCK_SEC },
	{ "m", 60 * CLOCK_SEC },
	{ "h", 3600 * CLOCK_SEC },
};

/* The digits behind a decimal point, as a fraction of one unit. */
static bool
take_fraction(const char **s, int64_t unit_ns, int64_t *out_ns)
{
	const char *p = *s;
	int64_t part = 0, scale = 1;
	int digits = 0;

	for (; *p >= '0' && *p <= '9'; p++, digits++)
		if (digits < FRACTION_DIGITS_MAX) {
			part = part * 10 + (*p - '0');
			scale *= 10;
		}
	if (digits == 0)
		return false;
	/* Both factors can be near 2^42: divide before multiplying. */
	*out_ns = unit_ns / scale * part + unit_ns % scale * part / scale;
	*s = p;
	return true;
}

bool
parse_duration(const char *s, int64_t *out_ns)
{
	const int64_t max = DURATION_DAYS_MAX * INT64_C(86400) * CLOCK_SEC;
	const char *p, *unit;
	uint64_t whole;
	int64_t fraction = 0;
	size_t i;

	unit = s + strspn(s, "0123456789.");
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(unit, units[i].name) == 0)
			break;
	if (i == sizeof(units) / sizeof(units[0]))
		return false;
	p = s;
	if (!take_digits(&p, 10, (uint64_t)(max / units[i].ns), &whole))
		return false;
	if (*p == '.') {
		p++;
		if (!take_fraction(&p, units[i].ns, &fraction))
			return false;
	}
	if (p != unit)
		return false;
	fraction += (int64_t)whole * units[i].ns;
	if (fraction > max)
		return false;
	*out_ns = fraction;
	return true;
}

bool
parse_size(const char *s, uint64_t *out)
{
	static const char letters[] = "KMGT";
	const uint64_t max = UINT64_C(1) << 62;
	const char *letter, *p = s;
	int64_t fraction = 0;
	uint64_t whole, unit = 1;
	size_t len = strlen(s);

	letter = len > 0 ? strchr(letters, s[len - 1]) : NULL;
	if (letter != NULL && *letter != '\0')
		unit <<= 10 * (letter - letters + 1);
	if (!take_digits(&p, 10, max / unit - 1, &whole))
		return false;
	if (*p == '.') {
		p++;
		if (!take_fraction(&p, (int64_t)unit, &fraction))
			return false;
	}
	if (unit > 1)
		p++;
	whole = whole * unit + (uint64_t)fraction;
	if (*p != '\0' || p != s + len || whole == 0)
		return false;
	*out = whole;
	return true;
}

bool
parse_bool(const char *s, bool *out)
{
	static const char *const yes[] = { "on", "yes", "1" };
	static const char *const no[] = { "off", "no", "0" };
	size_t i;

	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcmp(s, yes[i]) == 0) {
			*out = true;
			return true;
		}
		if (strcmp(s, no[i]) == 0) {
			*out = false;
			return true;
		}
	}
	return false;
}
