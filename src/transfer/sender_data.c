/* What the oldest entry holds: files and streams. */
#include "transfer/sender_impl.h"

#include <string.h>

#include "base/clock.h"

enum { CHECK_STEP = 1024 * 1024 };

/* It is finished, with that size and digest. */
void
sender_pass(struct sender *s, uint64_t size,
    const unsigned char *content)
{
	static const unsigned char nothing[DIGEST_SIZE];
	struct item *item = sender_item(s, s->head);

	wire_chain(s->end.digest, item->offer, size,
	    content != NULL ? content : nothing);
	if (content != NULL) {
		s->end.bytes += size;
		s->party.result->files++;
		memcpy(s->last, content, DIGEST_SIZE);
	}
	entry_release(&item->entry);
	sender_lock(s);
	s->head++;
	sender_unlock(s);
	s->phase = SENDING;
}

void
sender_release_source(struct sender *s)
{
	source_close(&s->source);
	sock_abort(&s->stream);
}

/* It cannot be sent, for the reason *why, which becomes empty. */
static void
drop(struct sender *s, struct err *why)
{
	sender_release_source(s);
	err_move(&s->why, why);
	s->phase = DROPPING;
}

/* Once the receiver has said all that it says of it. */
enum sk_result
sender_put_drop(struct sender *s, struct item *item, struct err *e)
{
	struct channel *c = &s->party.channel;
	char text[ERR_WHO_MAX + ERR_TEXT_MAX + 128];
	struct wire_reason reason = { .code = s->why.code, .text = text };

	if (item->there > 0 && !sender_has(s, &item->checked))
		return sender_wait(s, e);
	(void)err_format(&s->why, text, sizeof(text));
	reason.text_len = strlen(text);
	channel_put(c, wire_put_reason(channel_end(c), WIRE_DROP, &reason));
	party_entry_failed(&s->party, &s->why);
	s->end.failed++;
	sender_pass(s, 0, NULL);
	return SK_OK;
}

static void
put_close(struct sender *s, uint64_t size)
{
	const struct transfer_events *ev = &s->party.config->events;
	struct channel *c = &s->party.channel;
	struct wire_close close = { .size = size };

	digest_get(s->source.digest, close.digest);
	channel_put(c, wire_put_close(channel_end(c), &close));
	if (ev->arrived != NULL)
		ev->arrived(ev->context, sender_item(s, s->head)->entry.name,
		    close.digest);
	sender_release_source(s);
	sender_pass(s, size, close.digest);
}

/* A stream is read like a socket: it may have to be waited for. */
static void
open_stream(struct sender *s, const struct entry *n)
{
	static char dash[] = "-";
	struct err why = { 0 };

	s->stream_paths[0] = *n->path == '\0' ? dash : n->path;
	digest_reset(s->source.digest);
	s->stream_size = 0;
	s->stream = sock_files(s->stream_paths, s->party.config->mode, &why);
	if (s->stream == NULL) {
		drop(s, &why);
		return;
	}
	sock_follow(s->stream, s->party.channel.peer);
	sock_set_nudge(s->stream, &s->party.latch);
	s->streamed = true;
	s->phase = STREAMING;
}

/* Begin with what the receiver has said of the oldest entry. */
void
sender_begin_item(struct sender *s, struct item *item)
{
	struct err why = { 0 };

	party_set_name(&s->party, item->entry.name);
	if (item->entry.kind == WIRE_KIND_STREAM)
		open_stream(s, &item->entry);
	else if (source_open(&s->source, &item->entry, &why))
		s->phase = item->there > 0 ? CHECKING : READING;
	else
		drop(s, &why);
}

/* The same bytes as the receiver has: digest ours. */
static bool
check_some(struct sender *s, struct item *item, struct err *why)
{
	struct transfer_status *status = s->party.status;
	struct channel *c = &s->party.channel;
	uint64_t before = s->source.pos, end = before + CHECK_STEP, zeros;
	size_t got, max;

	if (end > item->there)
		end = item->there;
	while (s->source.pos < end) {
		zeros = item->there - s->source.pos;
		zeros = source_skip_hole(&s->source,
		    zeros < WIRE_HOLE_MAX ? zeros : WIRE_HOLE_MAX);
		if (zeros > 0)
			break;
		max = CHANNEL_BUFFER;
		if (max > end - s->source.pos)
			max = (size_t)(end - s->source.pos);
		/* The free part of the buffer will do. */
		if (!source_read(&s->source, &item->entry, channel_end(c),
		    max, &got, why))
			return false;
	}
	atomic_fetch_add(&status->checked, s->source.pos - before);
	return true;
}

/* What is there is compared: go on behind it, or from the beginning. */
static void
answer_check(struct sender *s, const struct item *item)
{
	struct channel *c = &s->party.channel;
	unsigned char digest[DIGEST_SIZE];
	struct err why = { 0 };
	bool equal;

	digest_get(s->source.digest, digest);
	equal = memcmp(digest, item->check, DIGEST_SIZE) == 0;
	atomic_store(&s->party.status->checking, false);
	if (!equal && item->answer == ANSWER_HAVE) {
		err_set(&why, ERR_PEER, 0, sock_name(c->peer), "refused: %s: "
		    "exists; use --force to replace it", item->entry.name);
		drop(s, &why);
		return;
	}
	if (equal)
		atomic_fetch_add(&s->party.status->there, item->there);
	else
		source_rewind(&s->source);
	channel_put(c, wire_put_number(channel_end(c), WIRE_FROM,
	    equal ? item->there : 0));
	s->phase = READING;
}

