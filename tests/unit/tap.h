#ifndef HAUL_TESTS_TAP_H
#define HAUL_TESTS_TAP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The Test Anything Protocol: "ok N - name" for each test, comments behind #,
 * the plan at the end. The report goes to the standard output that the program
 * was started with, whatever becomes of descriptor 1. A program that hangs is
 * killed by SIGALRM after some minutes.
 */

/* To be called first. */
void tap_start(void);

/* Whether a tool (valgrind) runs this, which takes twenty times as long. */
bool tap_is_slow(void);

/* A test with its name; returns passed. */
bool tap_ok(bool passed, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A test that cannot be made here. */
void tap_skip(const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A comment, mostly on the failed test above. */
void tap_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Tests of equality that show both values where they differ; the name is the
 * format.
 */
bool tap_int(long long got, long long expected, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool tap_text(const char *got, const char *expected, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Print the plan; returns the exit status of the program. */
int tap_done(void);

/*
 * The seed of this run, printed when it is asked for first: HAUL_SEED from the
 * environment, or another one each time.
 */
uint64_t tap_seed(void);

/* A sequence of pseudo-random numbers (splitmix64) that goes on from *state. */
uint64_t tap_random(uint64_t *state);

#endif
