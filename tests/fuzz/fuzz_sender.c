/* A sender of a small tree and a receiver that says anything. */
#include <fcntl.h>
#include <string.h>

#include "feed.h"
#include "files.h"

/* The bits of FEED_SETUP. */
enum {
	OF_FILE = 0x01,
	OF_INPUT = 0x02,
	OF_LARGE = 0x04,
};

enum {
	SMALL = 7,
	SPARSE = 200 * 1000,
};

static char tree_path[512], file_path[512], large_path[512];

static void
prepare(void)
{
	int fd;

	if (*files_root != '\0')
		return;
	files_start();
	(void)snprintf(tree_path, sizeof(tree_path), "%s", files_path("t"));
	(void)snprintf(file_path, sizeof(file_path), "%s",
	    files_path("t/a"));
	(void)snprintf(large_path, sizeof(large_path), "%s",
	    files_path("t/b"));
	files_empty(tree_path);
	(void)files_put(file_path, feed_content, SMALL);
	(void)files_put(large_path, feed_content, FEED_CONTENT);
	(void)mkdir(files_path("t/d"), 0755);
	(void)files_put(files_path("t/d/empty"), "", 0);
	files_make_link("a", files_path("t/l"));
	(void)mkfifo(files_path("t/fifo"), 0600);
	fd = open(files_path("t/s"), O_WRONLY | O_CREAT, 0644);
	if (pwrite(fd, feed_content, SMALL, SPARSE / 2) != SMALL ||
	    ftruncate(fd, SPARSE) != 0)
		abort();
	(void)close(fd);
	(void)atexit(files_end);
	fd = open(file_path, O_RDONLY);
	(void)dup2(fd, STDIN_FILENO);
	(void)close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char dash[] = "-";
	static struct feed feed;
	struct transfer_status status;
	struct transfer_result result = { 0 };
	char *operands[] = { tree_path, NULL };
	struct err e = { 0 };
	struct sock *peer;
	enum sk_result r;

	if (size < FEED_START)
		return 0;
	peer = feed_start(&feed, WIRE_RECEIVER, data, size);
	prepare();
	if (data[FEED_SETUP] & OF_FILE)
		operands[0] = file_path;
	else if (data[FEED_SETUP] & OF_INPUT) {
		operands[0] = dash;
		(void)lseek(STDIN_FILENO, 0, SEEK_SET);
	} else if (data[FEED_SETUP] & OF_LARGE)
		operands[0] = large_path;
	transfer_status_init(&status);
	r = transfer_send(&feed_config, operands, &peer, &status, &result, &e);
	if (r == SK_OK ? !feed.ear.left : e.code == ERR_NONE) {
		(void)fprintf(stderr, "fuzz: a wrong outcome\n");
		abort();
	}
	sock_abort(&peer);
	transfer_status_destroy(&status);
	err_clear(&e);
	feed_end(&feed);
	return 0;
}
