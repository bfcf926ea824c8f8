/*
 * A fuzz target without a fuzzer: each input is a test, passed if the program
 * is still there afterwards.
 *
 * usage: replay_TARGET [FILE|DIRECTORY]...
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "feed.h"
#include "tap.h"

#define CORPUS	"tests/fuzz/corpus/"

enum {
	INPUT_MAX = 1024 * 1024,
	PATH_BUFFER = 4096,
};

static void
replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	unsigned char *data = malloc(INPUT_MAX), *exact;
	const char *slash = strrchr(path, '/');
	size_t size = 0;

	if (file != NULL && data != NULL)
		size = fread(data, 1, INPUT_MAX, file);
	/* Reading on behind it is seen. */
	exact = malloc(size > 0 ? size : 1);
	if (file == NULL || data == NULL || exact == NULL) {
		(void)tap_ok(false, "%s can be read", path);
	} else {
		memcpy(exact, data, size);
		(void)LLVMFuzzerTestOneInput(exact, size);
		(void)tap_ok(true, "%s", slash != NULL ? slash + 1 : path);
	}
	if (file != NULL)
		(void)fclose(file);
	free(exact);
	free(data);
}

static int
is_visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void
replay(const char *path)
{
	char below[PATH_BUFFER];
	struct dirent **list = NULL;
	struct stat st;
	int i, count;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	count = scandir(path, &list, is_visible, alphasort);
	(void)tap_ok(count > 0, "there is something in %s", path);
	for (i = 0; i < count; i++) {
		(void)snprintf(below, sizeof(below), "%s/%s", path,
		    list[i]->d_name);
		replay_file(below);
		free(list[i]);
	}
	free(list);
}

/* A target may go elsewhere. */
static char *
absolute(const char *path)
{
	char *full = realpath(path, NULL);

	return full != NULL ? full : strdup(path);
}

int
main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '_');
	char corpus[PATH_BUFFER], **paths;
	int i, count = argc > 1 ? argc - 1 : 1;

	tap_start();
	(void)snprintf(corpus, sizeof(corpus), "%s%s", CORPUS,
	    name != NULL ? name + 1 : "");
	paths = calloc((size_t)count, sizeof(*paths));
	for (i = 0; paths != NULL && i < count; i++)
		paths[i] = absolute(argc > 1 ? argv[i + 1] : corpus);
	for (i = 0; paths != NULL && i < count; i++) {
		replay(paths[i]);
		free(paths[i]);
	}
	free(paths);
	return tap_done();
}
