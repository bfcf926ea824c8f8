#ifndef HAUL_BASE_INTR_H
#define HAUL_BASE_INTR_H

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Interruption by SIGINT, SIGTERM and SIGHUP. A signal makes a descriptor
 * readable, and whoever waits polls it too, or is kicked by somebody who does:
 * so none is missed, neither before a wait nor while there is always something
 * else to do. A signal that was ignored when haul started stays ignored. What
 * differs between platforms is in intr_linux.c and intr_posix.c.
 */

/* Begin; SIGPIPE and SIGXFSZ become errors of the call from now on. */
void intr_install(void);

/* Readable from the first signal on, for ever; -1: not begun. */
int intr_fd(void);

/* The signal that asked haul to end, once a wait has seen it; or 0. */
int intr_signal(void);

/* To be called when intr_fd was readable: intr_signal tells from now on. */
void intr_note(void);

/*
 * Whoever wants to know how far haul is sends SIGUSR1, or SIGINFO where there
 * is one. From intr_status_on on a signal makes intr_status_fd (-1: off)
 * readable until intr_take_status.
 */
void intr_status_on(void);
int intr_status_fd(void);
void intr_take_status(void);

/* End the process by sig, as if it had never been handled. */
void intr_die(int sig);

/*
 * poll(2), to an absolute deadline. Returns the number of ready descriptors, 0
 * at the deadline, -1 when interrupted. Never fails otherwise: it waits again
 * after a stop and a continue.
 */
int intr_poll(struct pollfd *fds, nfds_t count, int64_t deadline_ns);

/*
 * Let a call in which another thread sleeps return with EINTR. The thread may
 * just have been about to sleep: so again and again, until it has seen why. It
 * takes kicks (SIGURG, which does nothing otherwise) from intr_take_kicks on.
 */
void intr_kick(pthread_t thread);
void intr_take_kicks(void);

/*
 * Where the platform can (intr_holds_kicks), a thread may hold kicks back
 * instead: they reach it in intr_poll_kicked alone, and the one that came
 * before is there at once, so that one is enough. That is poll(2), too, without
 * signals: -1 for a kick. Where kicks are not held back it takes none.
 */
bool intr_holds_kicks(void);
void intr_hold_kicks(bool hold);
int intr_poll_kicked(struct pollfd *fds, nfds_t count, int64_t deadline_ns);

/* Sleep until the deadline; false when interrupted. */
bool intr_sleep(int64_t deadline_ns);

#endif
