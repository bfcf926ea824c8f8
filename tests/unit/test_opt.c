/* The option parser, table-driven, against tables of its own and haul's. */
#include "cli/opt.h"

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/options.h"
#include "cli/service.h"
#include "tap.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum {
	WORDS_MAX = 8,
	OPEN_FD = 50,		/* is open; the tables below say "50" */
};

struct inner {
	bool loud, lo;
	int64_t wait_ns;
};

struct outer {
	char before[16];
	struct inner a;
	const char *text;
	int backlog, mode, fd;
};

static const struct opt inner_opts[] = {
	{ "loud", 'l', NULL, &opt_flag, offsetof(struct inner, loud),
	    "be loud" },
	{ "louder", 0, NULL, &opt_flag, offsetof(struct inner, lo),
	    "be louder" },
	{ "wait", 'w', "D", &opt_duration, offsetof(struct inner, wait_ns),
	    "wait for D" },
};

static const struct opt outer_opts[] = {
	{ "text", 't', "TEXT", &opt_string, offsetof(struct outer, text),
	    "say TEXT" },
	{ "backlog", 0, "N", &opt_backlog, offsetof(struct outer, backlog),
	    "queue N" },
	{ "file-mode", 0, "MODE", &opt_mode, offsetof(struct outer, mode),
	    "octal" },
	{ "fd", 0, "N", &opt_fd, offsetof(struct outer, fd),
	    "descriptor" },
};

static const struct opt_group groups[] = {
	{ "Inner", inner_opts, COUNT(inner_opts), offsetof(struct outer, a) },
	{ "Outer", outer_opts, COUNT(outer_opts), 0 },
};

static const char *const synopsis[] = { "[OPTION]... OPERAND", "again", NULL };
static const char *const notes[] = { "A note.", NULL };

static const struct opt_command command = {
	"toy", "a toy", synopsis, notes, groups, COUNT(groups),
};

static bool
parse(const struct opt_command *cmd, const char *const *words, void *options,
    char **argv, struct err *e)
{
	int argc = 0;

	argv[argc++] = (char *)(uintptr_t)cmd->name;
	while (words[argc - 1] != NULL) {
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
		argc++;
	}
	argv[argc] = NULL;
	optind = 0;	/* glibc: begin anew */
	return opt_parse(cmd, argc, argv, options, e);
}

/* What the toy's options hold, in one line. */
static char *
show(const struct outer *o, char *const *operands, char *buf, size_t size)
{
	size_t n;

	n = (size_t)snprintf(buf, size, "%s%s%s", o->a.loud ? "loud " : "",
	    o->a.lo ? "louder " : "", o->text != NULL ? "text " : "");
	if (o->text != NULL)
		n += (size_t)snprintf(buf + n, size - n, "\"%.99s\" ",
		    o->text);
	if (o->a.wait_ns != -1)
		n += (size_t)snprintf(buf + n, size - n, "wait %lld ",
		    (long long)(o->a.wait_ns / CLOCK_MS));
	if (o->backlog != 0)
		n += (size_t)snprintf(buf + n, size - n, "backlog %d ",
		    o->backlog);
	if (o->mode != -1)
		n += (size_t)snprintf(buf + n, size - n, "mode %o ",
		    (unsigned)o->mode);
	if (o->fd != -1)
		n += (size_t)snprintf(buf + n, size - n, "fd %d ", o->fd);
	for (; *operands != NULL; operands++)
		n += (size_t)snprintf(buf + n, size - n, "[%.99s]",
		    *operands);
	return buf;
}

