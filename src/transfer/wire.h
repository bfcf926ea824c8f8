#ifndef HAUL_TRANSFER_WIRE_H
#define HAUL_TRANSFER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transfer/digest.h"

/*
 * The transfer protocol as bytes; haul-transfer(7) describes it. Nothing here
 * reads or writes a socket. Numbers are in network byte order (big-endian).
 *
 * Each side begins with a preamble of 24 bytes, the receiver first. What
 * follows are frames: a header of 16 bytes and a payload. A header has a check
 * of the payload (not of DATA) and one of itself, so that a length can be
 * believed before the payload has come.
 */
enum {
	WIRE_VERSION = 1,
	WIRE_PREAMBLE = 24,
	WIRE_HEADER = 16,
	WIRE_DATA_MAX = 1024 * 1024,
	WIRE_HOLE_MAX = 64 * 1024 * 1024,
	WIRE_NAME_MAX = 4095,		/* of a name, and of a link's target */
	WIRE_TEXT_MAX = 1024,
	WIRE_OFFER_FIXED = 36,
	WIRE_CONTROL_MAX = WIRE_OFFER_FIXED + 2 * WIRE_NAME_MAX,
	WIRE_WINDOW = 256,		/* offers that are not finished */
};

#define WIRE_UNKNOWN	UINT64_MAX	/* a size that is not known */

enum wire_role {
	WIRE_SENDER,
	WIRE_RECEIVER,
};

enum wire_type {
	/* From the sender. */
	WIRE_BEGIN = 0x01,	/* what is to come */
	WIRE_OFFER = 0x02,	/* an entry: its name and properties */
	WIRE_FROM = 0x03,	/* the offset at which its data begins */
	WIRE_DATA = 0x04,	/* some of it */
	WIRE_HOLE = 0x05,	/* zeros that are not sent */
	WIRE_CLOSE = 0x06,	/* its end: size and digest */
	WIRE_DROP = 0x07,	/* it cannot be sent after all */
	WIRE_END = 0x08,	/* of all entries */
	WIRE_BYE = 0x09,	/* the verdict has arrived */
	/* From both. */
	WIRE_KEEPALIVE = 0x20,
	WIRE_ABORT = 0x21,	/* the transfer ends here, and why */
	/* From the receiver. */
	WIRE_GO = 0x41,		/* begin */
	WIRE_TAKE = 0x42,	/* the entry is welcome, so much is there */
	WIRE_CHECK = 0x43,	/* the digest of what is there */
	WIRE_REFUSE = 0x44,	/* the entry is not welcome */
	WIRE_FAILED = 0x45,	/* it has not arrived after all */
	WIRE_CONFIRM = 0x46,	/* how much has been written */
	WIRE_VERDICT = 0x47,	/* how it ended */
	WIRE_HAVE = 0x48,	/* a file of that name and size is there */
};

enum wire_shape {
	WIRE_STREAM = 1,	/* one entry, without a name */
	WIRE_FILE = 2,		/* one entry with a name, no directory */
	WIRE_TREE = 3,		/* any number of entries */
};

enum wire_kind {
	WIRE_KIND_FILE = 1,	/* its size is known */
	WIRE_KIND_STREAM = 2,	/* its size is not known */
	WIRE_KIND_DIRECTORY = 3,
	WIRE_KIND_LINK = 4,
};

struct wire_preamble {
	uint16_t version;
	uint32_t silence_ms;	/* how long it bears silence; 0: for ever */
};

struct wire_header {
	enum wire_type type;
	uint32_t length;	/* of the payload */
	uint32_t check;		/* of the payload */
};

struct wire_begin {
	enum wire_shape shape;
	uint64_t entries;	/* WIRE_UNKNOWN */
	uint64_t bytes;		/* WIRE_UNKNOWN */
};

struct wire_offer {
	enum wire_kind kind;
	unsigned mode;		/* permission bits, 0 to 07777 */
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint64_t size;		/* WIRE_UNKNOWN for a stream */
	uint64_t stored;	/* the bytes of it that are no holes */
	const char *name;	/* not terminated */
	size_t name_len;
	const char *target;	/* of a link; not terminated */
	size_t target_len;
};

struct wire_close {
	uint64_t size;
	unsigned char digest[DIGEST_SIZE];
};

