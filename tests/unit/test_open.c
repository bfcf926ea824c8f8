/* Opening: addresses, ports, paths, names, files, and every way to fail. */
#include "sock/sock.h"

#include <sys/stat.h>

#include "net.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum {
	BIG_BYTES = 1024 * 1024,
	VSOCK_MS = 200,		/* where nobody even refuses */
};

static char big[BIG_BYTES];

/* The failures of opening, each with its exit status. */
static const struct open_case {
	const char *operand;
	bool listens, datagram;
	enum err_code code;
	int sys;
	const char *who;
} failures[] = {
	{ "no.such.host:80", false, false, ERR_RESOLVE, 0,
	    "no.such.host port 80" },
	{ "no.such.host:80", true, false, ERR_RESOLVE, 0, NULL },
	{ "unix:/nonexistent/s", false, false, ERR_CONNECT, ENOENT,
	    "unix:/nonexistent/s" },
	{ "unix:/nonexistent/s", true, false, ERR_BIND, ENOENT,
	    "unix:/nonexistent/s" },
	{ "unix:@haul-unit-nobody", false, false, ERR_CONNECT, ECONNREFUSED,
	    "unix:@haul-unit-nobody" },
	{ "unix:/dev/null", false, false, ERR_CONNECT, ECONNREFUSED, NULL },
	{ "unix:/dev/null", true, false, ERR_BIND, 0, NULL },
	{ "unix:/dev/null", true, true, ERR_BIND, 0, NULL },
	{ "192.0.2.7:0", true, false, ERR_BIND, EADDRNOTAVAIL,
	    "192.0.2.7 port 0" },
	{ "192.0.2.7:0", true, true, ERR_BIND, EADDRNOTAVAIL, NULL },
};

static void
test_failures(enum sk_mode mode)
{
	const struct open_case *c;
	struct err e = { 0 };
	struct sock *s;
	char line[512];
	size_t i;

	for (i = 0; i < COUNT(failures); i++) {
		struct sock_config config = { .mode = mode, .numeric = true,
		    .socket_mode = -1 };

		c = &failures[i];
		config.datagram = c->datagram;
		s = net_open(c->operand, &config, c->listens, &e);
		if (!tap_ok(s == NULL && e.code == c->code &&
		    (c->sys == 0 || e.sys == c->sys) && (c->who == NULL ||
		    strcmp(e.who, c->who) == 0), "%s: %s %s fails",
		    net_mode_names[mode], c->listens ? "listening at" :
		    "connecting to", c->operand))
			tap_note("%d: %s", (int)e.code,
			    err_format(&e, line, sizeof(line)));
		sock_abort(&s);
		err_clear(&e);
	}
}

/* Nobody answers at a free port; two cannot have the same one. */
static void
test_ports(enum sk_mode mode)
{
	struct sock_config config = { .mode = mode, .socket_mode = -1 };
	struct sock *first, *second;
	struct err e = { 0 };
	char where[256];

	first = net_listen(NET_TCP4, &config, &e);
	if (!tap_ok(first != NULL, "%s: a free port", net_mode_names[mode]))
		return;
	(void)snprintf(where, sizeof(where), "%s", net_address(first));
	tap_ok(atoi(sock_ready_port(first)) > 0 &&
	    strncmp(sock_ready_line(first), "127.0.0.1 ", 10) == 0 &&
	    strcmp(sock_ready_line(first) + 10, sock_ready_port(first)) == 0,
	    "%s: its number is known", net_mode_names[mode]);
	second = net_open(where, &config, true, &e);
	tap_ok(second == NULL && e.code == ERR_BIND && e.sys == EADDRINUSE,
	    "%s: it is taken", net_mode_names[mode]);
	sock_abort(&second);
	sock_abort(&first);
	err_clear(&e);
	second = net_open(where, &config, false, &e);
	tap_ok(second == NULL && e.code == ERR_CONNECT &&
	    e.sys == ECONNREFUSED, "%s: refused", net_mode_names[mode]);
	sock_abort(&second);
	err_clear(&e);
}

