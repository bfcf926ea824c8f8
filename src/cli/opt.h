#ifndef HAUL_CLI_OPT_H
#define HAUL_CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * The option tables. A row says everything about an option once: the arrays of
 * getopt_long, --help and the dump that the tests compare with the manual and
 * the completions are made from it. Rows stand in groups, so that subcommands
 * can share them; a group fills one struct, which lies at some offset in the
 * options of the subcommand.
 */
struct opt_type {
	const char *expected;	/* "a duration such as 500ms" */
	/* Store the value of arg in the field; false if it is no such value. */
	bool (*parse)(const char *arg, void *field);
};

struct opt {
	const char *name;	/* without the dashes */
	char letter;		/* 0: none */
	const char *arg;	/* name of the argument; NULL: none */
	const struct opt_type *type;
	size_t offset;		/* of the field in the struct of the group */
	const char *help;
};

struct opt_group {
	const char *title;
	const struct opt *opts;
	size_t count;
	size_t offset;		/* of the struct of the group in the options */
};

struct opt_command {
	const char *name;		/* "listen" */
	const char *summary;		/* one line, for the list of commands */
	const char *const *synopsis;	/* behind "haul listen "; NULL last */
	const char *const *notes;	/* lines under the options, NULL last */
	const struct opt_group *groups;
	size_t group_count;
};

extern const struct opt_type
    opt_flag,		/* bool */
    opt_string,		/* const char *, of argv */
    opt_texts,		/* struct opt_texts, each time it is given */
    opt_duration,	/* int64_t, nanoseconds */
    opt_rate,		/* uint64_t, bytes a second, from 1 */
    opt_fd,		/* int, an open descriptor, not a standard one */
    opt_backlog,	/* int */
    opt_count,		/* uint64_t, from 1 */
    opt_mode;		/* int */

/* The values of an option that can be repeated, of argv. */
enum { OPT_TEXTS_MAX = 256 };
struct opt_texts {
	const char *v[OPT_TEXTS_MAX];
	size_t count;
};

/*
 * Parse argv, whose first element is the name of the subcommand, into options,
 * which holds the defaults. Options are accepted behind operands, "--" ends
 * them; afterwards argv + 1 holds the operands alone, and a NULL.
 * False with *e filled for an unknown, abbreviated or ill-formed option.
 */
bool opt_parse(const struct opt_command *cmd, int argc, char **argv,
    void *options, struct err *e);

/*
 * The same, but what stands behind "--" is the words of a command: *command
 * is the first of them, and NULL if there is none.
 */
bool opt_parse_command(const struct opt_command *cmd, int argc, char **argv,
    void *options, char *const **command, struct err *e);

/* Fill *e with a usage error that points to the help of cmd. Returns false. */
bool opt_usage(const struct opt_command *cmd, struct err *e, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));

/* The help of cmd, on standard output. */
void opt_help(const struct opt_command *cmd);

/*
 * A line for every option of cmd, on standard output: subcommand, long name,
 * short name or "-", argument or "-", help, with tabs between them.
 */
void opt_dump(const struct opt_command *cmd);

#endif