static const struct good_case {
	const char *words[WORDS_MAX];
	const char *shown;
} good[] = {
	{ { NULL }, "" },
	{ { "-l" }, "loud " },
	{ { "--loud" }, "loud " },
	{ { "--louder" }, "louder " },
	{ { "-l", "--loud" }, "loud " },
	{ { "-w", "2" }, "wait 2000 " },
	{ { "-w2" }, "wait 2000 " },
	{ { "-lw2" }, "loud wait 2000 " },
	{ { "-lw", "250ms" }, "loud wait 250 " },
	{ { "--wait", "2s" }, "wait 2000 " },
	{ { "--wait=2s" }, "wait 2000 " },
	{ { "--wait=1", "--wait=3" }, "wait 3000 " },
	{ { "-t", "a=b" }, "text \"a=b\" " },
	{ { "--text=a=b" }, "text \"a=b\" " },
	{ { "--text", "--loud" }, "text \"--loud\" " },
	{ { "--text", "-" }, "text \"-\" " },
	{ { "--text", "--" }, "text \"--\" " },
	{ { "--text=--loud" }, "text \"--loud\" " },
	{ { "-t--loud" }, "text \"--loud\" " },
	{ { "--text", "--text" }, "text \"--text\" " },
	{ { "--backlog", "1" }, "backlog 1 " },
	{ { "--file-mode=0600" }, "mode 600 " },
	{ { "--fd=50" }, "fd 50 " },
	/* Options before, between and after operands. */
	{ { "a", "b" }, "[a][b]" },
	{ { "a", "-l", "b" }, "loud [a][b]" },
	{ { "a", "b", "--wait", "1" }, "wait 1000 [a][b]" },
	{ { "a", "--wait=1", "b", "-l" }, "loud wait 1000 [a][b]" },
	{ { "a", "--text", "x", "b" }, "text \"x\" [a][b]" },
	{ { "a", "b", "--loud", "c", "--text", "--loud" },
	    "loud text \"--loud\" [a][b][c]" },
	{ { "-" }, "[-]" },
	{ { "--", "-l", "--loud" }, "[-l][--loud]" },
	{ { "a", "--", "-l" }, "[a][-l]" },
	{ { "a", "-l", "--", "--", "b" }, "loud [a][--][b]" },
	{ { "" }, "[]" },
};

static void
test_good(void)
{
	char *argv[WORDS_MAX + 2], buf[1024];
	struct outer o;
	struct err e = { 0 };
	size_t i;

	for (i = 0; i < COUNT(good); i++) {
		o = (struct outer){ .a.wait_ns = -1, .mode = -1, .fd = -1 };
		if (!tap_ok(parse(&command, good[i].words, &o, argv, &e),
		    "%s is taken", good[i].shown)) {
			tap_note("%s", e.text);
			err_clear(&e);
			continue;
		}
		tap_text(show(&o, argv + 1, buf, sizeof(buf)),
		    good[i].shown, "with these values");
		tap_ok(memcmp(o.before, (char[16]){ 0 }, 16) == 0 &&
		    e.code == ERR_NONE, "and nothing else");
	}
}