/* All addresses of the machine: both families under one number. */
static void
test_dual_stack(enum sk_mode mode)
{
	struct sock_config config = { .mode = mode, .socket_mode = -1 };
	static const char *const hosts[] = { "127.0.0.1", "[::1]" };
	struct sock *listener, *client, *s;
	struct err e = { 0 };
	char where[256];
	size_t i;

	listener = net_open(":0", &config, true, &e);
	if (!tap_ok(listener != NULL, "%s: all addresses",
	    net_mode_names[mode]))
		return;
	for (i = 0; i < COUNT(hosts); i++) {
		if (i == 1 && !net_has(NET_TCP6)) {
			tap_skip("no IPv6", "a client at [::1]");
			continue;
		}
		(void)snprintf(where, sizeof(where), "%s:%s", hosts[i],
		    sock_ready_port(listener));
		s = net_open(where, &config, false, &e);
		client = NULL;
		tap_ok(s != NULL && net_accept(listener, &client, &e) ==
		    SK_OK && strstr(sock_name(client), i == 0 ?
		    "127.0.0.1 port " : "::1 port ") == sock_name(client),
		    "%s: a client at %s", net_mode_names[mode], hosts[i]);
		sock_abort(&client);
		sock_abort(&s);
	}
	sock_abort(&listener);
	err_clear(&e);
}

/* The path of a UNIX listener: made, with its mode, refused, replaced, gone. */
static void
test_path(enum sk_mode mode, bool datagram)
{
	struct sock_config config = { .mode = mode, .datagram = datagram,
	    .socket_mode = 0600 };
	const char *name = datagram ? "UNIX datagram" : "UNIX";
	struct sock *first, *second;
	struct err e = { 0 };
	struct sk_addr a = { .u.un.sun_family = AF_UNIX };
	struct stat st;
	char operand[256];
	int fd;

	(void)snprintf(operand, sizeof(operand), "unix:%s", net_path("p"));
	first = net_open(operand, &config, true, &e);
	tap_ok(first != NULL && stat(net_path("p"), &st) == 0 &&
	    S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0600,
	    "%s: a path with its mode", name);
	tap_ok(first != NULL && strcmp(sock_ready_line(first), operand) ==
	    0 && strcmp(sock_ready_port(first), net_path("p")) == 0,
	    "%s: known by it", name);
	second = net_open(operand, &config, true, &e);
	tap_ok(second == NULL && e.code == ERR_BIND &&
	    stat(net_path("p"), &st) == 0, "%s: a live one is refused", name);
	sock_abort(&second);
	sock_abort(&first);
	tap_ok(stat(net_path("p"), &st) != 0, "%s: its path is removed",
	    name);
	err_clear(&e);

	memcpy(a.u.un.sun_path, net_path("p"), strlen(net_path("p")));
	fd = socket(AF_UNIX, datagram ? SOCK_DGRAM : SOCK_STREAM, 0);
	tap_ok(bind(fd, &a.u.sa, sizeof(a.u.un)) == 0, "%s: a stale path",
	    name);
	(void)close(fd);
	first = net_open(operand, &config, true, &e);
	tap_ok(first != NULL, "%s: it is replaced", name);
	/* Somebody else puts a socket in its place: that one stays. */
	(void)unlink(net_path("p"));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	(void)bind(fd, &a.u.sa, sizeof(a.u.un));
	(void)close(fd);
	sock_abort(&first);
	tap_ok(stat(net_path("p"), &st) == 0, "%s: another's path stays",
	    name);
	(void)unlink(net_path("p"));
	err_clear(&e);
}

/* Names: looked up in a thread, given up at the deadline. */
static void
test_names(enum sk_mode mode)
{
	struct sock_config config = { .mode = mode, .family = AF_INET,
	    .socket_mode = -1 };
	struct sock *listener, *s;
	struct err e = { 0 };
	struct addr a = { .kind = ADDR_INET, .host = "localhost" };
	enum sk_result r = SK_ERROR;

	listener = net_open("localhost:0", &config, true, &e);
	if (!tap_ok(listener != NULL, "%s: listening at a name",
	    net_mode_names[mode]))
		return;
	(void)snprintf(a.port, sizeof(a.port), "%s",
	    sock_ready_port(listener));
	s = sock_new(&a, &config, &e);
	if (s != NULL) {
		sock_set_deadline(s, net_limit_ns());
		r = net_finish(s, sock_connect, &e);
		tap_ok(r == SK_OK && strncmp(sock_name(s),
		    "127.0.0.1 port ", 15) == 0, "%s: connecting to it",
		    net_mode_names[mode]);
	}
	sock_abort(&s);
	/* Whether it is known by then or not: nothing leaks, nobody waits. */
	s = sock_new(&a, &config, &e);
	if (s != NULL) {
		sock_set_deadline(s, clock_now_ns());
		r = sock_connect(s, &e);
		tap_ok(r == SK_TIMEOUT || r == SK_OK,
		    "%s: a deadline at once", net_mode_names[mode]);
	}
	sock_abort(&s);
	sock_abort(&listener);
	err_clear(&e);
}

