/* haul: the table of subcommands, and the only file that exits. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/intr.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/version.h"

static const struct command {
	const struct opt_command *options;
	const char *prefix;
	enum sk_result (*run)(int, char **, struct err *);
} commands[] = {
	{ &listen_command, "haul listen", cmd_listen },
	{ &connect_command, "haul connect", cmd_connect },
	{ &send_command, "haul send", cmd_send },
	{ &receive_command, "haul receive", cmd_receive },
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct status {
	int status;
	const char *meaning;
} statuses[] = {
	{ 0, "everything arrived" },
	{ ERR_LOCAL, "local failure: stdin, stdout, a file, memory" },
	{ ERR_USAGE, "usage" },
	{ ERR_RESOLVE, "a name could not be resolved" },
	{ ERR_CONNECT, "could not connect: refused, unreachable" },
	{ ERR_BIND, "could not bind or listen" },
	{ ERR_TIMEOUT, "a time limit passed" },
	{ ERR_BROKEN,
	    "the connection broke, or ended before everything arrived" },
	{ ERR_PEER,
	    "the peer refused the transfer, does not speak the protocol, "
	    "or\n     what arrived is not what was sent" },
	{ ERR_EXEC, "the COMMAND could not be run" },
	{ ERR_NOT_FOUND, "the COMMAND was not found" },
};

/* Or else the first socket would become one of the standard streams. */
static bool
open_missing_streams(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1 &&
		    open("/dev/null", O_RDWR) != fd)
			return false;
	return true;
}

static void
help(FILE *to)
{
	size_t i;

	(void)fprintf(to, "usage: haul COMMAND [OPTION]... ADDRESS\n\n");
	for (i = 0; i < COMMANDS; i++)
		(void)fprintf(to, "  haul %-9s %s\n",
		    commands[i].options->name, commands[i].options->summary);
	(void)fprintf(to, "\nADDRESS is HOST PORT, HOST:PORT, [IPV6]:PORT, "
	    "unix:PATH, unix:@NAME or\nvsock:CID:PORT. haul COMMAND --help "
	    "lists the options, haul --version the\nversion. See haul(1).\n"
	    "\nexit status:\n");
	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		(void)fprintf(to, "  %d  %s\n", statuses[i].status,
		    statuses[i].meaning);
	(void)fprintf(to, "  N  the status of the COMMAND, or 128 and the "
	    "number of the signal\n     that has killed it\n");
}

static const struct command *
find(const char *name)
{
	size_t i;

	for (i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].options->name, name) == 0)
			return &commands[i];
	return NULL;
}

/* What haul does without a subcommand. */
static enum sk_result
without_command(const char *word, struct err *e)
{
	size_t i;

	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		help(stdout);
	else if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
		(void)printf("haul %s\n", HAUL_VERSION);
	else if (strcmp(word, "--dump-options") == 0)
		for (i = 0; i < COMMANDS; i++)
			opt_dump(commands[i].options);
	else {
		err_set(e, ERR_USAGE, 0, "",
		    "no such command: %.60s (see haul --help)", word);
		return SK_ERROR;
	}
	return SK_OK;
}

static int
finish(enum sk_result r, struct err *e)
{
	char text[ERR_WHO_MAX + ERR_TEXT_MAX + 128];
	const struct err *p;
	int status;

	if (r == SK_INTERRUPTED && intr_signal() != 0)
		intr_die(intr_signal());
	if (r == SK_OK && fflush(stdout) != 0) {
		err_set(e, ERR_LOCAL, errno, "standard output", "%s", "");
		e->quiet = e->sys == EPIPE;
	}
	if (r != SK_OK && e->code == ERR_NONE)
		err_set(e, ERR_LOCAL, 0, "", "failed for an unknown reason");
	for (p = e; p != NULL && p->code != ERR_NONE; p = p->next)
		if (!p->quiet)
			log_error("%s", err_format(p, text, sizeof(text)));
	status = (int)e->code;
	err_clear(e);
	return status;
}

int
main(int argc, char **argv)
{
	const struct command *cmd;
	struct err e = { 0 };
	enum sk_result r;

	if (!open_missing_streams())
		return ERR_LOCAL;
	if (argc < 2) {
		help(stderr);
		return ERR_USAGE;
	}
	cmd = find(argv[1]);
	if (cmd == NULL)
		return finish(without_command(argv[1], &e), &e);
	intr_install();
	log_open(cmd->prefix);
	r = cmd->run(argc - 1, argv + 1, &e);
	return finish(r, &e);
}
