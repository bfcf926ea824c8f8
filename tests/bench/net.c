#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net.h"

#define BACKLOG 4096

union name {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_un un;
};

int
net_main(const struct command *table, int argc, char **argv)
{
	const struct command *c;

	for (c = table; c->name != NULL; c++)
		if (argc > 1 && strcmp(c->name, argv[1]) == 0 &&
		    argc - 2 >= c->least) {
			c->run(argc - 2, argv + 2);
			return 0;
		}
	for (c = table; c->name != NULL; c++)
		fprintf(stderr, "usage: %s %s %s\n", argv[0], c->name,
		    c->usage);
	return 2;
}

void
net_die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

long long
net_number(const char *text)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || value < 0 || errno != 0) {
		errno = EINVAL;
		net_die(text);
	}
	return value;
}

static socklen_t
name_of(union name *n, const char *address)
{
	char host[INET_ADDRSTRLEN];
	const char *colon = strrchr(address, ':');
	size_t length;

	memset(n, 0, sizeof *n);
	if (strncmp(address, "unix:", 5) == 0) {
		length = strlen(address + 5);
		if (length >= sizeof n->un.sun_path)
			net_die("a long path");
		n->un.sun_family = AF_UNIX;
		memcpy(n->un.sun_path, address + 5, length + 1);
		return sizeof n->un;
	}
	if (colon == NULL || (size_t)(colon - address) >= sizeof host)
		net_die("no address");
	length = (size_t)(colon - address);
	memcpy(host, address, length);
	host[length] = '\0';
	n->in.sin_family = AF_INET;
	n->in.sin_port = htons((uint16_t)net_number(colon + 1));
	if (inet_pton(AF_INET, host, &n->in.sin_addr) != 1)
		net_die("no IPv4 address");
	return sizeof n->in;
}

int
net_connect(const char *address, int type)
{
	union name n;
	socklen_t size = name_of(&n, address);
	int fd = socket(n.any.sa_family, type, 0);

	if (fd < 0 || connect(fd, &n.any, size) != 0)
		net_die("connect");
	return fd;
}

int
net_bind(const char *address, int type)
{
	union name n;
	socklen_t size = name_of(&n, address);
	int fd = socket(n.any.sa_family, type, 0), on = 1;

	if (fd < 0)
		net_die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, &n.any, size) != 0)
		net_die("bind");
	if ((type & SOCK_STREAM) != 0 && listen(fd, BACKLOG) != 0)
		net_die("listen");
	return fd;
}

void
net_write(int fd, const void *data, size_t size)
{
	const char *p = data;
	ssize_t n;

	while (size > 0) {
		n = write(fd, p, size);
		if (n < 0)
			net_die("write");
		p += n;
		size -= (size_t)n;
	}
}

double
net_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void
net_pin(void)
{
	cpu_set_t all, one;
	size_t cpu = CPU_SETSIZE - 1;

	if (sched_getaffinity(0, sizeof all, &all) != 0)
		net_die("sched_getaffinity");
	while (!CPU_ISSET(cpu, &all))
		cpu--;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof one, &one) != 0)
		net_die("sched_setaffinity");
}
