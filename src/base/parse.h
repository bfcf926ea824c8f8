#ifndef HAUL_BASE_PARSE_H
#define HAUL_BASE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Text to numbers. Each takes the whole string or nothing, returns false for
 * anything else (an empty string, a sign, a trailing character, a value out of
 * range) and leaves *out alone then.
 */

/* A decimal number from lo to hi. */
bool parse_number(const char *s, uint64_t lo, uint64_t hi, uint64_t *out);

/* An octal file mode, 0 to 0777. */
bool parse_mode(const char *s, int *out);

/*
 * A duration: "250ms", "2s", "1.5m", "1h"; a bare number is seconds. From 0
 * to 1000 days, in nanoseconds.
 */
bool parse_duration(const char *s, int64_t *out_ns);

/*
 * A size or rate: "500K", "1.5M", "2G", "1T" (powers of 1024); a bare number is
 * bytes. From 1 to 2^62, the rest behind the point cut.
 */
bool parse_size(const char *s, uint64_t *out);

/* "on", "yes", "1" or "off", "no", "0". */
bool parse_bool(const char *s, bool *out);

#endif
