#ifndef BENCH_NET_H
#define BENCH_NET_H

/* What the programs of the benchmark share. Any failure ends the program. */

#include <stddef.h>

struct command {
	const char *name;
	const char *usage;
	int least;		/* operands */
	void (*run)(int argc, char **argv);
};

/* Find the command that argv names and run it. */
int net_main(const struct command *table, int argc, char **argv);

_Noreturn void net_die(const char *what);

/* A number, or the end. */
long long net_number(const char *text);

/*
 * A connection to, or a socket bound to (and, if it is a stream, listening at)
 * HOST:PORT with a numeric IPv4 HOST, or unix:PATH.
 */
int net_connect(const char *address, int type);
int net_bind(const char *address, int type);

/* Write or send all of it. */
void net_write(int fd, const void *data, size_t size);

/* Stay on the last CPU that there is for us, as do all that are started. */
void net_pin(void);

/* The seconds of the monotonic clock. */
double net_now(void);

#endif