static const struct bad_case {
	const char *words[WORDS_MAX];
	const char *complaint;
} bad[] = {
	{ { "--lou" }, "unknown option --lou" },
	{ { "--l" }, "unknown option --l" },
	{ { "--loudes" }, "unknown option --loudes" },
	{ { "--Loud" }, "unknown option --Loud" },
	{ { "---loud" }, "unknown option ---loud" },
	{ { "-loud" }, "unknown option -o" },
	{ { "--wai", "1" }, "unknown option --wai" },
	{ { "--wai=1" }, "unknown option --wai=1" },
	{ { "--wai" }, "unknown option --wai" },
	{ { "--text", "x", "--tex", "y" }, "unknown option --tex" },
	{ { "a", "--wai", "1", "b" }, "unknown option --wai" },
	{ { "--tex", "--tex" }, "unknown option --tex" },
	{ { "--lou=1" }, NULL },
	{ { "--loud=1" }, "--loud takes no value" },
	{ { "--loud=" }, "--loud takes no value" },
	{ { "--wait" }, "--wait needs a value" },
	{ { "-w" }, "-w needs a value" },
	{ { "-lw" }, "-w needs a value" },
	{ { "a", "--wait" }, "--wait needs a value" },
	{ { "-x" }, "unknown option -x" },
	{ { "-lx" }, "unknown option -x" },
	{ { "-?" }, "unknown option -?" },
	{ { "-:" }, "unknown option -:" },
	{ { "--:" }, "unknown option --:" },
	{ { "--=" }, "unknown option --=" },
	{ { "--=x" }, "unknown option --=x" },
	{ { "-\xff" }, NULL },
	{ { "-W", "loud" }, "unknown option -W" },
	{ { "--wait=" }, "--wait: not a duration such as 500ms, 2s or 1.5m" },
	{ { "--wait=x" }, "--wait: not a duration" },
	{ { "--wait=-1" }, "--wait: not a duration" },
	{ { "--wait", "-1" }, "--wait: not a duration" },
	{ { "-wx" }, "--wait: not a duration" },
	{ { "--text=" }, "--text: its value is empty" },
	{ { "--text", "" }, "--text: its value is empty" },
	{ { "--backlog=0" }, "--backlog: not a number from 1" },
	{ { "--backlog=2147483648" }, "--backlog: not a number" },
	{ { "--backlog=-5" }, "--backlog: not a number" },
	{ { "--file-mode=888" }, "--file-mode: not an octal mode" },
	{ { "--fd=987654" }, "--fd: not an open descriptor" },
	{ { "--fd=51" }, "--fd: not an open descriptor" },
	{ { "--fd=-1" }, "--fd: not an open descriptor" },
	{ { "--fd=4294967297" }, "--fd: not an open descriptor" },
};

static void
test_bad(void)
{
	static const char tail[] = " (see haul toy --help)";
	char *argv[WORDS_MAX + 2];
	struct outer o;
	struct err e = { 0 };
	size_t i, n;
	bool ok;

	for (i = 0; i < COUNT(bad); i++) {
		o = (struct outer){ .a.wait_ns = -1, .mode = -1, .fd = -1 };
		ok = parse(&command, bad[i].words, &o, argv, &e);
		n = strlen(e.text);
		ok = tap_ok(!ok && e.code == ERR_USAGE && e.sys == 0 &&
		    n > strlen(tail) &&
		    strcmp(e.text + n - strlen(tail), tail) == 0 &&
		    (bad[i].complaint == NULL || strncmp(e.text,
		    bad[i].complaint, strlen(bad[i].complaint)) == 0),
		    "refused: %s %s", bad[i].words[0],
		    bad[i].words[1] != NULL ? bad[i].words[1] : "");
		if (!ok)
			tap_note("%s", e.text);
		err_clear(&e);
	}
}

static void
test_hostile(void)
{
	enum { BYTES = 64 * 1024 };
	const char *words[2] = { NULL };
	char *argv[WORDS_MAX + 2], *text = calloc(1, BYTES + 1);
	struct outer o = { .mode = -1 };
	struct err e = { 0 };
	size_t i;
	static const char *const starts[] = {
		"--", "--wait=", "--loud=", "--lou=", "-l", "-w", "--fd=",
	};

	if (text == NULL)
		return;
	words[0] = text;
	for (i = 0; i < COUNT(starts); i++) {
		memset(text, 'x', BYTES);
		memcpy(text, starts[i], strlen(starts[i]));
		tap_ok(!parse(&command, words, &o, argv, &e) &&
		    e.code == ERR_USAGE && strstr(e.text,
		    "(see haul toy --help)") != NULL,
		    "64 KiB behind %s", starts[i]);
		err_clear(&e);
	}
	free(text);
}

/* haul's own groups, in a command that has all of them. */
struct all_options {
	struct common_options common;
	struct dial_options dial;
	struct bind_options bind;
	struct relay_options relay;
	struct transfer_options transfer;
	struct probe_options probe;
	struct service_options service;
};

#define GROUP(title, rows, count, field)				\
	{ title, rows, count, offsetof(struct all_options, field) }

