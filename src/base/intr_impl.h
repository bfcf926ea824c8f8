#ifndef HAUL_BASE_INTR_IMPL_H
#define HAUL_BASE_INTR_IMPL_H

#include "base/intr.h"

/* What intr.c asks of a platform. set holds the signals that interrupt. */

/* The descriptor that they make readable, or -1; called once. */
int intr_prepare(const sigset_t *set);

/* One that has come, or 0. */
int intr_pending(const sigset_t *set);

/*
 * The descriptor that the signals in set make readable, or -1; called once. And
 * make it unreadable again.
 */
int intr_prepare_status(const sigset_t *set);
void intr_drain_status(int fd);

#endif
