#include "sock/through.h"

bool
through_is_possible(enum sk_kind from, enum sk_kind to)
{
	(void)from;
	(void)to;
	return false;
}

enum sk_result
through_move(struct sock *from, struct sock *to, size_t max, size_t *moved,
    struct sock **waits, struct err *e)
{
	(void)to;
	(void)max;
	(void)moved;
	(void)waits;
	(void)e;
	from->no_move = true;
	return SK_OK;
}

size_t
through_held(const struct sock *from)
{
	(void)from;
	return 0;
}

enum sk_result
through_recv(struct sock *from, void *buf, size_t len, size_t *got,
    struct err *e)
{
	(void)from;
	(void)buf;
	(void)len;
	(void)got;
	(void)e;
	return SK_EOF;
}

void
through_release(struct sock *from)
{
	(void)from;
}
