#include "cli/ready.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* A line and its newline, whole. */
static bool
write_line(int fd, const char *text)
{
	char line[ADDR_NAME_MAX + 1];
	size_t len, done = 0;
	ssize_t n;

	len = (size_t)snprintf(line, sizeof(line), "%s\n", text);
	while (done < len) {
		n = write(fd, line + done, len - done);
		if (n < 0 && errno != EINTR)
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* Whoever sees the file sees all of it: it is renamed into its place. */
static bool
write_port_file(const char *path, const char *port, struct err *e)
{
	size_t size = strlen(path) + sizeof(".XXXXXX");
	char *temporary = malloc(size);
	mode_t mask;
	int fd, sys = 0;

	if (temporary == NULL) {
		err_no_memory(e);
		return false;
	}
	(void)snprintf(temporary, size, "%s.XXXXXX", path);
	fd = mkstemp(temporary);
	if (fd == -1) {
		err_set(e, ERR_LOCAL, errno, path, "--port-file");
		free(temporary);
		return false;
	}
	mask = umask(0);
	(void)umask(mask);
	if (fchmod(fd, 0666 & ~mask) != 0 || !write_line(fd, port))
		sys = errno;
	if (close(fd) != 0 && sys == 0)
		sys = errno;
	if (sys == 0 && rename(temporary, path) != 0)
		sys = errno;
	if (sys != 0) {
		(void)unlink(temporary);
		err_set(e, ERR_LOCAL, sys, path, "--port-file");
	}
	free(temporary);
	return sys == 0;
}

/* Nobody is asked to run haul under systemd: failures do not matter. */
static void
notify_systemd(void)
{
	static const char message[] = "READY=1";
	const struct sock_config config = { .mode = SK_NONBLOCKING,
	    .datagram = true, .socket_mode = -1 };
	const char *path = getenv("NOTIFY_SOCKET");
	struct addr a = { .kind = ADDR_UNIX };
	struct err e = { 0 };
	struct sock *s;
	size_t put;

	if (path == NULL || (*path != '/' && *path != '@') ||
	    strlen(path) > ADDR_PATH_MAX)
		return;
	if (*path == '@')
		a.kind = ADDR_ABSTRACT;
	(void)snprintf(a.host, sizeof(a.host), "%s", path + (*path == '@'));
	s = sock_new(&a, &config, &e);
	if (s != NULL && sock_connect(s, &e) == SK_OK)
		(void)sock_send(s, message, sizeof(message) - 1, &put, &e);
	sock_abort(&s);
	err_clear(&e);
}

bool
ready_announce(const struct bind_options *options,
    const struct sock *listener, bool free_port, struct err *e)
{
	if (free_port && options->port_file == NULL && options->ready_fd == -1)
		log_note("listening on %s", sock_ready_line(listener));
	else
		log_verbose("listening on %s", sock_ready_line(listener));
	if (options->port_file != NULL && !write_port_file(options->port_file,
	    sock_ready_port(listener), e))
		return false;
	if (options->ready_fd != -1) {
		if (!write_line(options->ready_fd,
		    sock_ready_line(listener))) {
			err_set(e, ERR_LOCAL, errno, "", "--ready-fd");
			return false;
		}
		(void)close(options->ready_fd);
	}
	notify_systemd();
	return true;
}
