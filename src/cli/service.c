/* listen with many clients, commands and forwarding. */
#include "cli/service.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/talk.h"
#include "flow/command.h"
#include "flow/forward.h"
#include "flow/hub.h"

/* A peer that sends datagrams has left when it was silent for so long. */
enum { SESSION_SEC = 30 };

#define AT(field)	offsetof(struct service_options, field)

const struct opt service_opts[SERVICE_OPTS] = {
	{ "keep-open", 'k', NULL, &opt_flag, AT(keep_open),
	    "serve any number of clients" },
	{ "max-clients", 0, "N", &opt_count, AT(max_clients),
	    "so many at a time; the others wait" },
	{ "count", 0, "N", &opt_count, AT(count),
	    "end after N clients" },
	{ "broker", 0, NULL, &opt_flag, AT(broker),
	    "what a client sends goes to all the others" },
	{ "forward", 0, "ADDRESS", &opt_string, AT(forward),
	    "join each client to a connection to ADDRESS" },
	{ "proxy", 0, "URL", &opt_string, AT(proxy),
	    "with --forward, through a SOCKS or HTTP proxy" },
	{ "shell", 0, "COMMAND", &opt_string, AT(shell),
	    "run COMMAND with /bin/sh for each client" },
	{ "allow", 0, "NET", &opt_texts, AT(allow),
	    "only clients from NET; repeatable (@FILE)" },
	{ "deny", 0, "NET", &opt_texts, AT(deny),
	    "no clients from NET; repeatable (@FILE)" },
	{ "activate", 0, NULL, &opt_flag, AT(activate),
	    "take the sockets that systemd has passed" },
	{ "accept-proxy-protocol", 0, NULL, &opt_flag, AT(accept_proxy),
	    "each client begins with a PROXY header" },
};

#undef AT

static bool
has_command(const struct service_options *o, char *const *command)
{
	return command != NULL || o->shell != NULL;
}

static bool
keeps_open(const struct service_options *o)
{
	return o->keep_open || o->broker || o->count > 0 ||
	    o->max_clients > 0;
}

/* One of the services, at most. */
static bool
check_services(const struct session *s, const struct service_options *o,
    char *const *command, struct err *e)
{
	if (command != NULL && o->shell != NULL)
		return opt_usage(s->cmd, e,
		    "--shell and a COMMAND contradict each other");
	if (o->broker + (o->forward != NULL) + has_command(o, command) > 1)
		return opt_usage(s->cmd, e, "--broker, --forward and a "
		    "COMMAND contradict each other");
	if (o->proxy != NULL && o->forward == NULL)
		return opt_usage(s->cmd, e, "--proxy needs --forward");
	return true;
}

bool
service_check(const struct session *s, const struct service_options *o,
    const struct relay_options *relay, char *const *command, struct err *e)
{
	bool udp = s->common->address.udp, plain;

	plain = !o->broker && o->forward == NULL && !has_command(o, command);
	if (!check_services(s, o, command, e))
		return false;
	if (!plain && (relay->send_only || relay->receive_only ||
	    relay->no_stdin || relay->hold || relay->linger_ns >= 0 ||
	    relay->datagram != DATAGRAM_DEFAULT))
		return opt_usage(s->cmd, e, "--no-stdin, --send-only, "
		    "--receive-only, --hold, --linger and --datagram are "
		    "for standard input and output");
	if (o->broker && (relay->crlf || relay->line_delay_ns > 0))
		return opt_usage(s->cmd, e,
		    "--crlf and --line-delay are not for --broker");
	if (o->accept_proxy && udp)
		return opt_usage(s->cmd, e,
		    "--accept-proxy-protocol is not for datagrams");
	if (!s->inherits && s->addr.kind != ADDR_INET &&
	    o->allow.count + o->deny.count > 0 && !o->accept_proxy)
		return opt_usage(s->cmd, e,
		    "--allow and --deny are for internet addresses");
	if (has_command(o, command) && session_is_open_to_all(s))
		return opt_usage(s->cmd, e, "a COMMAND for everybody: name "
		    "the HOST to listen on, or who may come (--allow)");
	return true;
}

bool
service_access(struct session *s, const struct service_options *o,
    struct err *e)
{
	struct err why = { .code = ERR_NONE };
	bool ok = true;
	size_t i;

	for (i = 0; ok && i < o->allow.count; i++)
		ok = access_add(&s->access, true, o->allow.v[i], &why);
	for (i = 0; ok && i < o->deny.count; i++)
		ok = access_add(&s->access, false, o->deny.v[i], &why);
	if (!ok && why.code == ERR_USAGE)
		(void)opt_usage(s->cmd, e, "%s", why.text);
	else if (!ok)
		err_move(e, &why);
	err_clear(&why);
	return ok;
}

