/* Frames over a socket: where the content of a file lies in memory. */
#include "transfer/channel.h"

#include <pthread.h>
#include <sys/socket.h>

#include "net.h"

enum {
	FRAMES = 8,
	FRAME_SIZE = WIRE_HEADER + CHANNEL_BUFFER,
};

static unsigned char sent[FRAME_SIZE];

/* Write the same frame several times, a piece after the other. */
static void *
write_frames(void *arg)
{
	const int *fd = arg;
	size_t at, len, step = 1000;
	ssize_t n;
	int i;

	for (i = 0; i < FRAMES; i++)
		for (at = 0; at < FRAME_SIZE; at += (size_t)n) {
			/* Ever larger ones: the headers come in any part. */
			step += 977;
			len = FRAME_SIZE - at < step ? FRAME_SIZE - at : step;
			if ((n = send(*fd, sent + at, len, MSG_NOSIGNAL)) < 0)
				return NULL;
		}
	return NULL;
}

/* Take a whole frame; false: not at its place in a page, or not the same. */
static bool
take_frame(struct channel *c, size_t *pieces, struct err *e)
{
	const unsigned char *content = sent + WIRE_HEADER;
	struct frame f;
	size_t at;

	for (at = 0; at < CHANNEL_BUFFER; at += f.len) {
		if (channel_next(c, &f, e) != SK_OK || f.type != WIRE_DATA ||
		    f.len > CHANNEL_BUFFER - at)
			return false;
		if ((uintptr_t)f.payload % CHANNEL_PAGE != at % CHANNEL_PAGE ||
		    memcmp(f.payload, content + at, f.len) != 0) {
			tap_note("byte %zu at %p", at,
			    (const void *)f.payload);
			return false;
		}
		*pieces += 1;
		channel_take(c, f.len);
	}
	return true;
}

static void
test_pages(void)
{
	struct channel c = { .peer = NULL };
	struct err e = { 0 };
	struct sock *peer;
	size_t pieces = 0, i;
	pthread_t writer;
	int fds[2], good = 0;

	for (i = WIRE_HEADER; i < FRAME_SIZE; i++)
		sent[i] = (unsigned char)(i * i >> 5);
	wire_put_data_header(sent, CHANNEL_BUFFER);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
		return;
	peer = sock_make(&transport_stream, fds[0], SK_BLOCKING, "peer", &e);
	if (peer == NULL || !channel_open(&c, peer, WIRE_SENDER, &e) ||
	    pthread_create(&writer, NULL, write_frames, &fds[1]) != 0)
		return;
	for (i = 0; i < FRAMES; i++)
		good += take_frame(&c, &pieces, &e);
	tap_int(good, FRAMES, "content begins at a page, as in its file");
	tap_note("%zu pieces", pieces);
	sock_abort(&peer);
	(void)pthread_join(writer, NULL);
	(void)close(fds[1]);
	channel_close(&c);
	err_clear(&e);
}

int
main(void)
{
	tap_start();
	test_pages();
	return tap_done();
}
