#ifndef HAUL_SOCK_CHILD_H
#define HAUL_SOCK_CHILD_H

#include "sock/sock.h"

/*
 * A COMMAND that runs on a connection, which is its standard input and output.
 * It is read like a socket: sock_recv returns SK_EOF once the command has
 * ended (and never any bytes).
 */
struct child_command {
	char *const *argv;	/* NULL last; NULL: shell */
	const char *shell;	/* for "/bin/sh -c" */
	uint64_t files_max;	/* its soft RLIMIT_NOFILE; 0: as ours is */
};

/*
 * Start a command. conn becomes its standard input and output (a description
 * that is blocking, and lingers as usual from now on) and stays the caller's as
 * well. ends is whose names the environment tells (sock_get_ends): conn, or the
 * client on whose behalf conn is. NULL with *e filled: ERR_EXEC, ERR_NOT_FOUND,
 * ERR_LOCAL.
 */
struct sock *child_start(const struct child_command *command,
    struct sock *conn, const struct sock *ends, enum sk_mode mode,
    struct err *e);

/*
 * The same, but the process is started by a thread of its own, while the caller
 * goes on: sock_connect, in non-blocking mode, tells when it runs (SK_OK), or
 * SK_ERROR with *e. Up to then command and conn stay as they are. After that
 * nothing waits for what sock_connect has waited for: it is to be forgotten
 * before the next call.
 */
struct sock *child_start_aside(const struct child_command *command,
    struct sock *conn, const struct sock *ends, struct err *e);

/* At most so many start at a time; each has two descriptors meanwhile. */
enum { CHILD_HELPERS = 4 };

/* End those threads, when no sock of them is left. */
void child_helpers_end(void);

/* Of one that has ended: its exit status, or 128 and the signal. */
int child_status(const struct sock *child);

/* Send a signal to the command and what it has started (its process group). */
void child_signal(const struct sock *child, int sig);

/*
 * A connected pair of UNIX streams for a command that is not to have the
 * connection itself: near is ours, far is for child_start. name is near's.
 */
bool child_pair(enum sk_mode mode, const char *name, struct sock **near,
    struct sock **far, struct err *e);

#endif
