#include "transfer/ahead.h"

#include <pthread.h>
#include <stdlib.h>

enum { THREAD_STACK = 128 * 1024 };

struct ahead {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool begun;		/* of the owner: a part was asked for */
	bool asked, done, ends;	/* under lock */
	struct source *source;
	const struct entry *entry;
	unsigned char *buf;
	size_t len, got;
	bool ok;
	struct err err;
};

static void *
work(void *arg)
{
	struct ahead *a = arg;

	(void)pthread_mutex_lock(&a->lock);
	for (;;) {
		while (!a->asked && !a->ends)
			(void)pthread_cond_wait(&a->changed, &a->lock);
		if (!a->asked)
			break;
		(void)pthread_mutex_unlock(&a->lock);
		a->ok = source_read(a->source, a->entry, a->buf, a->len,
		    &a->got, &a->err);
		(void)pthread_mutex_lock(&a->lock);
		a->asked = false;
		a->done = true;
		(void)pthread_mutex_unlock(&a->lock);
		(void)pthread_cond_signal(&a->changed);
		(void)pthread_mutex_lock(&a->lock);
	}
	(void)pthread_mutex_unlock(&a->lock);
	return NULL;
}

struct ahead *
ahead_new(struct err *e)
{
	struct ahead *a = calloc(1, sizeof(*a));
	pthread_attr_t attr;
	int sys;

	if (a == NULL) {
		err_no_memory(e);
		return NULL;
	}
	(void)pthread_mutex_init(&a->lock, NULL);
	(void)pthread_cond_init(&a->changed, NULL);
	sys = pthread_attr_init(&attr);
	if (sys == 0) {
		(void)pthread_attr_setstacksize(&attr, THREAD_STACK);
		sys = pthread_create(&a->thread, &attr, work, a);
		(void)pthread_attr_destroy(&attr);
	}
	if (sys == 0)
		return a;
	err_set(e, ERR_LOCAL, sys, "", "cannot start a thread");
	free(a);
	return NULL;
}

void
ahead_free(struct ahead *a)
{
	if (a == NULL)
		return;
	(void)pthread_mutex_lock(&a->lock);
	a->ends = true;
	(void)pthread_cond_signal(&a->changed);
	(void)pthread_mutex_unlock(&a->lock);
	(void)pthread_join(a->thread, NULL);
	(void)pthread_cond_destroy(&a->changed);
	(void)pthread_mutex_destroy(&a->lock);
	err_clear(&a->err);
	free(a);
}

void
ahead_begin(struct ahead *a, struct source *s, const struct entry *n,
    unsigned char *buf, size_t len)
{
	a->source = s;
	a->entry = n;
	a->buf = buf;
	a->len = len;
	a->begun = true;
	(void)pthread_mutex_lock(&a->lock);
	a->asked = true;
	a->done = false;
	(void)pthread_mutex_unlock(&a->lock);
	/* Not before that: who wakes would only wait for the lock. */
	(void)pthread_cond_signal(&a->changed);
}

bool
ahead_has_begun(const struct ahead *a)
{
	return a->begun;
}

bool
ahead_take(struct ahead *a, size_t *got, struct err *e)
{
	(void)pthread_mutex_lock(&a->lock);
	while (!a->done)
		(void)pthread_cond_wait(&a->changed, &a->lock);
	(void)pthread_mutex_unlock(&a->lock);
	a->begun = false;
	*got = a->got;
	if (!a->ok)
		err_move(e, &a->err);
	return a->ok;
}
