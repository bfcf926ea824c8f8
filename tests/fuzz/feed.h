#ifndef HAUL_TESTS_FEED_H
#define HAUL_TESTS_FEED_H

#include <stddef.h>
#include <stdint.h>

#include "sock/sock.h"
#include "transfer/transfer.h"
#include "transfer/wire.h"

/*
 * What the fuzz targets share: a peer made of an input, in memory. The input is
 * either what the peer says, byte by byte, or a list of records of which frames
 * are made, so that a mutation does not always end at a wrong check. A program
 * is aborted if the side that is tested says what is no frame.
 */

/* The first bytes of an input. */
enum {
	FEED_FLAGS,
	FEED_SETUP,		/* of the target */
	FEED_SEED,		/* of how the bytes are cut */
	FEED_START,
};

enum {
	FEED_RAW = 0x01,	/* no records */
	FEED_GATED = 0x02,	/* one at a time, while the side is idle */
	FEED_PIECES = 0x0c,	/* 0: at once, then smaller and smaller */
	FEED_SLOW = 0x10,	/* what is sent is taken in pieces, too */
};

/*
 * Records. Below 0x80 it is the type of a frame; then two bytes of length and
 * the payload. The others make what a mutation would not.
 */
enum feed_record {
	FEED_PREAMBLE = 0x80,
	FEED_VERSION,		/* a preamble of another version */
	FEED_BYTES,		/* length, bytes: no frame at all */
	FEED_LENGTH,		/* a header alone: type, 4 bytes of length */
	/* Of a sender. */
	FEED_BEGIN,		/* shape */
	FEED_OFFER,		/* kind, name, size */
	FEED_DATA,		/* how much */
	FEED_HOLE,		/* how much, 2 bytes */
	FEED_CLOSE,		/* as it is right */
	FEED_DROP,
	FEED_END,		/* as it is right */
	FEED_BYE,
	FEED_WRONG,		/* a CLOSE with another digest */
	/* Of a receiver. */
	FEED_GO = 0xa0,
	FEED_TAKE,		/* how much is there */
	FEED_HAVE,		/* the same */
	FEED_CHECK,		/* of which content, of how much */
	FEED_REFUSE,
	FEED_FAILED,
	FEED_CONFIRM,
	FEED_VERDICT,		/* as it is right */
};

enum {
	FEED_CONTENT = 8 * 1024,	/* of what files hold */
	FEED_OFFERS = 512,
};

/* What the side that is tested has said, frame by frame. */
struct ear {
	enum wire_role role;
	unsigned char buf[WIRE_HEADER + WIRE_CONTROL_MAX];
	size_t len;
	uint32_t data_left;
	bool greeted, aborted, left;
	struct wire_end end;		/* if it was a sender */
};

struct feed {
	enum wire_role role;		/* of the input */
	const unsigned char *in;
	size_t size, pos;
	unsigned flags;
	uint64_t random;

	unsigned char out[WIRE_HEADER + 64 * 1024 + 16];
	size_t out_len, out_pos;	/* of the record that goes out */
	int quiet;			/* how often it had nothing to say */
	struct ear ear;

	/* A sender's accounts. */
	struct digest *digest;
	uint64_t content;		/* of the file that is sent */
	unsigned char chain[DIGEST_SIZE];
	unsigned char offers[FEED_OFFERS][DIGEST_SIZE];
	bool is_file[FEED_OFFERS];
	size_t head, tail;
	struct wire_end end;
};

/* The bytes that all files hold. */
extern unsigned char feed_content[FEED_CONTENT];

/* Names of entries; some are hostile. */
extern const char *const feed_names[];
extern const size_t feed_name_count;

/*
 * A connected socket whose peer says the input. The feed stays the caller's,
 * and has to outlive it; feed_end frees what it holds.
 */
struct sock *feed_start(struct feed *f, enum wire_role role,
    const unsigned char *in, size_t size);
void feed_end(struct feed *f);

/* How a side is run: not blocking, and whatever it tells is read. */
extern const struct transfer_config feed_config;

/* What every target is; libFuzzer calls it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
