#ifndef HAUL_TRANSFER_CHANNEL_H
#define HAUL_TRANSFER_CHANNEL_H

#include "sock/sock.h"
#include "transfer/wire.h"

/*
 * A connection as preambles and frames. One thread may use the receiving half
 * and another one the sending half. Every call returns as those of sock.h do.
 */
enum {
	/* Half of it costs a tenth more; twice as much, the caches. */
	CHANNEL_BUFFER = 512 * 1024,
	/* Room for one more frame of control behind that. */
	CHANNEL_ROOM = CHANNEL_BUFFER + WIRE_HEADER + WIRE_CONTROL_MAX,
	/*
	 * Content is copied faster if it begins at a page in memory where it
	 * does in the file: its header stands in front of that.
	 */
	CHANNEL_PAGE = 4096,
	CHANNEL_START = CHANNEL_PAGE - WIRE_HEADER,
};

struct channel {
	struct sock *peer;
	enum wire_role from;	/* the role of the peer */

	unsigned char *in;	/* malloc, of whole pages */
	size_t in_start, in_end;
	uint32_t data_left;	/* of the DATA frame that is under way */
	uint32_t data_taken;	/* of the same */
	int64_t silence_ns;	/* how long to wait for the peer; or -1 */
	bool waiting;		/* the deadline stands for this wait */
	bool heard;		/* anything at all */
	bool resembles;		/* a preamble came, but damaged */

	unsigned char *out;	/* malloc, of whole pages */
	size_t out_start, out_end;
	int64_t sent_ns;	/* when something was sent last */
};

/* A frame, or a piece of the payload of a DATA frame; points into in. */
struct frame {
	enum wire_type type;
	const unsigned char *payload;
	size_t len;
};

bool channel_open(struct channel *c, struct sock *peer, enum wire_role from,
    struct err *e);
void channel_close(struct channel *c);	/* not the socket */

/*
 * Receive the preamble of the peer. ERR_PEER: it does not speak the protocol.
 */
enum sk_result channel_greeting(struct channel *c, struct wire_preamble *p,
    struct err *e);

/*
 * Receive a frame; it is valid until the next call. DATA comes in pieces, each
 * again and again until channel_take has taken all of it. SK_EOF: the end of
 * the stream. ERR_PEER: the frame is damaged, or none that the peer may send.
 */
enum sk_result channel_next(struct channel *c, struct frame *f,
    struct err *e);
void channel_take(struct channel *c, size_t len);

/* Whether the next call of channel_next has all that it needs. */
bool channel_has_frame(const struct channel *c);

/* Receive and drop: SK_EOF, or another result that is not SK_OK. */
enum sk_result channel_discard(struct channel *c, struct err *e);

/* What was put and not sent yet; and whether some of it is out already. */
size_t channel_pending(const struct channel *c);
bool channel_is_going_out(const struct channel *c);

/*
 * Where the next frame is to be put, once fewer than CHANNEL_BUFFER bytes are
 * pending: there is room for any frame of control. channel_put tells its size.
 */
unsigned char *channel_end(struct channel *c);
void channel_put(struct channel *c, size_t size);

/*
 * A second buffer: something put into it behind CHANNEL_START is there to be
 * sent once it has taken the place of the first, which has to be empty.
 */
unsigned char *channel_new_buffer(void);
void channel_exchange(struct channel *c, unsigned char **buffer);

/* Send all that is pending. */
enum sk_result channel_flush(struct channel *c, struct err *e);

#endif
