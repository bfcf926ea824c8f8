/* From options to a session. */
#include "cli/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/version.h"

enum { URL_MAX = 2048 };

bool
session_told(const struct opt_command *cmd,
    const struct common_options *common)
{
	const char *name, *form, *help;
	size_t i = 0;

	if (common->output.help)
		opt_help(cmd);
	else if (common->output.version)
		(void)printf("haul %s\n", HAUL_VERSION);
	else if (common->mode.sockopts.help)
		while (sockopt_describe(&i, &name, &form, &help))
			(void)printf("%-15s%-18s %s\n", name, form, help);
	else
		return false;
	return true;
}

static bool
check_common(const struct session *s, struct err *e)
{
	const struct common_options *c = s->common;

	if (c->address.ipv4 && c->address.ipv6)
		return opt_usage(s->cmd, e, "-4 and -6 contradict each other");
	if (c->mode.blocking && c->mode.nonblocking)
		return opt_usage(s->cmd, e,
		    "--blocking and --nonblocking contradict each other");
	if (c->output.verbose && c->output.quiet)
		return opt_usage(s->cmd, e,
		    "--verbose and --quiet contradict each other");
	return true;
}

/* Options of the role that is not ours would do nothing: that is an error. */
static bool
check_role(const struct session *s, struct err *e)
{
	const struct bind_options *b = s->bind;
	const struct dial_options *d = s->dial;

	if (s->listens && d != NULL && (d->source != NULL ||
	    d->source_port != NULL || d->proxy != NULL))
		return opt_usage(s->cmd, e, "--source, --source-port and "
		    "--proxy are for connecting");
	if (s->listens && d != NULL && d->retry_ns >= 0 && !s->retries)
		return opt_usage(s->cmd, e,
		    "--retry-for is for connecting, or for transfers");
	if (!s->listens && b != NULL && (b->ready_fd != -1 ||
	    b->port_file != NULL || b->backlog != 0 || b->socket_mode != -1))
		return opt_usage(s->cmd, e, "--ready-fd, --port-file, "
		    "--backlog and --socket-mode are for listening");
	return true;
}

static bool
check_address(const struct session *s, struct err *e)
{
	const struct address_options *a = &s->common->address;
	enum addr_kind kind = s->addr.kind;
	bool is_unix = kind == ADDR_UNIX || kind == ADDR_ABSTRACT;

	if (kind != ADDR_INET && (a->ipv4 || a->ipv6))
		return opt_usage(s->cmd, e,
		    "-4 and -6 are for internet addresses");
	if (kind != ADDR_INET && s->dial != NULL && (s->dial->source != NULL ||
	    s->dial->source_port != NULL))
		return opt_usage(s->cmd, e, "--source and --source-port are "
		    "for internet addresses");
	if (!is_unix && s->bind != NULL && s->bind->socket_mode != -1)
		return opt_usage(s->cmd, e,
		    "--socket-mode is for UNIX sockets");
	if (kind == ADDR_VSOCK && a->udp)
		return opt_usage(s->cmd, e, "vsock has no datagrams");
	if (s->proxy != NULL && (kind != ADDR_INET || a->udp))
		return opt_usage(s->cmd, e,
		    "--proxy is for TCP connections");
	return true;
}

/* "@FILE": the first line of a file, which ps does not show. */
static bool
read_url(const struct session *s, const char *path, char *url, int size,
    struct err *e)
{
	FILE *file = fopen(path, "re");
	bool ok = file != NULL && fgets(url, size, file) != NULL;

	if (file == NULL || ferror(file))
		err_set(e, ERR_LOCAL, errno, path, "--proxy");
	else if (!ok || strlen(url) + 1 == (size_t)size)
		ok = opt_usage(s->cmd, e, "--proxy: no URL in %.60s", path);
	if (file != NULL)
		(void)fclose(file);
	if (ok)
		url[strcspn(url, "\r\n")] = '\0';
	return ok;
}

struct proxy *
session_proxy(const struct session *s, const char *url, struct err *e)
{
	struct err why = { .code = ERR_NONE };
	struct proxy *proxy;
	char text[URL_MAX];

	if (*url == '@') {
		if (!read_url(s, url + 1, text, sizeof(text), e))
			return NULL;
		url = text;
	}
	proxy = proxy_parse(url, getenv("HAUL_PROXY_AUTH"), &why);
	if (proxy == NULL && why.code == ERR_USAGE)
		(void)opt_usage(s->cmd, e, "%s", why.text);
	else if (proxy == NULL)
		err_move(e, &why);
	err_clear(&why);
	return proxy;
}

