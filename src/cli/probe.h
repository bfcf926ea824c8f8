#ifndef HAUL_CLI_PROBE_H
#define HAUL_CLI_PROBE_H

#include "cli/session.h"

/*
 * connect --probe. s is set up, but for its address: operands are HOST PORTS or
 * what stands for them, and nothing else. The results are the payload, on
 * standard output. When all is as wanted, command (NULL: none) runs in place of
 * haul, and standard output is its own.
 */
enum sk_result probe_command(struct session *s, const struct probe_options *o,
    char *const *operands, char *const *command, struct err *e);

/*
 * What --expect names, with \r \n \t \\ and \xNN for what they are in C. out
 * has room for strlen(text) bytes; *len is set. False: it is empty, or has
 * another escape.
 */
bool probe_unescape(const char *text, char *out, size_t *len);

#endif