static const struct opt_group all_groups[] = {
	GROUP("Address", address_opts, ADDRESS_OPTS, common.address),
	GROUP("Mode", mode_opts, MODE_OPTS, common.mode),
	GROUP("Time", time_opts, TIME_OPTS, common.time),
	GROUP("Output", output_opts, OUTPUT_OPTS, common.output),
	GROUP("Dial", dial_opts, DIAL_OPTS, dial),
	GROUP("Bind", bind_opts, BIND_OPTS, bind),
	GROUP("Relay", relay_opts, RELAY_OPTS, relay),
	GROUP("Probe", probe_opts, PROBE_OPTS, probe),
	GROUP("Serving", service_opts, SERVICE_OPTS, service),
};

static const struct opt_command all_command = {
	"all", "everything", synopsis, notes, all_groups, COUNT(all_groups),
};

/* Every option of haul is taken under its full name, and under no shorter. */
static void
test_own(void)
{
	static const struct value_case {
		const struct opt_type *type;
		const char *value;
	} values[] = {
		{ &opt_string, "x" }, { &opt_duration, "1" },
		{ &opt_fd, "50" }, { &opt_backlog, "5" }, { &opt_mode, "600" },
		{ &opt_datagram, "line" }, { &opt_sockopt, "nodelay=on" },
		{ &opt_texts, "x" }, { &opt_rate, "1.5M" },
		{ &opt_count, "3" },
	};
	char word[64], *argv[WORDS_MAX + 2];
	const char *words[] = { word, NULL, NULL };
	struct all_options all;
	struct err e = { 0 };
	const struct opt *o;
	size_t i, j, k;

	for (i = 0; i < COUNT(all_groups); i++)
		for (j = 0; j < all_groups[i].count; j++) {
			o = &all_groups[i].opts[j];
			memset(&all, 0, sizeof(all));
			words[1] = NULL;
			for (k = 0; k < COUNT(values); k++)
				if (values[k].type == o->type)
					words[1] = values[k].value;
			(void)snprintf(word, sizeof(word), "--%s", o->name);
			tap_ok(parse(&all_command, words, &all, argv, &e) && argv[1] == NULL,
			    "%s", word);
			word[strlen(word) - 1] = '\0';
			tap_ok(!parse(&all_command, words, &all, argv, &e), "not as %s", word);
			err_clear(&e);
		}
}

static void
test_values(void)
{
	static const char *const words[] = { "-4nu", "-w", "90s", "-Cd",
	    "--sockopt", "nodelay=on", "--sockopt=rcvbuf=4096", NULL };
	static const char *const wrong[][2] = {
		{ "--sockopt=nodelay", NULL }, { "--sockopt=nodelay=2", NULL },
		{ "--sockopt=nodela=on", NULL }, { "--sockopt==on", NULL },
		{ "--sockopt=rcvbuf=-1", NULL }, { "--sockopt=", NULL },
		{ "--sockopt=rcvbuf=2147483648", NULL },
		{ "--datagram=lin", NULL }, { "--datagram=", NULL },
	};
	char *argv[WORDS_MAX + 2];
	struct all_options all = { .common = COMMON_DEFAULTS };
	struct err e = { 0 };
	size_t i;

	tap_ok(parse(&all_command, words, &all, argv, &e) &&
	    all.common.address.ipv4 && all.common.address.numeric &&
	    all.common.address.udp && !all.common.address.ipv6 &&
	    all.common.time.idle_ns == 90 * CLOCK_SEC &&
	    all.common.time.run_ns == -1 && all.relay.crlf &&
	    all.relay.no_stdin && all.common.mode.sockopts.count == 2,
	    "values reach the struct of their group");
	for (i = 0; i < COUNT(wrong); i++) {
		tap_ok(!parse(&all_command, wrong[i], &all, argv,
		    &e) && e.code == ERR_USAGE, "refused: %s", wrong[i][0]);
		err_clear(&e);
	}
}

