#include "sock/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sock/vsock.h"

enum {
	ADDRS_MAX = 1024,
	THREAD_STACK = 512 * 1024,
};

/* What the looking-up thread and its client share; the last one frees it. */
struct lookup {
	pthread_mutex_t lock;
	int users;
	char host[ADDR_HOST_MAX], port[ADDR_PORT_MAX];
	struct addrinfo hints;
	struct addrinfo *result;
	int status;		/* of getaddrinfo */
	int sys;		/* errno, if the status is EAI_SYSTEM */
	bool done;
	int done_pipe[2];	/* the write end is closed when it is done */
};

struct resolve {
	struct lookup *lookup;	/* NULL: the result is there */
	struct sk_addrs addrs;
	char who[ADDR_NAME_MAX];
};

static void
close_fd(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

static void
lookup_drop(struct lookup *l)
{
	bool last;

	(void)pthread_mutex_lock(&l->lock);
	last = --l->users == 0;
	(void)pthread_mutex_unlock(&l->lock);
	if (!last)
		return;
	(void)pthread_mutex_destroy(&l->lock);
	if (l->result != NULL)
		freeaddrinfo(l->result);
	close_fd(&l->done_pipe[0]);
	close_fd(&l->done_pipe[1]);
	free(l);
}

static void
lookup_run(struct lookup *l)
{
	struct addrinfo *result = NULL;
	int status;

	status = getaddrinfo(l->host, l->port, &l->hints, &result);
	(void)pthread_mutex_lock(&l->lock);
	l->status = status;
	l->sys = errno;
	l->result = status == 0 ? result : NULL;
	l->done = true;
	close_fd(&l->done_pipe[1]);
	(void)pthread_mutex_unlock(&l->lock);
}

static void *
lookup_thread(void *arg)
{
	lookup_run(arg);
	lookup_drop(arg);
	return NULL;
}

static bool
spawn(struct lookup *l)
{
	pthread_attr_t attr;
	pthread_t thread;
	int i, r;

	if (pipe(l->done_pipe) != 0) {
		l->done_pipe[0] = l->done_pipe[1] = -1;
		return false;
	}
	for (i = 0; i < 2; i++)
		(void)fcntl(l->done_pipe[i], F_SETFD, FD_CLOEXEC);
	if (pthread_attr_init(&attr) != 0)
		return false;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, THREAD_STACK);
	l->users++;
	r = pthread_create(&thread, &attr, lookup_thread, l);
	if (r != 0)
		l->users--;
	(void)pthread_attr_destroy(&attr);
	errno = r;
	return r == 0;
}

static struct lookup *
lookup_new(const struct addr *a, const struct sock_config *config,
    bool passive)
{
	struct lookup *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->users = 1;
	(void)pthread_mutex_init(&l->lock, NULL);
	l->done_pipe[0] = l->done_pipe[1] = -1;
	memcpy(l->host, a->host, sizeof(l->host));
	memcpy(l->port, a->port, sizeof(l->port));
	l->hints.ai_family = config->family;
	l->hints.ai_socktype = config->datagram ? SOCK_DGRAM : SOCK_STREAM;
	l->hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0);
	return l;
}

/* Copy what getaddrinfo found, each address once. */
static bool
copy_addrs(const struct addrinfo *list, struct sk_addrs *out)
{
	const struct addrinfo *ai;
	struct sk_addr *a;
	size_t i, count = 0;

	for (ai = list; ai != NULL && count < ADDRS_MAX; ai = ai->ai_next)
		count++;
	out->count = 0;
	out->v = calloc(count + 1, sizeof(*out->v));
	if (out->v == NULL)
		return false;
	for (ai = list; ai != NULL && count-- > 0; ai = ai->ai_next) {
		if (ai->ai_addrlen > sizeof(a->u))
			continue;
		a = &out->v[out->count];
		a->len = ai->ai_addrlen;
		memcpy(&a->u, ai->ai_addr, ai->ai_addrlen);
		for (i = 0; i < out->count; i++)
			if (out->v[i].len == a->len &&
			    memcmp(&out->v[i].u, &a->u, a->len) == 0)
				break;
		out->count += i == out->count;
	}
	return true;
}

static enum sk_result
outcome(const struct lookup *l, const char *who, struct sk_addrs *out,
    struct err *e)
{
	const char *cause;

	if (l->status == 0) {
		if (copy_addrs(l->result, out))
			return SK_OK;
		err_no_memory(e);
		return SK_ERROR;
	}
	if (l->status == EAI_SYSTEM) {
		err_set(e, ERR_RESOLVE, l->sys, who, "looking up the name");
		return SK_ERROR;
	}
	cause = gai_strerror(l->status);
	err_set(e, ERR_RESOLVE, 0, who, "%s", cause);
	/* "Name or service not known": as all our causes begin. */
	if (e->text[0] >= 'A' && e->text[0] <= 'Z')
		e->text[0] = (char)(e->text[0] - 'A' + 'a');
	return SK_ERROR;
}

