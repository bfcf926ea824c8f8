#ifndef HAUL_SOCK_SOCKOPT_H
#define HAUL_SOCK_SOCKOPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The socket options behind --sockopt, by name (socket(7), tcp(7), ip(7)). */
struct sockopt_def;

enum { SOCKOPT_LIST_MAX = 32 };

/* What was asked for; all zero is empty. The texts belong to the caller. */
struct sockopt_list {
	struct sockopt_item {
		const struct sockopt_def *def;
		const char *value;
	} items[SOCKOPT_LIST_MAX];
	size_t count;
	bool help;		/* "help" was given instead */
};

/* When an option is set; a row of the table can name several. */
enum sockopt_stage {
	SOCKOPT_LISTEN = 1 << 0,	/* before bind(2) where haul listens */
	SOCKOPT_CONNECT = 1 << 1,	/* before connect(2) */
	SOCKOPT_ACCEPTED = 1 << 2,	/* on a connection from accept(2) */
	SOCKOPT_CREATE = 1 << 3,	/* the protocol given to socket(2) */
	SOCKOPT_CLOSE = 1 << 4,		/* in place of the closing reset */
};

/*
 * Add "NAME=VALUE", or note that "help" was asked for. False for an unknown
 * name, a value of the wrong form, or a full list. The list keeps text.
 */
bool sockopt_list_add(struct sockopt_list *list, const char *text);

/* Whether an option whose name begins so was asked for. */
bool sockopt_list_has(const struct sockopt_list *list, const char *prefix);

/*
 * Set the options of a stage on fd, whose family is one of AF_*. False with *e
 * filled (ERR_USAGE) if the kernel refuses one, or it is of another family.
 */
bool sockopt_apply(const struct sockopt_list *list, enum sockopt_stage stage,
    int fd, int family, const char *who, struct err *e);

/*
 * Whether every option of the list does something on a socket of this kind;
 * false with *e filled (ERR_USAGE). A multicast group of the other family is
 * passed over where sockets of both families are opened.
 */
struct sockopt_kind {
	bool listens;
	bool datagram;
	bool both_families;
	int family;		/* AF_* */
};
bool sockopt_check(const struct sockopt_list *list,
    const struct sockopt_kind *kind, const char *who, struct err *e);

/* The protocol for socket(2): 0, or as asked for ("mptcp"). */
int sockopt_protocol(const struct sockopt_list *list);

/* Walk over the table, from *i = 0: a name and its value; false at the end. */
bool sockopt_describe(size_t *i, const char **name, const char **form,
    const char **help);

#endif