bool
service_is_wanted(const struct session *s, const struct service_options *o,
    char *const *command)
{
	return keeps_open(o) || o->forward != NULL ||
	    has_command(o, command) ||
	    (s->common->address.udp && s->access != NULL);
}

/* What a run of a server is told, and keeps. */
struct serving {
	struct session *session;
	bool alone;		/* one client, whose failure is ours */
	struct err first;	/* what it was, or the first of all */
	bool failed;
	bool late;		/* the run's own time limit among them */
};

static void
opened(void *context, const struct client *c)
{
	(void)context;
	log_verbose("connection from %s", c->name);
}

static void
refused(void *context, const char *name)
{
	(void)context;
	log_verbose("refused %s", name);
}

static void
trouble(void *context, const struct err *e)
{
	char text[ERR_WHO_MAX + ERR_TEXT_MAX + 128];

	(void)context;
	log_error("%s; waiting", err_format(e, text, sizeof(text)));
}

/* A reason that does not name the client is told behind its name. */
static void
tell_reason(const struct client *c, const struct err *e)
{
	char text[ERR_WHO_MAX + ERR_TEXT_MAX + 128];

	(void)err_format(e, text, sizeof(text));
	if (strcmp(e->who, c->name) == 0)
		log_error("%s", text);
	else
		log_error("%s: %s", c->name, text);
}

static void
closed(void *context, const struct client *c, const struct err *e)
{
	struct serving *v = context;
	const struct err *p;
	/* The run is over for everybody: that is told once, at its end. */
	bool late = e->code == ERR_TIMEOUT &&
	    clock_now_ns() >= v->session->deadline_ns;

	if (c->dropped > 0)
		log_error("%s: %llu datagrams were dropped: they were not "
		    "taken in time", c->name, (unsigned long long)c->dropped);
	if (!c->established) {
		if (e->code != ERR_NONE && !e->quiet && !late)
			tell_reason(c, e);
		return;
	}
	if (e->code == ERR_NONE)
		log_verbose("%s has ended", c->name);
	else if (e->quiet)
		log_verbose("%s has ended: status %d", c->name, (int)e->code);
	if (e->code == ERR_NONE || (!v->alone && e->quiet))
		return;
	if (!v->failed)
		err_append(&v->first, e);
	v->failed = true;
	v->late |= late;
	for (p = e; !v->alone && !late && p != NULL; p = p->next)
		tell_reason(c, p);
}

static void
configure(struct serving *v, const struct service_options *o,
    struct serve_config *config)
{
	struct session *s = v->session;

	v->alone = !o->keep_open && !o->broker && o->max_clients == 0 &&
	    o->count <= 1;
	*config = (struct serve_config){
		.mode = s->mode,
		.max_clients = o->max_clients,
		.count = v->alone ? 1 : o->count,
		.accept_ns = s->common->time.accept_ns,
		.deadline_ns = s->deadline_ns,
		.access = s->access,
		.announced = o->accept_proxy,
		.context = v,
		.opened = opened,
		.refused = refused,
		.closed = closed,
		.trouble = trouble,
	};
}

/* How haul relays where it sits in between. */
static void
configure_relay(const struct session *s, const struct relay_options *o,
    struct relay_config *config)
{
	*config = (struct relay_config){
		.mode = s->mode,
		.unit = s->config.datagram ? PUMP_CHUNK : PUMP_STREAM,
		.crlf = o->crlf,
		.line_delay_ns = o->line_delay_ns,
		.no_move = session_no_move(),
		.joined = true,
		.idle_ns = s->common->time.idle_ns,
		.linger_ns = -1,
		.deadline_ns = s->deadline_ns,
	};
	if (s->config.datagram) {
		config->idle_ends = true;
		if (config->idle_ns < 0)
			config->idle_ns = SESSION_SEC * CLOCK_SEC;
	}
}

static void
configure_command(const struct session *s, const struct relay_options *relay,
    char *const *command, const char *shell, uint64_t files,
    struct command_config *config)
{
	*config = (struct command_config){
		.command = { .argv = command, .shell = shell,
		    .files_max = files },
		.between = s->config.datagram || s->config.paced ||
		    s->config.telnet || relay->crlf ||
		    s->common->time.idle_ns >= 0,
		.deadline_ns = s->deadline_ns,
	};
	configure_relay(s, relay, &config->relay);
}