bool
session_is_open_to_all(const struct session *s)
{
	return !s->inherits && s->addr.kind == ADDR_INET &&
	    *s->addr.host == '\0' && !access_allows(s->access);
}

static void
configure(struct session *s, enum sk_mode default_mode)
{
	const struct common_options *c = s->common;
	int family = AF_UNSPEC;

	if (c->address.ipv4)
		family = AF_INET;
	if (c->address.ipv6)
		family = AF_INET6;
	s->mode = default_mode;
	if (c->mode.blocking)
		s->mode = SK_BLOCKING;
	if (c->mode.nonblocking)
		s->mode = SK_NONBLOCKING;
	s->config = (struct sock_config){
		.mode = s->mode,
		.datagram = c->address.udp,
		.numeric = c->address.numeric,
		.family = family,
		.options = &c->mode.sockopts,
		.socket_mode = -1,
	};
	if (s->listens && s->bind != NULL) {
		s->config.backlog = s->bind->backlog;
		s->config.socket_mode = s->bind->socket_mode;
	}
	s->config.proxy = s->proxy;
	if (!s->listens && s->dial != NULL) {
		s->config.source_host = s->dial->source;
		if (s->dial->source_port != NULL)
			s->config.source_port = s->source_port;
	}
}

bool
session_init(struct session *s, char *const *operands, bool listens,
    enum sk_mode default_mode, int *used, struct err *e)
{
	const struct common_options *c = s->common;
	struct err why = { 0 };
	int flags;

	s->listens = listens;
	s->deadline_ns = c->time.run_ns < 0 ? CLOCK_NEVER :
	    clock_after_ns(clock_now_ns(), c->time.run_ns);
	if (c->output.quiet)
		log_set_level(LOG_QUIET);
	if (c->output.verbose)
		log_set_level(LOG_VERBOSE);
	if (!check_common(s, e) || !check_role(s, e))
		return false;
	flags = (listens ? ADDR_LISTENING : 0) |
	    (c->address.numeric ? ADDR_NUMERIC : 0) |
	    (c->address.udp ? ADDR_DATAGRAM : 0);
	if (!listens && s->dial != NULL && s->dial->proxy != NULL &&
	    (s->proxy = session_proxy(s, s->dial->proxy, e)) == NULL)
		return false;
	*used = 0;
	if (s->inherits && (c->address.ipv4 || c->address.ipv6 ||
	    s->bind->backlog != 0 || s->bind->socket_mode != -1))
		return opt_usage(s->cmd, e, "-4, -6, --backlog and "
		    "--socket-mode are not for sockets that are passed");
	if (!s->inherits && !s->probes) {
		if (!addr_parse(&s->addr, operands, flags, used, &why))
			return opt_usage(s->cmd, e, "%s", why.text);
		if (!check_address(s, e))
			return false;
	}
	if (!listens && s->dial != NULL && s->dial->source_port != NULL &&
	    !addr_parse_port(s->dial->source_port, flags, s->source_port))
		return opt_usage(s->cmd, e, "--source-port: not a port: %.40s",
		    s->dial->source_port);
	configure(s, default_mode);
	return true;
}

bool
session_no_more(const struct session *s, char *const *rest, struct err *e)
{
	if (*rest == NULL)
		return true;
	return opt_usage(s->cmd, e, "one operand too many: %.60s", *rest);
}

void
session_free(struct session *s)
{
	session_end(s);
	access_free(s->access);
	s->access = NULL;
	proxy_free(s->proxy);
	s->proxy = NULL;
}

uint64_t
session_raise_descriptors(void)
{
	struct rlimit limit;
	uint64_t before;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	before = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	return before;
}

void
session_set_rate(struct session *s, uint64_t rate)
{
	s->config.paced |= rate > 0;
	s->config.rate = rate;
}

void
session_tell(struct err *e)
{
	char text[ERR_WHO_MAX + ERR_TEXT_MAX + 128];
	const struct err *p;

	for (p = e; p != NULL && p->code != ERR_NONE; p = p->next)
		if (!p->quiet)
			log_error("%s", err_format(p, text, sizeof(text)));
	err_clear(e);
}
