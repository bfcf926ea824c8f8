/*
 * Commands. posix_spawn(3) would do but for one thing: haul may have raised its
 * limit of descriptors, and a command is to have the one that haul was started
 * with (a select(2) with a higher one corrupts memory). That can be set in the
 * new process alone, between fork and exec, so we do what posix_spawn does.
 */
#include "sock/child.h"
#include "sock/child_impl.h"
#include "sock/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

/* How often a process that cannot be watched is asked. */
enum { LOOK_MS = 10 };

struct child {
	pthread_mutex_t lock;
	pid_t pid;		/* and process group; 0: none */
	bool ended;		/* and reaped: pid may be anybody's */
	int status;
	struct child *next;	/* in the list of the abandoned */
};

/*
 * Those whose socket was aborted before they ended. init cannot reap them while
 * we run, so each start and each end of another one looks after them.
 */
static pthread_mutex_t abandoned_lock = PTHREAD_MUTEX_INITIALIZER;
static struct child *abandoned;

/* Look whether it has ended, and reap it. The lock is held, or c is ours. */
static bool
reap(struct child *c)
{
	pid_t pid;
	int status;

	if (c->pid == 0 || c->ended)
		return true;
	do
		pid = waitpid(c->pid, &status, WNOHANG);
	while (pid == -1 && errno == EINTR);
	if (pid == 0)
		return false;
	c->ended = true;
	if (pid == -1)
		c->status = ERR_LOCAL;
	else if (WIFSIGNALED(status))
		c->status = 128 + WTERMSIG(status);
	else
		c->status = WEXITSTATUS(status);
	return true;
}

static void
child_free(struct child *c)
{
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

static void
reap_abandoned(void)
{
	struct child **p, *c;

	(void)pthread_mutex_lock(&abandoned_lock);
	for (p = &abandoned; (c = *p) != NULL;) {
		if (!reap(c)) {
			p = &c->next;
			continue;
		}
		*p = c->next;
		child_free(c);
	}
	(void)pthread_mutex_unlock(&abandoned_lock);
}

static enum sk_result
child_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	struct child *c = s->priv;
	bool ended;

	(void)buf;
	(void)len;
	(void)got;
	(void)e;
	(void)pthread_mutex_lock(&c->lock);
	ended = reap(c);
	(void)pthread_mutex_unlock(&c->lock);
	if (ended)
		return SK_EOF;
	if (s->fd == -1)
		sock_pause(s, SK_IN, clock_now_ns() + LOOK_MS * CLOCK_MS,
		    true);
	return SK_WANT_READ;
}

static void
child_release(struct sock *s)
{
	struct child *c = s->priv;

	if (c != NULL && !reap(c)) {
		(void)pthread_mutex_lock(&abandoned_lock);
		c->next = abandoned;
		abandoned = c;
		(void)pthread_mutex_unlock(&abandoned_lock);
	} else if (c != NULL)
		child_free(c);
	reap_abandoned();
}

static const struct transport transport_child = {
	.try_recv = child_try_recv,
	.release = child_release,
};

int
child_status(const struct sock *child)
{
	const struct child *c = child->priv;

	return c->status;
}

void
child_signal(const struct sock *child, int sig)
{
	struct child *c = child->priv;

	(void)pthread_mutex_lock(&c->lock);
	if (!c->ended)
		(void)kill(-c->pid, sig);
	(void)pthread_mutex_unlock(&c->lock);
}

static struct sock *
make(enum sk_mode mode, const char *name, struct err *e)
{
	struct sock *s = sock_make(&transport_child, -1, mode, name, e);
	struct child *c;

	if (s == NULL)
		return NULL;
	s->priv = c = calloc(1, sizeof(*c));
	if (c == NULL) {
		err_no_memory(e);
		sock_abort(&s);
		return NULL;
	}
	(void)pthread_mutex_init(&c->lock, NULL);
	return s;
}

/* dup2(2) on the same number would leave it close-on-exec. */
static bool
give(int fd, int number)
{
	return (fd == number ? fcntl(fd, F_SETFD, 0) : dup2(fd, number)) != -1;
}

/*
 * What the new process does. It may be in our memory, and others of our threads
 * may hold any lock: system calls alone, and nothing is written but the stack.
 */
