#include "cli/opt.h"

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"

enum {
	OPTIONS_MAX = 64,
	FIRST_LONG = 256,	/* getopt's value of the first row */
	OPERAND = 1,		/* and of an operand */
	HELP_COLUMN = 27,
};

static bool
parse_flag(const char *arg, void *field)
{
	(void)arg;
	*(bool *)field = true;
	return true;
}

static bool
parse_string(const char *arg, void *field)
{
	*(const char **)field = arg;
	return *arg != '\0';
}

static bool
parse_texts(const char *arg, void *field)
{
	struct opt_texts *texts = field;

	if (texts->count == OPT_TEXTS_MAX || *arg == '\0')
		return false;
	texts->v[texts->count++] = arg;
	return true;
}

static bool
parse_rate(const char *arg, void *field)
{
	return parse_size(arg, field);
}

static bool
parse_time(const char *arg, void *field)
{
	return parse_duration(arg, field);
}

static bool
parse_fd(const char *arg, void *field)
{
	uint64_t n;

	if (!parse_number(arg, STDERR_FILENO + 1, INT_MAX, &n) ||
	    fcntl((int)n, F_GETFD) == -1)
		return false;
	*(int *)field = (int)n;
	return true;
}

static bool
parse_count(const char *arg, void *field)
{
	return parse_number(arg, 1, INT64_MAX, field);
}

static bool
parse_backlog(const char *arg, void *field)
{
	uint64_t n;

	if (!parse_number(arg, 1, INT_MAX, &n))
		return false;
	*(int *)field = (int)n;
	return true;
}

static bool
parse_file_mode(const char *arg, void *field)
{
	return parse_mode(arg, field);
}

const struct opt_type opt_flag = { NULL, parse_flag };
const struct opt_type opt_string = { "something", parse_string };
const struct opt_type opt_texts = {
	"something (256 times at most)", parse_texts
};
const struct opt_type opt_rate = {
	"a number of bytes from 1, such as 500K or 1.5M", parse_rate
};
const struct opt_type opt_duration = {
	"a duration such as 500ms, 2s or 1.5m", parse_time
};
const struct opt_type opt_fd = { "an open descriptor from 3", parse_fd };
const struct opt_type opt_backlog = { "a number from 1", parse_backlog };
const struct opt_type opt_count = { "a number from 1", parse_count };
const struct opt_type opt_mode = {
	"an octal mode such as 600", parse_file_mode
};

/* All rows of a command in order, with the structs that they fill. */
struct rows {
	const struct opt *opt[OPTIONS_MAX];
	size_t offset[OPTIONS_MAX];
	size_t count;
};

static void
collect(const struct opt_command *cmd, struct rows *rows)
{
	const struct opt_group *g;
	size_t i, j;

	rows->count = 0;
	for (i = 0; i < cmd->group_count; i++) {
		g = &cmd->groups[i];
		for (j = 0; j < g->count && rows->count < OPTIONS_MAX; j++) {
			rows->opt[rows->count] = &g->opts[j];
			rows->offset[rows->count++] = g->offset +
			    g->opts[j].offset;
		}
	}
}

static void
fill_getopt(const struct rows *rows, struct option *longs, char *shorts)
{
	const struct opt *o;
	size_t i;

	/* "-": operands come in order, POSIXLY_CORRECT or not. */
	*shorts++ = '-';
	*shorts++ = ':';
	for (i = 0; i < rows->count; i++) {
		o = rows->opt[i];
		longs[i] = (struct option){ .name = o->name,
		    .has_arg = o->arg != NULL ? required_argument :
		    no_argument, .val = FIRST_LONG + (int)i };
		if (o->letter == 0)
			continue;
		*shorts++ = o->letter;
		if (o->arg != NULL)
			*shorts++ = ':';
	}
	*shorts = '\0';
	longs[rows->count] = (struct option){ 0 };
}

bool
opt_usage(const struct opt_command *cmd, struct err *e, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(e, ERR_USAGE, 0, "", "%.180s (see haul %s --help)", text,
	    cmd->name);
	return false;
}

/*
 * getopt_long accepts any unambiguous beginning of a name; haul does not, so
 * that a new option never changes what a script means. The word of the option
 * is the last one that getopt has passed, or the one before its argument.
 */
static bool
is_abbreviated(const char *name, char **argv)
{
	const char *word = argv[optind - 1];

	if (optarg == word)
		word = argv[optind - 2];
	word += strspn(word, "-");
	return strcspn(word, "=") != strlen(name);
}

