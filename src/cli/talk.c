#include "cli/talk.h"

bool
talk_check(const struct opt_command *cmd, const struct relay_options *o,
    const struct common_options *common, struct err *e)
{
	bool no_input = o->no_stdin || o->receive_only;

	if (o->send_only && o->receive_only)
		return opt_usage(cmd, e,
		    "--send-only and --receive-only contradict each other");
	if (o->send_only && o->no_stdin)
		return opt_usage(cmd, e,
		    "--send-only and --no-stdin contradict each other");
	if (no_input && (o->crlf || o->hold || o->linger_ns >= 0 ||
	    o->datagram != DATAGRAM_DEFAULT))
		return opt_usage(cmd, e, "--crlf, --hold, --linger and "
		    "--datagram need standard input");
	if (o->datagram != DATAGRAM_DEFAULT && !common->address.udp)
		return opt_usage(cmd, e, "--datagram needs --udp");
	if (o->telnet && common->address.udp)
		return opt_usage(cmd, e, "--telnet is not for datagrams");
	return true;
}

void
talk_configure(struct session *s, const struct relay_options *o)
{
	s->config.telnet = o->telnet;
	s->config.paced = o->line_delay_ns > 0;
	session_set_rate(s, o->rate);
}

enum sk_result
talk(struct session *s, const struct relay_options *o, struct err *e)
{
	struct relay_config config = {
		.crlf = o->crlf,
		.hold = o->hold,
		.send_only = o->send_only,
		.line_delay_ns = o->line_delay_ns,
		.linger_ns = o->linger_ns,
	};
	struct sock *in = NULL, *out = NULL, *peer = NULL;
	enum sk_result r = SK_ERROR;

	if (!o->no_stdin && !o->receive_only) {
		in = sock_stdin(s->mode, e);
		if (in == NULL)
			goto out;
		config.unit = session_unit(o->datagram, in);
	}
	out = o->send_only ? sock_null(s->mode, e) : sock_stdout(s->mode, e);
	if (out == NULL)
		goto out;
	r = session_establish(s, &peer, e);
	if (r == SK_OK)
		r = session_relay(s, &config, in, out, &peer, e);
out:
	sock_abort(&in);
	sock_abort(&out);
	return r;
}