/* All addresses of the machine; IPv6 first, as its socket may be missing. */
static bool
any_addrs(const struct addr *a, int family, struct sk_addrs *out)
{
	in_port_t port = htons((in_port_t)strtoul(a->port, NULL, 10));
	struct sk_addr *p;

	p = out->v = calloc(2, sizeof(*out->v));
	if (out->v == NULL)
		return false;
	if (family != AF_INET) {
		p->len = sizeof(p->u.in6);
		p->u.in6.sin6_family = AF_INET6;
		p->u.in6.sin6_port = port;
		p++;
	}
	if (family != AF_INET6) {
		p->len = sizeof(p->u.in);
		p->u.in.sin_family = AF_INET;
		p->u.in.sin_port = port;
		p++;
	}
	out->count = (size_t)(p - out->v);
	return true;
}

/* UNIX and vsock: an address is its own socket address. */
static bool
direct_addr(const struct addr *a, bool passive, struct sk_addrs *out,
    const char *who, struct err *e)
{
	struct sockaddr_un *un;
	size_t len = strlen(a->host), offset;

	out->v = calloc(1, sizeof(*out->v));
	if (out->v == NULL) {
		err_no_memory(e);
		return false;
	}
	out->count = 1;
	if (a->kind == ADDR_VSOCK)
		return vsock_address(a, out->v, who, passive ? ERR_BIND :
		    ERR_CONNECT, e);
	un = &out->v->u.un;
	un->sun_family = AF_UNIX;
	offset = a->kind == ADDR_ABSTRACT;
	memcpy(un->sun_path + offset, a->host, len);
	out->v->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    offset + len + (a->kind == ADDR_UNIX));
	return true;
}

static bool
inet_addrs(struct resolve *r, const struct addr *a,
    const struct sock_config *config, bool passive, struct err *e)
{
	struct lookup *l;
	bool ok = true;

	if (*a->host == '\0' && passive) {
		if (any_addrs(a, config->family, &r->addrs))
			return true;
		err_no_memory(e);
		return false;
	}
	l = lookup_new(a, config, passive);
	if (l == NULL) {
		err_no_memory(e);
		return false;
	}
	l->hints.ai_flags |= AI_NUMERICHOST;
	lookup_run(l);
	if (l->status == EAI_NONAME && !config->numeric) {
		l->hints.ai_flags &= ~AI_NUMERICHOST;
		l->done = false;
		if (spawn(l)) {
			r->lookup = l;
			return true;
		}
		l->status = EAI_SYSTEM;
		l->sys = errno;
	}
	if (l->status == EAI_NONAME && config->numeric) {
		err_set(e, ERR_RESOLVE, 0, r->who,
		    "not a numeric address (--numeric)");
		ok = false;
	} else
		ok = outcome(l, r->who, &r->addrs, e) == SK_OK;
	lookup_drop(l);
	return ok;
}

struct resolve *
resolve_start(const struct addr *a, const struct sock_config *config,
    bool passive, const char *who, struct err *e)
{
	struct resolve *r = calloc(1, sizeof(*r));
	bool ok;

	if (r == NULL) {
		err_no_memory(e);
		return NULL;
	}
	(void)snprintf(r->who, sizeof(r->who), "%s", who);
	if (a->kind == ADDR_INET)
		ok = inet_addrs(r, a, config, passive, e);
	else
		ok = direct_addr(a, passive, &r->addrs, who, e);
	if (!ok) {
		resolve_free(r);
		return NULL;
	}
	return r;
}

enum sk_result
resolve_try(struct resolve *r, struct sk_addrs *out, struct err *e)
{
	enum sk_result result;
	bool done;

	if (r->lookup != NULL) {
		(void)pthread_mutex_lock(&r->lookup->lock);
		done = r->lookup->done;
		(void)pthread_mutex_unlock(&r->lookup->lock);
		if (!done)
			return SK_WANT_READ;
		result = outcome(r->lookup, r->who, out, e);
		return result;
	}
	*out = r->addrs;
	r->addrs.v = NULL;
	r->addrs.count = 0;
	return SK_OK;
}

int
resolve_fd(const struct resolve *r)
{
	return r->lookup != NULL ? r->lookup->done_pipe[0] : -1;
}

void
resolve_free(struct resolve *r)
{
	if (r == NULL)
		return;
	if (r->lookup != NULL)
		lookup_drop(r->lookup);
	free(r->addrs.v);
	free(r);
}