static bool
complain(const struct opt_command *cmd, const struct rows *rows, int c,
    char **argv, struct err *e)
{
	const char *word = argv[optind - 1];
	char letter[] = { '-', (char)optopt, '\0' };

	if (optopt > 0 && optopt < FIRST_LONG && strncmp(word, "--", 2) != 0)
		word = letter;
	if (c == ':' && optopt >= FIRST_LONG &&
	    is_abbreviated(rows->opt[optopt - FIRST_LONG]->name, argv))
		c = '?', optopt = 0;
	if (c == ':')
		return opt_usage(cmd, e, "%.40s needs a value", word);
	if (optopt >= FIRST_LONG)
		return opt_usage(cmd, e, "--%s takes no value",
		    rows->opt[optopt - FIRST_LONG]->name);
	return opt_usage(cmd, e, "unknown option %.60s", word);
}

static bool
take(const struct opt_command *cmd, const struct rows *rows, int c,
    char **argv, char *options, struct err *e)
{
	const struct opt *o;
	size_t i;

	if (c >= FIRST_LONG) {
		i = (size_t)(c - FIRST_LONG);
		o = rows->opt[i];
		if (is_abbreviated(o->name, argv))
			return opt_usage(cmd, e, "unknown option %.60s",
			    optarg == argv[optind - 1] ? argv[optind - 2] :
			    argv[optind - 1]);
	} else {
		for (i = 0; rows->opt[i]->letter != c; i++)
			continue;
		o = rows->opt[i];
	}
	if (o->type->parse(optarg, options + rows->offset[i]))
		return true;
	if (o->type == &opt_string ||
	    (o->type == &opt_texts && *optarg == '\0'))
		return opt_usage(cmd, e, "--%s: its value is empty", o->name);
	return opt_usage(cmd, e, "--%s: not %s: %.40s", o->name,
	    o->type->expected, optarg);
}

bool
opt_parse_command(const struct opt_command *cmd, int argc, char **argv,
    void *options, char *const **command, struct err *e)
{
	struct option longs[OPTIONS_MAX + 1];
	char shorts[2 * OPTIONS_MAX + 3];
	struct rows rows;
	int c, n = 1;

	collect(cmd, &rows);
	fill_getopt(&rows, longs, shorts);
	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (c == '?' || c == ':')
			return complain(cmd, &rows, c, argv, e);
		/* What getopt has passed can be overwritten. */
		if (c == OPERAND)
			argv[n++] = optarg;
		else if (!take(cmd, &rows, c, argv, options, e))
			return false;
	}
	if (command != NULL)
		*command = optind < argc ? &argv[optind] : NULL;
	else
		while (optind < argc)
			argv[n++] = argv[optind++];
	/* At most the place of the "--". */
	argv[n] = NULL;
	return true;
}

bool
opt_parse(const struct opt_command *cmd, int argc, char **argv,
    void *options, struct err *e)
{
	return opt_parse_command(cmd, argc, argv, options, NULL, e);
}

static void
print_row(const struct opt *o)
{
	char left[80];
	int n;

	n = snprintf(left, sizeof(left), "  %c%c%s --%s%s%s",
	    o->letter != 0 ? '-' : ' ', o->letter != 0 ? o->letter : ' ',
	    o->letter != 0 ? "," : " ", o->name, o->arg != NULL ? " " : "",
	    o->arg != NULL ? o->arg : "");
	(void)printf("%s%*s%s\n", left, n < HELP_COLUMN - 1 ?
	    HELP_COLUMN - n : 1, "", o->help);
}

void
opt_help(const struct opt_command *cmd)
{
	size_t i, j;

	for (i = 0; cmd->synopsis[i] != NULL; i++)
		(void)printf("%s haul %s %s\n", i == 0 ? "usage:" : "      ",
		    cmd->name, cmd->synopsis[i]);
	for (i = 0; i < cmd->group_count; i++) {
		(void)printf("\n%s:\n", cmd->groups[i].title);
		for (j = 0; j < cmd->groups[i].count; j++)
			print_row(&cmd->groups[i].opts[j]);
	}
	(void)printf("\n");
	for (i = 0; cmd->notes[i] != NULL; i++)
		(void)printf("%s\n", cmd->notes[i]);
}

void
opt_dump(const struct opt_command *cmd)
{
	const struct opt *o;
	struct rows rows;
	size_t i;

	collect(cmd, &rows);
	for (i = 0; i < rows.count; i++) {
		o = rows.opt[i];
		(void)printf("%s\t%s\t%c\t%s\t%s\n", cmd->name, o->name,
		    o->letter != 0 ? o->letter : '-',
		    o->arg != NULL ? o->arg : "-", o->help);
	}
}
