#ifndef HAUL_BASE_INTR_H
#define HAUL_BASE_INTR_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Interruption by SIGINT, SIGTERM and SIGHUP. Their handler sets a flag and
 * does nothing else. They are blocked except while intr_poll (or a system
 * call that was given intr_mask) sleeps, so that none is missed between the
 * look at the flag and the sleep. A signal that was ignored when haul started
 * stays ignored. One file a platform: intr_linux.c, intr_posix.c.
 */

/* Install the handlers; SIGPIPE and SIGXFSZ become errors of the call. */
void intr_install(void);

/* The signal that asked haul to end, or 0. */
int intr_signal(void);

/* End the process by sig, as if it had never been handled. */
void intr_die(int sig);

/*
 * The signal mask to sleep with, for system calls that take one; NULL where
 * the signals are not blocked in the first place.
 */
const sigset_t *intr_mask(void);

/*
 * poll(2), to an absolute deadline. Returns the number of ready descriptors, 0
 * at the deadline, -1 when interrupted. Never fails otherwise: it waits again
 * after a stop and a continue.
 */
int intr_poll(struct pollfd *fds, nfds_t count, int64_t deadline_ns);

/* Sleep until the deadline; false when interrupted. */
bool intr_sleep(int64_t deadline_ns);

#endif
