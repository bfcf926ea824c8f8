#ifndef HAUL_BASE_INTR_IMPL_H
#define HAUL_BASE_INTR_IMPL_H

#include <signal.h>

/* What intr.c asks of a platform; set holds the signals that are handled. */

/* Called once, with the handlers in place. */
void intr_prepare(const sigset_t *set);

/* Called in the handler; async-signal-safe, keeps errno. */
void intr_wake(void);

#endif
