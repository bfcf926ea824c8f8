#ifndef HAUL_TRANSFER_PARTY_IMPL_H
#define HAUL_TRANSFER_PARTY_IMPL_H

#include "transfer/party.h"

/* party_legs.c: what the legs do. */
enum sk_result party_step_in(struct leg *leg, struct err *e);
enum sk_result party_step_out(struct leg *leg, struct err *e);

/* Whether the peer is haul, as far as can be seen. */
bool party_is_kin(struct party *p);

/*
 * The kernel counts the time that the peer's window is closed, though the peer
 * answers (tcp(7), TCP_USER_TIMEOUT): whoever is heard of has more of it.
 */
void party_renew_patience(struct party *p);

#endif
