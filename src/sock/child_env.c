/* The environment of a command, and where its name leads. */
#include "sock/child_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

/*
 * What a command must not inherit: what was said of another connection, what
 * was meant for haul alone, and a secret.
 */
static const char *const removed[] = {
	"HAUL_PEER_HOST", "HAUL_PEER_PORT", "HAUL_LOCAL_HOST",
	"HAUL_LOCAL_PORT", "HAUL_TRANSPORT", "PROTO",
	"TCPREMOTEIP", "TCPREMOTEPORT", "TCPREMOTEHOST", "TCPREMOTEINFO",
	"TCPLOCALIP", "TCPLOCALPORT", "TCPLOCALHOST",
	"UDPREMOTEIP", "UDPREMOTEPORT", "UDPLOCALIP", "UDPLOCALPORT",
	"UNIXLOCALPATH", "UNIXREMOTEPATH",
	"LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES",
	"NOTIFY_SOCKET",
	"HAUL_PROXY_AUTH",
};

static bool
is_removed(const char *variable)
{
	size_t i, len = strcspn(variable, "=");

	for (i = 0; i < sizeof(removed) / sizeof(removed[0]); i++)
		if (strncmp(variable, removed[i], len) == 0 &&
		    removed[i][len] == '\0')
			return true;
	return false;
}

static void
add(struct child_env *env, const char *prefix, const char *name,
    const char *value)
{
	char *text = env->own[env->count];

	(void)snprintf(text, CHILD_OWN_MAX, "%s%s=%s", prefix, name, value);
	env->v[env->count++] = text;
}

/* UCSPI; "TCP" for IPv6 as well, as s6-networking has it. */
static void
add_ucspi(struct child_env *env, const struct sock_ends *ends)
{
	static const struct {
		const char *transport, *proto;
		bool inet;
	} protos[] = {
		{ "tcp", "TCP", true },
		{ "udp", "UDP", true },
		{ "unix", "UNIX", false },
		{ "vsock", "VSOCK", false },
	};
	size_t i = 0;

	while (strcmp(protos[i].transport, ends->transport) != 0)
		if (++i == sizeof(protos) / sizeof(protos[0]))
			return;
	add(env, "PROTO", "", protos[i].proto);
	if (!protos[i].inet)
		return;
	add(env, protos[i].proto, "REMOTEIP", ends->peer_host);
	add(env, protos[i].proto, "REMOTEPORT", ends->peer_port);
	add(env, protos[i].proto, "LOCALIP", ends->local_host);
	add(env, protos[i].proto, "LOCALPORT", ends->local_port);
}

struct child_env *
child_environment(const struct sock *conn, struct err *e)
{
	struct child_env *env;
	struct sock_ends ends;
	size_t i, count, inherited = 0;

	while (environ != NULL && environ[inherited] != NULL)
		inherited++;
	env = malloc(sizeof(*env) +
	    (inherited + CHILD_OWN + 1) * sizeof(env->v[0]));
	if (env == NULL) {
		err_no_memory(e);
		return NULL;
	}
	env->count = 0;
	sock_get_ends(conn, &ends);
	add(env, "HAUL_", "PEER_HOST", ends.peer_host);
	add(env, "HAUL_", "PEER_PORT", ends.peer_port);
	add(env, "HAUL_", "LOCAL_HOST", ends.local_host);
	add(env, "HAUL_", "LOCAL_PORT", ends.local_port);
	add(env, "HAUL_", "TRANSPORT", ends.transport);
	add_ucspi(env, &ends);
	count = env->count;
	for (i = 0; i < inherited; i++)
		if (!is_removed(environ[i]))
			env->v[count++] = environ[i];
	env->v[count] = NULL;
	return env;
}

/* As execve(2) would say, as far as that can be known before. */
static int
look_at(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

/* As execvp(3): one that may not be executed does not hide the next. */
int
child_find(const char *name, char path[PATH_MAX])
{
	const char *folder, *end, *search = getenv("PATH");
	int len, sys, result = ENOENT;

	if (strchr(name, '/') != NULL || *name == '\0') {
		len = snprintf(path, PATH_MAX, "%s", name);
		return len < PATH_MAX ? look_at(path) : ENAMETOOLONG;
	}
	if (search == NULL)
		search = "/bin:/usr/bin";
	for (folder = search;; folder = end + 1) {
		end = folder + strcspn(folder, ":");
		len = snprintf(path, PATH_MAX, "%.*s%s%s", (int)(end - folder),
		    folder, end > folder ? "/" : "", name);
		sys = len < PATH_MAX ? look_at(path) : ENAMETOOLONG;
		if (sys == 0)
			return 0;
		if (sys == EACCES)
			result = sys;
		if (*end == '\0')
			return result;
	}
}
