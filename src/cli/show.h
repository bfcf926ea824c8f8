#ifndef HAUL_CLI_SHOW_H
#define HAUL_CLI_SHOW_H

#include "cli/options.h"
#include "transfer/transfer.h"

/*
 * What a transfer shows on standard error: one line of progress on a terminal,
 * redrawn by a timer, messages on entries, and a summary.
 */
struct show;

/* verb is "sent" or "received". NULL with *e filled without memory. */
struct show *show_new(const struct transfer_options *transfer,
    const struct output_options *output, struct err *e);
void show_free(struct show *s);

/* Whether there will be a line of progress. */
bool show_draws(const struct show *s);

/* A transfer begins: its status, and the events to give to it. */
struct transfer_status *show_begin(struct show *s);
void show_events(struct show *s, struct transfer_events *events);

/* It is over: the line of progress is removed... */
void show_end(struct show *s);

/* ...and it has arrived. */
void show_summary(struct show *s, const struct transfer_result *result);

#endif