struct wire_end {
	uint64_t entries;	/* offered */
	uint64_t bytes;		/* in them */
	uint64_t failed;	/* that were offered and then dropped */
	uint64_t missing;	/* that could not even be offered */
	unsigned char digest[DIGEST_SIZE];	/* of the transfer */
};

struct wire_confirm {
	uint64_t entries, bytes;
};

struct wire_verdict {
	uint64_t entries;
	uint64_t failed;	/* refused or failed, not counting drops */
	unsigned char digest[DIGEST_SIZE];
};

/* A reason: of DROP, ABORT, REFUSE, and with the entry of FAILED. */
struct wire_reason {
	uint64_t entry;		/* FAILED: counted from 0 in order of offers */
	unsigned code;		/* an exit status, 1 to 9 */
	const char *text;	/* not terminated */
	size_t text_len;
};

/* A preamble, WIRE_PREAMBLE bytes. */
void wire_put_preamble(unsigned char *buf, enum wire_role role,
    const struct wire_preamble *p);

/* Whether the first len bytes can be those of a preamble of that role. */
bool wire_is_preamble(const unsigned char *buf, size_t len,
    enum wire_role role);

/* Whether they may be a damaged one: most bytes of its magic are right. */
bool wire_resembles(const unsigned char *buf, size_t len,
    enum wire_role role);

/* False: it is damaged. Its version may be one that we do not speak. */
bool wire_get_preamble(const unsigned char *buf, struct wire_preamble *p);

/*
 * Put a frame at buf, which has room for the header and the payload, and
 * return its size. What is put fits the limits above; texts are cut.
 */
size_t wire_put_empty(unsigned char *buf, enum wire_type type);
size_t wire_put_number(unsigned char *buf, enum wire_type type,
    uint64_t number);			/* FROM, HOLE, TAKE, HAVE */
size_t wire_put_begin(unsigned char *buf, const struct wire_begin *b);
size_t wire_put_offer(unsigned char *buf, const struct wire_offer *o);
size_t wire_put_close(unsigned char *buf, const struct wire_close *c);
size_t wire_put_end(unsigned char *buf, const struct wire_end *end);
size_t wire_put_check(unsigned char *buf,
    const unsigned char digest[DIGEST_SIZE]);
size_t wire_put_confirm(unsigned char *buf, const struct wire_confirm *c);
size_t wire_put_verdict(unsigned char *buf, const struct wire_verdict *v);
size_t wire_put_reason(unsigned char *buf, enum wire_type type,
    const struct wire_reason *r);	/* DROP, ABORT, REFUSE, FAILED */

/* The header of a DATA frame alone, WIRE_HEADER bytes. */
void wire_put_data_header(unsigned char *buf, uint32_t length);

/*
 * Look at a header that has come from a role: false if it is damaged, its type
 * is not one of that role, its length is not one of that type, or a reserved
 * byte is set. wire_check then compares the payload, but for DATA.
 */
bool wire_get_header(const unsigned char *buf, enum wire_role from,
    struct wire_header *h);
bool wire_check(const struct wire_header *h, const unsigned char *payload);

/*
 * Take a payload of len bytes apart; pointers point into it. False if its
 * parts do not fit together or a value is out of its range. Names are not
 * judged here (place.h).
 */
bool wire_get_number(const unsigned char *p, size_t len, uint64_t *number);
bool wire_get_begin(const unsigned char *p, size_t len, struct wire_begin *b);
bool wire_get_offer(const unsigned char *p, size_t len, struct wire_offer *o);
bool wire_get_close(const unsigned char *p, size_t len, struct wire_close *c);
bool wire_get_end(const unsigned char *p, size_t len, struct wire_end *end);
bool wire_get_confirm(const unsigned char *p, size_t len,
    struct wire_confirm *c);
bool wire_get_verdict(const unsigned char *p, size_t len,
    struct wire_verdict *v);
bool wire_get_reason(const unsigned char *p, size_t len, enum wire_type type,
    struct wire_reason *r);

/*
 * The digest of the transfer after one more entry, of the digest before (all
 * zero at first), the digest of the payload of its OFFER, and the size and
 * digest of its content (both zero if it has none, or was refused or dropped).
 */
void wire_chain(unsigned char chain[DIGEST_SIZE],
    const unsigned char offer[DIGEST_SIZE], uint64_t size,
    const unsigned char content[DIGEST_SIZE]);

#endif