/* What --forward and its --proxy name, before anything is opened. */
static bool
configure_forward(const struct session *s, const struct service_options *o,
    const struct relay_options *relay, struct forward_config *config,
    struct proxy **proxy, struct err *e)
{
	char operand[ADDR_NAME_MAX], *operands[] = { operand, NULL };
	struct err why = { .code = ERR_NONE };
	int used;

	if (strlen(o->forward) >= sizeof(operand))
		return opt_usage(s->cmd, e, "--forward: too long");
	memcpy(operand, o->forward, strlen(o->forward) + 1);
	if (!addr_parse(&config->addr, operands,
	    (s->common->address.numeric ? ADDR_NUMERIC : 0) |
	    (s->config.datagram ? ADDR_DATAGRAM : 0), &used, &why))
		return opt_usage(s->cmd, e, "--forward: %s", why.text);
	if (o->proxy != NULL &&
	    (*proxy = session_proxy(s, o->proxy, e)) == NULL)
		return false;
	config->sock = (struct sock_config){ .mode = s->mode,
	    .datagram = s->config.datagram, .numeric = s->config.numeric,
	    .family = s->config.family, .socket_mode = -1, .proxy = *proxy };
	config->connect_ns = s->common->time.connect_ns;
	configure_relay(s, relay, &config->relay);
	return true;
}

static enum sk_result
serve_hub(struct session *s, const struct service_options *o,
    const struct relay_options *relay, const struct serve_config *serving,
    struct err *e)
{
	struct hub_config config = {
		.mode = s->mode, .broker = o->broker, .crlf = relay->crlf,
		.hold = relay->hold, .no_move = session_no_move(),
		.send_only = relay->send_only,
		.line_delay_ns = relay->line_delay_ns,
		.idle_ns = s->common->time.idle_ns,
		.linger_ns = relay->linger_ns,
		.deadline_ns = s->deadline_ns,
	};
	struct sock *in = NULL, *out = NULL;
	enum sk_result r = SK_ERROR;
	struct hub *hub = NULL;

	if (s->config.datagram) {
		config.idle_ends = true;
		if (config.idle_ns < 0)
			config.idle_ns = SESSION_SEC * CLOCK_SEC;
	}
	if (!o->broker && !relay->no_stdin && !relay->receive_only &&
	    (in = sock_stdin(s->mode, e)) == NULL)
		goto out;
	if (in != NULL && s->config.datagram)
		config.unit = session_unit(relay->datagram, in);
	if (!o->broker && !relay->send_only &&
	    (out = sock_stdout(s->mode, e)) == NULL)
		goto out;
	hub = hub_new(&config, in, out, e);
	if (hub != NULL)
		r = serve(serving, &s->listener, &hub_service, hub, hub_begun,
		    e);
out:
	hub_free(hub);
	sock_abort(&in);
	sock_abort(&out);
	return r;
}

/* What the clients' failures mean for the run. */
static enum sk_result
conclude(struct serving *v, enum sk_result r, struct err *e)
{
	if (r == SK_OK && v->failed) {
		err_move(e, &v->first);
		e->quiet |= !v->alone && !v->late;
		r = SK_ERROR;
	}
	err_clear(&v->first);
	return r;
}

enum sk_result
service_run(struct session *s, const struct service_options *o,
    const struct relay_options *relay, char *const *command, struct err *e)
{
	struct serving v = { .session = s };
	struct serve_config serving;
	struct command_config run;
	struct forward_config forward;
	struct proxy *proxy = NULL;
	uint64_t files;
	enum sk_result r;

	files = session_raise_descriptors();
	s->config.announced = o->accept_proxy;
	s->config.sessions = s->config.datagram;
	configure(&v, o, &serving);
	configure_command(s, relay, command, o->shell, files, &run);
	if (o->forward != NULL && !configure_forward(s, o, relay, &forward,
	    &proxy, e))
		return SK_ERROR;
	r = session_listen(s, &s->listener, e);
	if (r == SK_OK && o->forward != NULL)
		r = serve(&serving, &s->listener, &forward_service, &forward,
		    NULL, e);
	else if (r == SK_OK && has_command(o, command))
		r = serve(&serving, &s->listener, &command_service, &run,
		    NULL, e);
	else if (r == SK_OK)
		r = serve_hub(s, o, relay, &serving, e);
	proxy_free(proxy);
	return conclude(&v, r, e);
}

enum sk_result
service_command(struct session *s, const struct relay_options *relay,
    char *const *command, const char *shell, struct err *e)
{
	struct command_config config;
	struct sock *peer = NULL;
	enum sk_result r;

	r = session_establish(s, &peer, e);
	if (r != SK_OK)
		return r;
	configure_command(s, relay, command, shell, 0, &config);
	return serve_alone(s->mode, &peer, &command_service, &config, e);
}
