/*
 * A receiver and a sender that says anything: nothing outside of its directory
 * may change, and it has to come to an end.
 */
#include <fcntl.h>
#include <string.h>

#include "feed.h"
#include "files.h"
#include "transfer/place.h"

/* The bits of FEED_SETUP. */
enum {
	TO_FILE = 0x01,
	TO_OUTPUT = 0x02,
	FORCED = 0x04,
	WITH_FILE = 0x08,	/* some of it is there already */
	WITH_PARTIAL = 0x10,
	WITH_LINK = 0x20,
	WITH_DIRECTORY = 0x40,
	AGAIN = 0x80,		/* the same once more into the same place */
};

enum { PARTIAL = 100 };

static char in_path[512], file_path[512], out_path[512];

static void
prepare(void)
{
	int fd;

	if (*files_root != '\0')
		return;
	files_start();
	(void)snprintf(in_path, sizeof(in_path), "%s", files_path("in"));
	(void)snprintf(file_path, sizeof(file_path), "%s",
	    files_path("in/a"));
	(void)snprintf(out_path, sizeof(out_path), "%s", files_path("out"));
	files_empty(in_path);
	files_empty(out_path);
	(void)files_put_text(files_path("out/secret"), "secret");
	files_empty(files_path("cwd"));
	files_go_to(files_path("cwd"));
	(void)atexit(files_end);
	fd = open("/dev/null", O_WRONLY);
	(void)dup2(fd, STDOUT_FILENO);
	(void)close(fd);
}

static void
lay_out(unsigned setup)
{
	files_empty(in_path);
	if (setup & WITH_FILE) {
		(void)files_put(file_path, feed_content, PARTIAL);
		(void)mkfifo(files_path("in/fifo"), 0600);
	}
	if (setup & WITH_PARTIAL) {
		(void)files_put(files_path("in/.a.haul-part"), feed_content,
		    PARTIAL);
		(void)files_put(files_path("in/.partial.haul-part"),
		    feed_content, PARTIAL);
	}
	if (setup & WITH_LINK) {
		files_make_link("../out", files_path("in/link"));
		files_make_link("../out/secret",
		    files_path("in/.b.haul-part"));
		files_make_link("../out/secret", files_path("in/c"));
	}
	if (setup & WITH_DIRECTORY) {
		(void)mkdir(files_path("in/there"), 0700);
		(void)mkdir(files_path("in/d"), 0700);
	}
}

static void
look(bool done, enum place_kind kind)
{
	if (files_count(files_root) != 3 || files_count(out_path) != 1 ||
	    files_count(files_path("cwd")) != 0 ||
	    !files_has_text(files_path("out/secret"), "secret") ||
	    files_stat(files_path("out/secret")).st_nlink != 1) {
		(void)fprintf(stderr, "fuzz: something outside changed\n");
		abort();
	}
	if (done && kind == PLACE_FILE && !files_is_there(file_path)) {
		(void)fprintf(stderr, "fuzz: done, and nothing is there\n");
		abort();
	}
}

static bool
receive(struct place *place, const uint8_t *data, size_t size)
{
	static struct feed feed;
	struct transfer_status status;
	struct transfer_result result = { 0 };
	struct sock *peer = feed_start(&feed, WIRE_SENDER, data, size);
	struct err e = { 0 };
	bool done;

	transfer_status_init(&status);
	done = transfer_receive(&feed_config, place, &peer, &status, &result,
	    &e) == SK_OK;
	if (!done && e.code == ERR_NONE && !e.quiet) {
		(void)fprintf(stderr, "fuzz: a failure without a reason\n");
		abort();
	}
	sock_abort(&peer);
	transfer_status_destroy(&status);
	err_clear(&e);
	feed_end(&feed);
	return done;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct place_config config = { .kind = PLACE_DIRECTORY,
	    .path = in_path };
	struct err e = { 0 };
	struct place *place;
	unsigned setup;
	bool done;

	if (size < FEED_START)
		return 0;
	prepare();
	setup = data[FEED_SETUP];
	lay_out(setup);
	config.force = setup & FORCED;
	if (setup & TO_FILE) {
		config.kind = PLACE_FILE;
		config.path = file_path;
	} else if (setup & TO_OUTPUT)
		config.kind = PLACE_STDOUT;
	place = place_open(&config, SK_NONBLOCKING, &e);
	if (place == NULL)
		abort();
	done = receive(place, data, size);
	if (setup & AGAIN)
		done = receive(place, data, size) || done;
	place_close(place);
	look(done, config.kind);
	return 0;
}