/* What stands behind "--" is a command, where there can be one. */
static void
test_command(void)
{
	char haul[] = "all", four[] = "-4", host[] = "h", port[] = "1",
	    dashes[] = "--", cat[] = "cat", u[] = "-u";
	struct all_options all = { .common = COMMON_DEFAULTS };
	char *const *words = NULL;
	struct err e = { 0 };

	{
		char *argv[] = { haul, host, four, port, dashes, cat, u, NULL };

		optind = 0;
		tap_ok(opt_parse_command(&all_command, 7, argv, &all, &words,
		    &e) && words != NULL && words[0] == cat &&
		    words[1] == u && words[2] == NULL && argv[1] == host &&
		    argv[2] == port && argv[3] == NULL &&
		    all.common.address.ipv4 && !all.common.address.udp,
		    "operands, and the words of a command");
	}
	{
		char *argv[] = { haul, host, port, dashes, NULL };

		optind = 0;
		tap_ok(opt_parse_command(&all_command, 4, argv, &all, &words,
		    &e) && words == NULL && argv[3] == NULL,
		    "no command behind --");
	}
	{
		char *argv[] = { haul, host, dashes, u, NULL };

		optind = 0;
		tap_ok(opt_parse(&all_command, 4, argv, &all, &e) &&
		    argv[1] == host && argv[2] == u && argv[3] == NULL,
		    "operands behind --, where there is no command");
	}
	err_clear(&e);
}

/* What a function prints to descriptor 1, as a text. */
static const char *
capture(void (*print)(const struct opt_command *),
    const struct opt_command *cmd)
{
	static char buf[16 * 1024];
	FILE *file = tmpfile();
	int saved = dup(STDOUT_FILENO);
	size_t n = 0;

	if (file == NULL)
		return "";
	(void)fflush(stdout);
	(void)dup2(fileno(file), STDOUT_FILENO);
	print(cmd);
	(void)fflush(stdout);
	(void)dup2(saved, STDOUT_FILENO);
	(void)close(saved);
	rewind(file);
	n = fread(buf, 1, sizeof(buf) - 1, file);
	(void)fclose(file);
	buf[n] = '\0';
	return buf;
}

static void
test_texts(void)
{
	const char *text, *end;
	size_t longest = 0, lines = 0, rows = 0, i;

	tap_text(capture(opt_dump, &command),
	    "toy\tloud\tl\t-\tbe loud\n"
	    "toy\tlouder\t-\t-\tbe louder\n"
	    "toy\twait\tw\tD\twait for D\n"
	    "toy\ttext\tt\tTEXT\tsay TEXT\n"
	    "toy\tbacklog\t-\tN\tqueue N\n"
	    "toy\tfile-mode\t-\tMODE\toctal\n"
	    "toy\tfd\t-\tN\tdescriptor\n", "the dump");
	text = capture(opt_help, &command);
	tap_ok(strncmp(text, "usage: haul toy [OPTION]... OPERAND\n"
	    "       haul toy again\n", 58) == 0 &&
	    strstr(text, "\nInner:\n  -l, --loud ") != NULL &&
	    strstr(text, "      --louder ") != NULL &&
	    strstr(text, "-w, --wait D ") != NULL &&
	    strstr(text, "\n\nA note.\n") != NULL, "the help");
	for (i = 0; i < COUNT(all_groups); i++)
		rows += all_groups[i].count;
	for (text = capture(opt_help, &all_command);
	    (end = strchr(text, '\n')) != NULL; text = end + 1, lines++)
		if ((size_t)(end - text) > longest)
			longest = (size_t)(end - text);
	tap_ok(longest <= 80, "80 columns are enough for haul's own");
	tap_ok(lines >= rows, "a line for each of them");
}

int
main(void)
{
	(void)unsetenv("POSIXLY_CORRECT");
	tap_start();
	(void)dup2(STDERR_FILENO, OPEN_FD);
	test_good();
	test_bad();
	test_hostile();
	test_own();
	test_values();
	test_command();
	test_texts();
	return tap_done();
}
