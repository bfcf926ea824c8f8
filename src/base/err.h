#ifndef HAUL_BASE_ERR_H
#define HAUL_BASE_ERR_H

#include <stdbool.h>

/*
 * The reason of a failure. Functions that can fail take a struct err last and
 * fill it once, where the failure is seen; nothing below cli/ prints. The code
 * is the exit status of the run (section "exit status" of haul(1)).
 */
enum err_code {
	ERR_NONE = 0,
	ERR_LOCAL = 1,		/* stdin, stdout, a file, memory */
	ERR_USAGE = 2,		/* the command line */
	ERR_RESOLVE = 3,	/* a name could not be resolved */
	ERR_CONNECT = 4,	/* refused, unreachable */
	ERR_BIND = 5,		/* could not bind or listen */
	ERR_TIMEOUT = 6,	/* a time limit passed */
	ERR_BROKEN = 7,		/* the connection broke, or ended early */
	ERR_PEER = 9,		/* refused, no transfer protocol, damaged */
	ERR_EXEC = 126,		/* COMMAND could not be run */
	ERR_NOT_FOUND = 127,	/* COMMAND was not found */
};

enum {
	ERR_WHO_MAX = 384,
	ERR_TEXT_MAX = 1024,
};

struct err {
	enum err_code code;
	int sys;			/* errno, or 0 */
	bool quiet;			/* sets the status, is not printed */
	char who[ERR_WHO_MAX];		/* "192.0.2.7 port 80", or "" */
	char text[ERR_TEXT_MAX];	/* phase or cause, or "" */
	struct err *next;		/* further reasons; owned */
};

/*
 * Fill *e, which may hold an earlier reason (it is replaced, and who and the
 * text may come from it). sys is an errno value whose text is appended when
 * the line is printed, or 0. who and the text may be "".
 */
void err_set(struct err *e, enum err_code code, int sys, const char *who,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/*
 * Whether an errno value says that descriptors or memory are exhausted: what
 * may do later, and would fare no better with another address.
 */
bool err_is_exhausted(int sys);

/* Fill *e with "cannot allocate memory" (ERR_LOCAL). */
void err_no_memory(struct err *e);

/* Append a copy of *more to the reasons of e, or become it if e is empty. */
void err_append(struct err *e, const struct err *more);

/* Move *from into *to; from is empty afterwards. */
void err_move(struct err *to, struct err *from);

/* Free the further reasons and make *e empty. */
void err_clear(struct err *e);

/*
 * The text of one reason, without its successors, as it stands behind the
 * "haul connect: " of a message: WHO: TEXT: CAUSE. Returns buf.
 */
char *err_format(const struct err *e, char *buf, unsigned long size);

#endif
