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
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

/* How often a process that cannot be watched is asked. */
enum { LOOK_MS = 10 };

struct child {
	pthread_mutex_t lock;
	pid_t pid;		/* and process group; 0: none */
	bool ended;		/* and reaped: pid may be anybody's */
	bool asked;		/* whether it has ended */
	int status;
	struct child *next;	/* in the list of the abandoned */

	/* What it is to be, until it is. */
	struct child_plan plan;
	struct child_env *env;
	char *path;
	struct sock *conn;
	bool aside;		/* what is waited for is the order's latch */
	struct child_order order;
	int sys;		/* what has become of it... */
	bool forked;		/* ...after there was a process */
	int signal;		/* to be sent once it runs */
	char *by_shell[4];
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
	free(c->env);
	free(c->path);
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

/* The latch is not ours to close. */
static void
end_order(struct sock *s)
{
	struct child *c = s->priv;

	if (!c->aside)
		return;
	child_order_end(&c->order);
	c->aside = false;
	s->fd = -1;
}

static void
begin_watch(struct sock *s)
{
	const struct child *c = s->priv;

	s->fd = child_watch(c->pid);
	s->generation = sock_next_generation();
}

static enum sk_result
child_try_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e)
{
	struct child *c = s->priv;
	bool ended, first;

	(void)buf;
	(void)len;
	(void)got;
	(void)e;
	if (c->aside) {
		end_order(s);
		begin_watch(s);
	}
	/* It has just begun, and will tell when there is something to see. */
	first = !c->asked;
	c->asked = true;
	if (first && s->fd != -1)
		return SK_WANT_READ;
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

	if (c != NULL)
		end_order(s);
	if (c != NULL && !reap(c)) {
		(void)pthread_mutex_lock(&abandoned_lock);
		c->next = abandoned;
		abandoned = c;
		(void)pthread_mutex_unlock(&abandoned_lock);
	} else if (c != NULL)
		child_free(c);
	reap_abandoned();
}

static enum sk_result child_try_connect(struct sock *, struct err *);

static const struct transport transport_child = {
	.try_connect = child_try_connect,
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
	if (c->pid == 0)
		c->signal = sig;
	else if (!c->ended)
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

/* Start a process: 0 with *pid, or an errno value; *pid is 0 if none was. */
static int
launch(const struct child_plan *plan, pid_t *pid)
{
	sigset_t all, old;
	int report, sys;

	/* No handler of ours is to run in the new process. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	*pid = child_fork(plan, become, &report);
	sys = *pid == -1 ? errno : read_report(report);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (*pid == -1)
		*pid = 0;
	else if (sys != 0)
		while (waitpid(*pid, NULL, 0) == -1 && errno == EINTR)
			continue;
	return sys;
}

static void
plan_limit(struct child_plan *plan, uint64_t max)
{
	plan->limited = max > 0 && getrlimit(RLIMIT_NOFILE, &plan->files) == 0;
	if (plan->limited)
		plan->files.rlim_cur = (rlim_t)max;
}

static void
start(struct child *c)
{
	pid_t pid;
	int sys;

	sys = launch(&c->plan, &pid);
	(void)pthread_mutex_lock(&c->lock);
	c->sys = sys;
	c->forked = pid != 0;
	if (sys == 0) {
		c->pid = pid;
		if (c->signal != 0)
			(void)kill(-pid, c->signal);
	}
	(void)pthread_mutex_unlock(&c->lock);
}

/*
 * The connection lingers as usual only once the command runs: one that cannot
 * be started is an unfinished connection, and is reset.
 */
static enum sk_result
started(struct sock *s, struct err *e)
{
	struct child *c = s->priv;

	free(c->env);
	free(c->path);
	c->env = NULL;
	c->path = NULL;
	if (c->sys == 0) {
		if (sock_disarm(c->conn, e))
			return SK_OK;
		child_signal(s, SIGTERM);
		return SK_ERROR;
	}
	(void)sock_set_blocks(c->conn, false);
	if (c->forked)
		exec_error(s->name, c->sys, e);
	else
		err_set(e, ERR_LOCAL, c->sys, s->name,
		    "cannot start a process");
	return SK_ERROR;
}

static enum sk_result
child_try_connect(struct sock *s, struct err *e)
{
	struct child *c = s->priv;

	/* There was no thread for it, and it was started by the caller. */
	if (!c->aside)
		return SK_OK;
	return latch_is_set(&c->order.done) ? started(s, e) : SK_WANT_READ;
}

/* All that can be prepared. */
static struct sock *
prepare(const struct child_command *command, struct sock *conn,
    const struct sock *ends, enum sk_mode mode, struct err *e)
{
	static char sh[] = "sh", dash_c[] = "-c";
	static const struct sigaction dfl = { .sa_handler = SIG_DFL };
	char path[PATH_MAX], *const *argv = command->argv;
	struct child *c;
	struct sock *s;
	int sys;

	reap_abandoned();
	s = make(mode, argv != NULL ? argv[0] : command->shell, e);
	if (s == NULL)
		return NULL;
	c = s->priv;
	sys = child_find(argv != NULL ? argv[0] : "/bin/sh", path);
	if (sys != 0)
		exec_error(s->name, sys, e);
	else if ((c->path = strdup(path)) == NULL)
		err_no_memory(e);
	else
		c->env = child_environment(ends, e);
	if (c->env == NULL) {
		sock_abort(&s);
		return NULL;
	}
	/* Ignored by our parent, it would lose us every status. */
	(void)sigaction(SIGCHLD, &dfl, NULL);
	c->by_shell[0] = sh;
	c->by_shell[1] = dash_c;
	c->by_shell[2] = (char *)command->shell;
	c->conn = conn;
	c->plan.path = c->path;
	c->plan.argv = argv != NULL ? argv : c->by_shell;
	c->plan.envp = c->env->v;
	c->plan.conn = conn->fd;
	plan_limit(&c->plan, command->files_max);
	/* The command shares the description with us. */
	(void)sock_set_blocks(conn, true);
	return s;
}

static struct sock *
start_here(struct sock *s, struct err *e)
{
	start(s->priv);
	if (started(s, e) == SK_OK)
		begin_watch(s);
	else
		sock_abort(&s);
	return s;
}

struct sock *
child_start(const struct child_command *command, struct sock *conn,
    const struct sock *ends, enum sk_mode mode, struct err *e)
{
	struct sock *s = prepare(command, conn, ends, mode, e);

	return s != NULL ? start_here(s, e) : NULL;
}

static void
start_aside(void *arg)
{
	start(arg);
}

struct sock *
child_start_aside(const struct child_command *command, struct sock *conn,
    const struct sock *ends, struct err *e)
{
	struct sock *s = prepare(command, conn, ends, SK_NONBLOCKING, e);
	struct child *c;

	if (s == NULL)
		return NULL;
	c = s->priv;
	c->order.work = start_aside;
	c->order.arg = c;
	c->aside = child_order(&c->order, e);
	if (!c->aside) {
		err_clear(e);
		return start_here(s, e);
	}
	s->fd = c->order.done.fd;
	return s;
}
