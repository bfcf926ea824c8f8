#ifndef HAUL_CLI_COMMANDS_H
#define HAUL_CLI_COMMANDS_H

#include "cli/opt.h"
#include "sock/sock.h"

/*
 * The subcommands, one file each. argv[0] is the name of the subcommand.
 * SK_OK, SK_INTERRUPTED (a signal asks haul to end), or SK_ERROR with *e.
 */
extern const struct opt_command listen_command, connect_command,
    send_command, receive_command;

enum sk_result cmd_listen(int argc, char **argv, struct err *e);
enum sk_result cmd_connect(int argc, char **argv, struct err *e);
enum sk_result cmd_send(int argc, char **argv, struct err *e);
enum sk_result cmd_receive(int argc, char **argv, struct err *e);

#endif