/* vsock cannot be had everywhere: an opening or an error, but in time. */
static void
test_vsock(enum sk_mode mode)
{
	struct sock_config config = { .mode = mode, .socket_mode = -1 };
	struct err e = { 0 };
	struct sock *s;
	char line[512];

	s = net_open_within(VSOCK_MS, "vsock:1:65432", &config, false, &e);
	tap_ok(s == NULL && (e.code == ERR_CONNECT || e.code == ERR_TIMEOUT),
	    "%s: vsock: nobody answers", net_mode_names[mode]);
	tap_note("%s", err_format(&e, line, sizeof(line)));
	sock_abort(&s);
	err_clear(&e);
	s = net_open("vsock:any:65432", &config, true, &e);
	tap_ok(s != NULL ? strncmp(sock_name(s), "vsock ", 6) == 0 :
	    e.code == ERR_BIND, "%s: vsock: listening, or a reason",
	    net_mode_names[mode]);
	if (s == NULL)
		tap_note("%s", err_format(&e, line, sizeof(line)));
	sock_abort(&s);
	err_clear(&e);
}

static void
put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f == NULL)
		return;
	(void)fputs(text, f);
	(void)fclose(f);
}

/* Files one after another are one stream; nothing takes everything. */
static void
test_files(enum sk_mode mode)
{
	char one[128], none[128], two[128], missing[128];
	char *paths[] = { one, none, two, NULL }, *folder[] = { one, NULL };
	struct err e = { 0 };
	enum sk_result r = SK_ERROR;
	struct sock *s;
	size_t got, n = 0;

	(void)snprintf(one, sizeof(one), "%s", net_path("one"));
	(void)snprintf(none, sizeof(none), "%s", net_path("none"));
	(void)snprintf(two, sizeof(two), "%s", net_path("two"));
	(void)snprintf(missing, sizeof(missing), "%s", net_path("missing"));
	put_file(one, "abc");
	put_file(none, "");
	put_file(two, "def");
	s = sock_files(paths, mode, &e);
	while (s != NULL && (r = net_recv(s, big, sizeof(big), &got, &e)) ==
	    SK_OK)
		n += got;
	tap_ok(n == 6 && r == SK_EOF, "%s: files one after another",
	    net_mode_names[mode]);
	tap_ok(s != NULL && sock_watch_fd(s) == -1 && !sock_is_terminal(s),
	    "%s: files have no reader to lose", net_mode_names[mode]);
	sock_abort(&s);
	paths[2] = missing;
	s = sock_files(paths, mode, &e);
	tap_ok(s == NULL && e.code == ERR_LOCAL && e.sys == ENOENT &&
	    strcmp(e.who, missing) == 0, "%s: a missing file is told first",
	    net_mode_names[mode]);
	(void)snprintf(one, sizeof(one), "%s", net_folder);
	s = sock_files(folder, mode, &e);
	tap_ok(s == NULL && e.code == ERR_LOCAL && e.sys == EISDIR,
	    "%s: a folder is no file", net_mode_names[mode]);
	err_clear(&e);
	s = sock_null(mode, &e);
	tap_ok(s != NULL && net_send(s, big, sizeof(big), &n, &e) == SK_OK &&
	    n == sizeof(big) && net_close(&s, &e) == SK_OK,
	    "%s: nothing takes everything", net_mode_names[mode]);
	(void)unlink(net_path("one"));
	(void)unlink(none);
	(void)unlink(two);
	err_clear(&e);
}

int
main(void)
{
	enum sk_mode mode;

	tap_start();
	for (mode = SK_NONBLOCKING; mode <= SK_BLOCKING; mode++) {
		test_failures(mode);
		test_ports(mode);
		test_dual_stack(mode);
		test_path(mode, false);
		test_path(mode, true);
		test_names(mode);
		test_vsock(mode);
		test_files(mode);
	}
	net_clean();
	return tap_done();
}
