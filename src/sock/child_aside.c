/*
 * Work aside of the event loop. A thread that starts a process is stopped until
 * it has executed its file (vfork(2)), which is a third of what a short COMMAND
 * costs; meanwhile the loop goes on, and others start as well.
 */
#include "sock/child.h"
#include "sock/child_impl.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	HELPERS = CHILD_HELPERS,
	STACK = 256 * 1024,
	/* Latches that are kept for the next one. */
	KEPT = 16,
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;	/* orders, or the end */
	pthread_cond_t done;	/* some order is */
	struct child_order *first, **last;
	pthread_t helpers[HELPERS];
	int count, idle;
	bool ends;
	int orders;		/* that have latches */
	struct latch kept[KEPT];
	int kept_count;
} aside = { .lock = PTHREAD_MUTEX_INITIALIZER,
    .more = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER,
    .last = &aside.first };

/* With the lock held; NULL: it is the end. */
static struct child_order *
take(void)
{
	struct child_order *o;

	aside.idle++;
	while (aside.first == NULL && !aside.ends)
		(void)pthread_cond_wait(&aside.more, &aside.lock);
	aside.idle--;
	o = aside.first;
	if (o != NULL) {
		aside.first = o->next;
		if (aside.first == NULL)
			aside.last = &aside.first;
		o->state = CHILD_TAKEN;
	}
	return o;
}

static void *
help(void *arg)
{
	struct child_order *o;

	(void)pthread_mutex_lock(&aside.lock);
	while ((o = take()) != NULL) {
		(void)pthread_mutex_unlock(&aside.lock);
		o->work(o->arg);
		(void)pthread_mutex_lock(&aside.lock);
		(void)latch_set(&o->done);
		o->state = CHILD_DONE;
		(void)pthread_cond_broadcast(&aside.done);
	}
	(void)pthread_mutex_unlock(&aside.lock);
	return arg;
}

/* With the lock held. No signal is for a helper. */
static void
add_helper(void)
{
	static long cpus;
	pthread_attr_t attr;
	sigset_t all, old;

	if (cpus == 0)
		cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (aside.count == HELPERS ||
	    (aside.count > 0 && (aside.idle > 0 || aside.count >= cpus)) ||
	    pthread_attr_init(&attr) != 0)
		return;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	(void)pthread_attr_setstacksize(&attr, STACK);
	if (pthread_create(&aside.helpers[aside.count], &attr, help, NULL) ==
	    0)
		aside.count++;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
}

bool
child_order(struct child_order *o, struct err *e)
{
	bool ok;

	(void)pthread_mutex_lock(&aside.lock);
	add_helper();
	ok = aside.count > 0;
	if (!ok)
		err_set(e, ERR_LOCAL, 0, "", "cannot start a thread");
	else if (aside.kept_count > 0)
		o->done = aside.kept[--aside.kept_count];
	else
		ok = latch_open(&o->done, e);
	if (ok) {
		o->state = CHILD_ORDERED;
		o->next = NULL;
		*aside.last = o;
		aside.last = &o->next;
		aside.orders++;
		(void)pthread_cond_signal(&aside.more);
	}
	(void)pthread_mutex_unlock(&aside.lock);
	return ok;
}

/* With the lock held. */
static void
cancel(struct child_order *o)
{
	struct child_order **p;

	for (p = &aside.first; *p != o; p = &(*p)->next)
		continue;
	*p = o->next;
	if (o->next == NULL)
		aside.last = p;
	o->state = CHILD_NONE;
}

/* With the lock held. A server that has nothing to do keeps nothing. */
static void
keep_latch(struct latch *l)
{
	if (aside.orders > 0 && aside.kept_count < KEPT) {
		latch_reset(l);
		aside.kept[aside.kept_count++] = *l;
		return;
	}
	latch_close(l);
	while (aside.orders == 0 && aside.kept_count > 0)
		latch_close(&aside.kept[--aside.kept_count]);
}

/* What has been taken is awaited: exec(2) of a file that hangs holds us up. */
void
child_order_end(struct child_order *o)
{
	(void)pthread_mutex_lock(&aside.lock);
	if (o->state == CHILD_ORDERED)
		cancel(o);
	while (o->state == CHILD_TAKEN)
		(void)pthread_cond_wait(&aside.done, &aside.lock);
	o->state = CHILD_NONE;
	aside.orders--;
	keep_latch(&o->done);
	(void)pthread_mutex_unlock(&aside.lock);
}

void
child_helpers_end(void)
{
	int i;

	(void)pthread_mutex_lock(&aside.lock);
	aside.ends = true;
	(void)pthread_cond_broadcast(&aside.more);
	(void)pthread_mutex_unlock(&aside.lock);
	for (i = 0; i < aside.count; i++)
		(void)pthread_join(aside.helpers[i], NULL);
	aside.count = 0;
	aside.ends = false;
}
