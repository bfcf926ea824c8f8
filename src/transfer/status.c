/* How far a transfer is, for whoever shows it. */
#include "transfer/transfer.h"

#include <string.h>

void
transfer_status_init(struct transfer_status *s)
{
	memset(s, 0, sizeof(*s));
	atomic_store(&s->total, TRANSFER_UNKNOWN);
	(void)pthread_mutex_init(&s->lock, NULL);
}

void
transfer_status_destroy(struct transfer_status *s)
{
	(void)pthread_mutex_destroy(&s->lock);
}

void
transfer_status_name(struct transfer_status *s, char *name)
{
	(void)pthread_mutex_lock(&s->lock);
	(void)memcpy(name, s->name, sizeof(s->name));
	(void)pthread_mutex_unlock(&s->lock);
}
