#ifndef HAUL_CLI_TALK_H
#define HAUL_CLI_TALK_H

#include "cli/options.h"
#include "cli/session.h"

/*
 * What listen and connect do once their options are read: establish the
 * connection of s and relay between it and the standard streams.
 */
enum sk_result talk(struct session *s, const struct relay_options *options,
    struct err *e);

/* What the relay options ask of every connection of s. */
void talk_configure(struct session *s, const struct relay_options *options);

/* Check the relay options against each other and against the others. */
bool talk_check(const struct opt_command *cmd,
    const struct relay_options *options, const struct common_options *common,
    struct err *e);

#endif