enum sk_result
sender_check(struct sender *s, struct item *item, struct err *e)
{
	struct err why = { 0 };

	/* The data goes through the buffer, which has to be empty. */
	if (channel_pending(&s->party.channel) > 0)
		return channel_flush(&s->party.channel, e);
	atomic_store(&s->party.status->checking, true);
	if (s->source.pos < item->there) {
		if (!check_some(s, item, &why))
			drop(s, &why);
		return SK_OK;
	}
	if (!sender_has(s, &item->checked))
		return sender_wait(s, e);
	answer_check(s, item);
	return SK_OK;
}

/* The first part of a large file; further ones follow in read_ahead. */
static bool
begin_ahead(struct sender *s, struct item *item)
{
	struct err e = { 0 };

	if (s->party.config->mode != SK_BLOCKING ||
	    s->source.data_end - s->source.pos < CHANNEL_BUFFER)
		return false;
	if (s->ahead == NULL) {
		if (s->spare == NULL)
			s->spare = channel_new_buffer();
		s->ahead = s->spare != NULL ? ahead_new(&e) : NULL;
		err_clear(&e);
	}
	if (s->ahead == NULL)
		return false;
	ahead_begin(s->ahead, &s->source, &item->entry,
	    s->spare + CHANNEL_START + WIRE_HEADER, CHANNEL_BUFFER);
	return true;
}

/* What was read ahead, once all before it is out; and on with the next part. */
static enum sk_result
read_ahead(struct sender *s, struct item *item, struct err *e)
{
	struct channel *c = &s->party.channel;
	struct err why = { 0 };
	size_t got;

	if (channel_pending(c) > 0)
		return channel_flush(c, e);
	if (!ahead_take(s->ahead, &got, &why)) {
		drop(s, &why);
		return SK_OK;
	}
	channel_exchange(c, &s->spare);
	wire_put_data_header(channel_end(c), (uint32_t)got);
	channel_put(c, WIRE_HEADER + got);
	(void)begin_ahead(s, item);
	return channel_flush(c, e);
}

/*
 * Some of the file as a frame, or its end. The bytes go through the buffer once
 * they are digested: sendfile(2) costs the receiver, whose copy is then one
 * from memory and not from the cache, more than it saves here.
 */
static void
read_now(struct sender *s, struct item *item)
{
	struct channel *c = &s->party.channel;
	unsigned char *at = channel_end(c);
	size_t got, room = CHANNEL_BUFFER - channel_pending(c);
	struct err why = { 0 };
	uint64_t zeros;

	if (s->source.pos == s->source.size) {
		if (source_finish(&s->source, &item->entry, &why))
			put_close(s, s->source.size);
		else
			drop(s, &why);
		return;
	}
	zeros = source_skip_hole(&s->source, WIRE_HOLE_MAX);
	if (zeros > 0) {
		channel_put(c, wire_put_number(at, WIRE_HOLE, zeros));
		s->hole_put = true;
		return;
	}
	if (begin_ahead(s, item))
		return;
	if (!source_read(&s->source, &item->entry, at + WIRE_HEADER, room,
	    &got, &why)) {
		drop(s, &why);
		return;
	}
	wire_put_data_header(at, (uint32_t)got);
	channel_put(c, WIRE_HEADER + got);
}

enum sk_result
sender_read(struct sender *s, struct item *item, struct err *e)
{
	/* Zeros take time on both sides, and no room in the buffer. */
	if (s->hole_put) {
		s->hole_put = channel_pending(&s->party.channel) > 0;
		return channel_flush(&s->party.channel, e);
	}
	if (s->ahead != NULL && ahead_has_begun(s->ahead))
		return read_ahead(s, item, e);
	read_now(s, item);
	return SK_OK;
}

static enum sk_result
stream_some(struct sender *s, struct err *e)
{
	struct party *p = &s->party;
	struct channel *c = &p->channel;
	unsigned char *at = channel_end(c);
	enum sk_result r;
	size_t got;

	sock_set_side_deadline(s->stream, SK_IN, party_keepalive_ns(p));
	p->out.waits = s->stream;
	p->out.side = SK_IN;
	r = sock_recv(s->stream, at + WIRE_HEADER, CHANNEL_BUFFER, &got, e);
	if (r == SK_TIMEOUT) {
		/* A keep-alive is due, or the in leg has news. */
		latch_reset(&p->latch);
		return SK_OK;
	}
	if (r == SK_EOF) {
		put_close(s, s->stream_size);
		return SK_OK;
	}
	if (r != SK_OK)
		return r;
	digest_add(s->source.digest, at + WIRE_HEADER, got);
	s->stream_size += got;
	wire_put_data_header(at, (uint32_t)got);
	channel_put(c, WIRE_HEADER + got);
	return SK_OK;
}

enum sk_result
sender_stream(struct sender *s, struct err *e)
{
	struct err why = { 0 };
	enum sk_result r;

	if (channel_pending(&s->party.channel) > 0)
		return channel_flush(&s->party.channel, e);
	r = stream_some(s, &why);
	if (r != SK_ERROR)
		return r;
	drop(s, &why);
	return SK_OK;
}

