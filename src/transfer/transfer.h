#ifndef HAUL_TRANSFER_TRANSFER_H
#define HAUL_TRANSFER_TRANSFER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sock/sock.h"
#include "transfer/digest.h"

/*
 * A transfer: files and streams from a sender to a receiver over one connected
 * socket, in either mode, with the protocol of haul-transfer(7).
 */
#define TRANSFER_UNKNOWN	UINT64_MAX

enum { TRANSFER_NAME_MAX = 256 };

/*
 * How far it is; for the one who shows it, while the transfer goes on. Bytes
 * are content: at the sender those that the receiver has confirmed, at the
 * receiver those that are written.
 */
struct transfer_status {
	_Atomic uint64_t total;		/* bytes in all, or TRANSFER_UNKNOWN */
	_Atomic uint64_t bytes;		/* so far, those there included */
	_Atomic uint64_t there;		/* that were there already */
	_Atomic uint64_t checked;	/* bytes of what is there, so far... */
	atomic_bool checking;		/* ...while it is compared */
	_Atomic uint64_t entries;	/* that are finished */
	_Atomic uint64_t files;		/* of them, no directories or links */
	pthread_mutex_t lock;		/* of name */
	char name[TRANSFER_NAME_MAX];	/* of the current entry, or "" */
};

void transfer_status_init(struct transfer_status *s);
void transfer_status_destroy(struct transfer_status *s);

/* Copy the name of the current entry, of TRANSFER_NAME_MAX bytes at most. */
void transfer_status_name(struct transfer_status *s, char *name);

/*
 * What the transfer tells meanwhile. tick and asked come from the thread that
 * called; the others come from any, and at the same time. NULL: not told.
 */
struct transfer_events {
	void *context;
	/* Something that was skipped or failed while the rest goes on. */
	void (*failed)(void *context, const struct err *why);
	void (*skipped)(void *context, const struct err *why);
	/* A file has arrived. */
	void (*arrived)(void *context, const char *name,
	    const unsigned char digest[DIGEST_SIZE]);
	void (*tick)(void *context);	/* every tick_ns */
	int64_t tick_ns;
	void (*asked)(void *context);	/* status_fd was readable */
	int status_fd;			/* -1: none */
};

struct transfer_config {
	enum sk_mode mode;
	int64_t silence_ns;	/* the longest silence of the peer; -1: any */
	int64_t deadline_ns;	/* of the run */
	bool counts_all;	/* large trees too, before the first byte */
	struct transfer_events events;
};

/* How it ended, as far as it came. */
struct transfer_result {
	uint64_t files, bytes, there;
	unsigned char digest[DIGEST_SIZE];
	bool began;		/* both sides agreed on a transfer */
	bool resumable;		/* trying again may finish it */
};

/*
 * Send operands (paths, "-" for standard input, NULL last). *peer is closed in
 * order, or reset and NULL. SK_OK: the receiver has all of it. ERR_LOCAL:
 * something could not be sent. ERR_PEER: refused, or not arrived whole.
 */
enum sk_result transfer_send(const struct transfer_config *config,
    char *const *operands, struct sock **peer, struct transfer_status *status,
    struct transfer_result *result, struct err *e);

/* Whether the operands can be sent, before anything is connected. */
bool transfer_check_operands(char *const *operands, struct err *e);

/*
 * Receive into a place, which outlives a broken connection (place.h). SK_OK:
 * all of it is there and the sender knows.
 */
struct place;
enum sk_result transfer_receive(const struct transfer_config *config,
    struct place *place, struct sock **peer, struct transfer_status *status,
    struct transfer_result *result, struct err *e);

#endif