static void
become(const struct child_plan *plan, int report)
{
	struct sigaction act = { .sa_handler = SIG_DFL };
	sigset_t none;
	int sig, sys;

	/* A group, so that child_signal reaches what a shell has started. */
	(void)setpgid(0, 0);
	for (sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &act, NULL);
	if (plan->limited)
		(void)setrlimit(RLIMIT_NOFILE, &plan->files);
	if (report <= STDOUT_FILENO)
		report = fcntl(report, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (give(plan->conn, STDIN_FILENO) && give(plan->conn, STDOUT_FILENO)) {
		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		(void)execve(plan->path, plan->argv, plan->envp);
	}
	sys = errno;
	while (write(report, &sys, sizeof(sys)) < 0 && errno == EINTR)
		continue;
	_Exit(ERR_NOT_FOUND);
}

/* What has come of the new process: 0, or an errno value. */
static int
read_report(int fd)
{
	ssize_t n;
	int sys;

	do
		n = read(fd, &sys, sizeof(sys));
	while (n < 0 && errno == EINTR);
	(void)close(fd);
	return n == (ssize_t)sizeof(sys) ? sys : 0;
}

static void
exec_error(const char *name, int sys, struct err *e)
{
	err_set(e, sys == ENOENT ? ERR_NOT_FOUND : ERR_EXEC, sys, name, "%s",
	    "");
}

static bool
spawn(struct sock *s, const struct child_plan *plan, struct err *e)
{
	struct child *c = s->priv;
	sigset_t all, old;
	int report, sys;
	pid_t pid;

	/* No handler of ours is to run in the new process. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = child_fork(plan, become, &report);
	if (pid == -1) {
		err_set(e, ERR_LOCAL, errno, s->name, "cannot start a process");
		(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
		return false;
	}
	sys = read_report(report);
	if (sys == 0)
		s->fd = child_watch(pid);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (sys == 0) {
		c->pid = pid;
		return true;
	}
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	exec_error(s->name, sys, e);
	return false;
}

/* The description of a connection, which its command shares with us. */
static void
set_blocking(const struct sock *conn, bool on)
{
	int flags = fcntl(conn->fd, F_GETFL);

	if (flags != -1)
		(void)fcntl(conn->fd, F_SETFL, on ? flags & ~O_NONBLOCK :
		    flags | O_NONBLOCK);
}

static void
plan_limit(struct child_plan *plan, uint64_t max)
{
	plan->limited = max > 0 && getrlimit(RLIMIT_NOFILE, &plan->files) == 0;
	if (plan->limited)
		plan->files.rlim_cur = (rlim_t)max;
}

/*
 * The connection lingers as usual only once the command runs: one that cannot
 * be started is an unfinished connection, and is reset.
 */
static bool
start(struct sock *s, struct child_plan *plan, struct sock *conn,
    struct err *e)
{
	set_blocking(conn, true);
	if (!spawn(s, plan, e)) {
		set_blocking(conn, false);
		return false;
	}
	if (sock_disarm(conn, e))
		return true;
	child_signal(s, SIGTERM);
	return false;
}

struct sock *
child_start(const struct child_command *command, struct sock *conn,
    const struct sock *ends, enum sk_mode mode, struct err *e)
{
	static const struct sigaction dfl = { .sa_handler = SIG_DFL };
	char sh[] = "sh", dash_c[] = "-c", path[PATH_MAX];
	char *by_shell[] = { sh, dash_c, (char *)command->shell, NULL };
	struct child_plan plan = { .path = path, .conn = conn->fd };
	struct child_env *env = NULL;
	struct sock *s;
	bool ok = false;
	int sys;

	reap_abandoned();
	plan.argv = command->argv != NULL ? command->argv : by_shell;
	s = make(mode, command->argv != NULL ? plan.argv[0] : command->shell,
	    e);
	if (s == NULL)
		return NULL;
	sys = child_find(command->argv != NULL ? plan.argv[0] : "/bin/sh",
	    path);
	if (sys != 0)
		exec_error(s->name, sys, e);
	else
		env = child_environment(ends, e);
	if (env != NULL) {
		/* Ignored by our parent, it would lose us every status. */
		(void)sigaction(SIGCHLD, &dfl, NULL);
		plan.envp = env->v;
		plan_limit(&plan, command->files_max);
		ok = start(s, &plan, conn, e);
	}
	free(env);
	if (!ok)
		sock_abort(&s);
	return s;
}

/*
 * Our end of a pair. A command that has not read all of its input is seen as a
 * reset (unix(7)), after all that it has written: it has ended, no more.
 */
static enum sk_result
near_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	enum sk_result r = transport_stream.try_recv(s, buf, len, got, e);

	if (r != SK_ERROR || e->sys != ECONNRESET)
		return r;
	err_clear(e);
	atomic_store(&s->ended, true);
	return SK_EOF;
}

static enum sk_result
near_try_send(struct sock *s, const void *buf, size_t len, size_t *put,
    struct err *e)
{
	return transport_stream.try_send(s, buf, len, put, e);
}

static enum sk_result
near_try_shutdown(struct sock *s, struct err *e)
{
	return transport_stream.try_shutdown(s, e);
}

static const struct transport transport_near = {
	.try_recv = near_try_recv,
	.try_send = near_try_send,
	.try_shutdown = near_try_shutdown,
};

bool
child_pair(enum sk_mode mode, const char *name, struct sock **near,
    struct sock **far, struct err *e)
{
	int fds[2];

	*near = *far = NULL;
	if (!child_socketpair(fds)) {
		err_set(e, ERR_LOCAL, errno, name, "cannot make a socket");
		return false;
	}
	*near = sock_make(&transport_near, fds[0], mode, name, e);
	*far = sock_make(&transport_stream, fds[1], mode, name, e);
	if (*near == NULL || *far == NULL) {
		sock_abort(near);
		sock_abort(far);
		return false;
	}
	sock_become(*near, &transport_near, fds[0]);
	(*near)->opaque = true;
	sock_become(*far, &transport_stream, fds[1]);
	return true;
}
