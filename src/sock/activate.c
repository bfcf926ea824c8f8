/* Listening at sockets that our parent has opened. */
#include "sock/activate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/parse.h"
#include "sock/listen_impl.h"
#include "sock/sys.h"

enum { FIRST_FD = 3 };

/* How many there are; 0 if they are not for us. */
static uint64_t
count_passed(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t number, count = 0;

	if (pid == NULL || fds == NULL ||
	    !parse_number(pid, 1, INT_MAX, &number) ||
	    (pid_t)number != getpid() ||
	    !parse_number(fds, 1, INT_MAX - FIRST_FD, &count))
		count = 0;
	/* They are not for our children either. */
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return count;
}

static bool
get(int fd, int option, int *value)
{
	socklen_t len = sizeof(*value);

	return getsockopt(fd, SOL_SOCKET, option, value, &len) == 0;
}

/* What is wrong with a descriptor; NULL: nothing. */
static const char *
find_fault(int fd, bool datagram)
{
	int type, listens = 0;

	if (!get(fd, SO_TYPE, &type))
		return errno == EBADF ? "is not open" : "is no socket";
	if (datagram)
		return type == SOCK_DGRAM ? NULL : "is no datagram socket";
	if (type != SOCK_STREAM)
		return "is no stream socket";
	return get(fd, SO_ACCEPTCONN, &listens) && listens ? NULL :
	    "does not listen";
}

/* As listen.c sets up what it opens, as far as it is not bound to be so. */
static bool
set_options(const struct sock *s, int fd, int family, struct err *e)
{
	const struct sockopt_kind kind = {
		.listens = true,
		.datagram = s->config->datagram,
		.both_families = true,
		.family = family,
	};

	if (s->config->datagram)
		sys_datagram_info(fd, family);
	return s->config->options == NULL ||
	    (sockopt_check(s->config->options, &kind, s->name, e) &&
	    sock_apply_options(s, SOCKOPT_LISTEN, fd, family, e));
}

static bool
take_all(struct sock *s, struct err *e)
{
	struct listener *l = s->priv;
	struct sk_addr bound;
	const char *fault;
	size_t i;

	for (i = 0; i < l->count; i++) {
		fault = find_fault(l->fds[i], s->config->datagram);
		if (fault != NULL) {
			err_set(e, ERR_BIND, 0, "--activate",
			    "descriptor %d %s", l->fds[i], fault);
			l->count = i;	/* the others may be anything */
			return false;
		}
		bound = (struct sk_addr){ .len = sizeof(bound.u) };
		(void)getsockname(l->fds[i], &bound.u.sa, &bound.len);
		if (i == 0)
			listen_describe(s, &bound);
		if (!set_options(s, l->fds[i], bound.u.sa.sa_family, e))
			return false;
	}
	return !s->config->datagram || !s->config->sessions ||
	    sessions_begin(s, e);
}

/* A listener that holds these descriptors, whatever they are. */
static struct sock *
make_listener(const struct sock_config *config, size_t count, struct err *e)
{
	struct sk_origin *origin = calloc(1, sizeof(*origin));
	struct listener *l = calloc(1, sizeof(*l));
	struct sock *s = NULL;

	if (origin == NULL || l == NULL)
		err_no_memory(e);
	else
		s = sock_make(config->datagram ? &transport_listen_datagram :
		    &transport_listen, -1, config->mode, "", e);
	if (s == NULL) {
		free(origin);
		free(l);
		return NULL;
	}
	atomic_init(&origin->users, 1);
	origin->config = *config;
	s->origin = origin;
	s->config = &origin->config;
	s->priv = l;
	l->inherited = true;
	while (l->count < count) {
		l->fds[l->count] = FIRST_FD + (int)l->count;
		l->count++;
	}
	return s;
}

struct sock *
sock_activated(const struct sock_config *config, struct err *e)
{
	uint64_t i, count = count_passed();
	struct sock *s;

	if (count == 0) {
		err_set(e, ERR_USAGE, 0, "",
		    "--activate: no sockets were passed");
		return NULL;
	}
	if (count > SK_LISTEN_MAX) {
		err_set(e, ERR_BIND, 0, "--activate",
		    "more than %d sockets were passed", SK_LISTEN_MAX);
		return NULL;
	}
	for (i = 0; i < count; i++)
		(void)fcntl(FIRST_FD + (int)i, F_SETFD, FD_CLOEXEC);
	s = make_listener(config, (size_t)count, e);
	if (s != NULL && !take_all(s, e))
		sock_abort(&s);
	return s;
}
