#ifndef HAUL_SOCK_SOCKOPT_IMPL_H
#define HAUL_SOCK_SOCKOPT_IMPL_H

#include <stddef.h>

#include "sock/sockopt.h"

enum sockopt_form {
	FORM_NUMBER,
	FORM_BOOL,
	FORM_DSCP,	/* 0 to 63, the upper six bits of the field */
	FORM_SECONDS,	/* of struct linger */
	FORM_TEXT,
	FORM_FRAGMENT,	/* a bool that chooses one of two numbers */
	FORM_GROUP,	/* a multicast address, with %interface */
	FORM_PROTOCOL,	/* a bool that chooses the protocol of socket(2) */
};

enum {
	ANY_FAMILY = -1,	/* in level6: the same for every family */
	INET_ONLY = -2,		/* in level6: the same for IPv4 and IPv6 */
};

struct sockopt_def {
	const char *name;
	enum sockopt_form form;
	unsigned stages;
	int level, option;	/* of every family, or of IPv4 */
	int level6, option6;	/* of IPv6, or ANY_FAMILY, or INET_ONLY */
	int off, on;		/* FORM_FRAGMENT, FORM_PROTOCOL */
	const char *help;	/* NULL: told by another row of the same name */
};

/* The rows that a platform adds; a file each: sockopt_linux, sockopt_posix. */
extern const struct sockopt_def sockopt_platform[];
extern const size_t sockopt_platform_count;

#endif
