/* What a sender finds: which entries, in what order, and what is left out. */
#include "transfer/walk.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/clock.h"
#include "files.h"
#include "tap.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum {
	OPERANDS_MAX = 8,
	LIST_MAX = 512 * 1024,
	MANY = 3000,
	DEEP = 200,
	NOBODY = 65534,
	LONG_PART = 250,
	LONG_DEPTH = 20,
};

static const char *
error_name(int sys)
{
	switch (sys) {
	case 0:
		return "0";
	case EACCES:
		return "EACCES";
	case ENAMETOOLONG:
		return "ENAMETOOLONG";
	case ENOENT:
		return "ENOENT";
	case ENOTDIR:
		return "ENOTDIR";
	default:
		break;
	}
	return "another";
}

/* One line for what walk_next has found. */
static void
describe(char *line, size_t size, enum walk_result r, const struct entry *n,
    const struct err *e)
{
	static const char kinds[] = "?fsdl";

	switch (r) {
	case WALK_ENTRY:
		(void)snprintf(line, size, "%c %s%s%s\n", kinds[n->kind],
		    n->name, n->target != NULL ? " -> " : "",
		    n->target != NULL ? n->target : "");
		break;
	case WALK_SKIPPED:
		(void)snprintf(line, size, "- %s: %s\n",
		    strrchr(e->who, '/') + 1, e->text);
		break;
	case WALK_FAILED:
		(void)snprintf(line, size, "! %s: %s\n",
		    strrchr(e->who, '/') != NULL ? strrchr(e->who, '/') + 1 :
		    e->who, error_name(e->sys));
		break;
	case WALK_END:
		break;
	}
}

struct trip {
	struct walk *walk;
	char list[LIST_MAX];
	size_t len;
	char *operands[OPERANDS_MAX];
};

static struct trip trip;

static void
begin(const char *const *operands)
{
	struct err e = { 0 };
	size_t i;

	for (i = 0; operands[i] != NULL; i++)
		trip.operands[i] = strdup(operands[i]);
	trip.operands[i] = NULL;
	trip.len = 0;
	trip.list[0] = '\0';
	trip.walk = walk_new(trip.operands, &e);
}

/* One more line; false at the end. */
static bool
step(void)
{
	struct entry n = { .path = NULL };
	struct err e = { 0 };
	enum walk_result r = walk_next(trip.walk, &n, &e);

	describe(trip.list + trip.len, sizeof(trip.list) - trip.len, r, &n,
	    &e);
	trip.len += strlen(trip.list + trip.len);
	if (r == WALK_ENTRY)
		entry_release(&n);
	err_clear(&e);
	return r != WALK_END;
}

static const char *
finish(void)
{
	size_t i;

	while (step())
		continue;
	walk_free(trip.walk);
	trip.walk = NULL;
	for (i = 0; trip.operands[i] != NULL; i++)
		free(trip.operands[i]);
	return trip.list;
}

static const char *
list_of(const char *operand)
{
	const char *operands[] = { operand, NULL };

	begin(operands);
	return finish();
}

/* A folder with nothing in it. */
static const char *
fresh(const char *name)
{
	const char *path = files_path("%s", name);

	files_empty(path);
	return path;
}

static void
test_order(void)
{
	static const char *const names[] = { "b", "B", "a.c", "a-c", "10", "9",
	    "\xff", "\xc3\xa9", "z\nz", " ", "~", "-", "\x01" };
	char *first;
	size_t i;

	(void)fresh("t");
	(void)mkdir(files_path("t/a"), 0755);
	(void)mkdir(files_path("t/a/empty"), 0755);
	(void)files_put(files_path("t/a/z"), "", 0);
	(void)mkdir(files_path("t/a/m"), 0755);
	(void)files_put(files_path("t/a/m/1"), "", 0);
	for (i = 0; i < COUNT(names); i++)
		(void)files_put(files_path("t/%s", names[i]), "", 0);
	tap_text(list_of(files_path("t")), "d t\nf t/\x01\nf t/ \nf t/-\n"
	    "f t/10\nf t/9\nf t/B\nd t/a\nd t/a/empty\nd t/a/m\nf t/a/m/1\n"
	    "f t/a/z\nf t/a-c\nf t/a.c\nf t/b\nf t/z\nz\nf t/~\n"
	    "f t/\xc3\xa9\nf t/\xff\n",
	    "by bytes, a directory before what is in it");
	first = strdup(trip.list);
	tap_text(list_of(files_path("t")), first, "twice the same");
	free(first);
}

static void
test_many(void)
{
	const char *line, *last = "";
	size_t len = 0, before = 0;
	int i, count = 0;
	bool ordered = true;

	(void)fresh("many");
	for (i = 0; i < MANY; i++)
		(void)files_put(files_path("many/%d", (i * 7919) % MANY), "",
		    0);
	line = list_of(files_path("many"));
	for (line = strchr(line, '\n') + 1; *line != '\0'; line += len + 1) {
		len = strcspn(line, "\n");
		if (strncmp(last, line, len < before ? len : before) > 0)
			ordered = false;
		last = line;
		before = len;
		count++;
	}
	tap_ok(ordered && count == MANY, "%d files in order", MANY);
}

/* Operands and the names that their contents get. */
static void
test_operands(void)
{
	static const struct {
		const char *operand, *list;
	} cases[] = {
		{ "d", "d d\nf d/x\n" },
		{ "d/", "d d\nf d/x\n" },
		{ "d///", "d d\nf d/x\n" },
		{ "./d", "d d\nf d/x\n" },
		{ ".//d", "d d\nf d/x\n" },
		{ "d/.", "f x\n" },
		{ "d/./", "f x\n" },
		{ "d//.//", "f x\n" },
		{ "d/../d/.", "f x\n" },
		{ "d/x", "f x\n" },
		{ "./d/x", "f x\n" },
		{ "d//x", "f x\n" },
		{ "d/../d/x", "f x\n" },
		{ ".", "d d\nf d/x\nl dangling -> nowhere\nl l -> d\n"
		    "l lx -> d/x\n" },
		{ "./", "d d\nf d/x\nl dangling -> nowhere\nl l -> d\n"
		    "l lx -> d/x\n" },
		{ "d/..", "d d\nf d/x\nl dangling -> nowhere\nl l -> d\n"
		    "l lx -> d/x\n" },
		/* Links are followed here, and not below. */
		{ "l", "d l\nf l/x\n" },
		{ "l/.", "f x\n" },
		{ "lx", "f lx\n" },
		{ "dangling", "! dangling: ENOENT\n" },
		{ "nothing", "! nothing: ENOENT\n" },
		{ "d/nothing", "! nothing: ENOENT\n" },
		{ "d/x/", "! : ENOTDIR\n" },
		{ "d/x/.", "! .: ENOTDIR\n" },
		{ "", "! : ENOENT\n" },
		{ "-", "s \n" },
		{ "./-", "! -: ENOENT\n" },
	};
	size_t i;

	(void)fresh("o");
	(void)mkdir(files_path("o/d"), 0755);
	(void)files_put_text(files_path("o/d/x"), "12345");
	files_make_link("d", files_path("o/l"));
	files_make_link("d/x", files_path("o/lx"));
	files_make_link("nowhere", files_path("o/dangling"));
	files_go_to(files_path("o"));
	for (i = 0; i < COUNT(cases); i++)
		tap_text(list_of(cases[i].operand), cases[i].list,
		    "operand \"%s\"", cases[i].operand);
	files_go_to("/");
}

static void
test_several(void)
{
	const char *operands[] = { files_path("o/lx"), files_path("o/gone"),
	    files_path("o/d"), files_path("o/dangling"), files_path("o/d/."),
	    NULL };

	begin(operands);
	tap_text(finish(), "f lx\n! gone: ENOENT\nd d\nf d/x\n"
	    "! dangling: ENOENT\nf x\n", "several operands, one after another");
}

/* What an entry tells. */
static void
test_properties(void)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
	    { .tv_sec = 1234567890, .tv_nsec = 987654321 } };
	const struct timespec old[2] = { { .tv_nsec = UTIME_OMIT },
	    { .tv_sec = -3, .tv_nsec = 999999999 } };
	char path[512], *operands[] = { path, NULL };
	struct err e = { 0 };
	struct entry n;
	struct stat st;
	struct walk *w;

	(void)fresh("p");
	(void)snprintf(path, sizeof(path), "%s", files_path("p/f"));
	(void)files_put_text(path, "12345");
	(void)chmod(path, 04751);
	(void)utimensat(AT_FDCWD, path, times, 0);
	w = walk_new(operands, &e);
	tap_ok(walk_next(w, &n, &e) == WALK_ENTRY &&
	    n.kind == WIRE_KIND_FILE && n.size == 5 && n.mode == 04751 &&
	    n.target == NULL && strcmp(n.path, path) == 0 &&
	    n.name == n.path + strlen(path) - 1, "a file's size and mode");
	tap_ok(n.mtime_s == 1234567890 && n.mtime_ns == 987654321,
	    "its time to the nanosecond");
	st = files_stat(path);
	tap_ok(n.dev == st.st_dev && n.ino == st.st_ino && n.stored <= n.size,
	    "its identity");
	entry_release(&n);
	tap_ok(n.path == NULL && walk_next(w, &n, &e) == WALK_END &&
	    walk_next(w, &n, &e) == WALK_END, "the end stays the end");
	walk_free(w);
	(void)utimensat(AT_FDCWD, path, old, 0);
	w = walk_new(operands, &e);
	tap_ok(walk_next(w, &n, &e) == WALK_ENTRY && n.mtime_s == -3 &&
	    n.mtime_ns == 999999999, "a time before 1970");
	entry_release(&n);
	walk_free(w);
	w = walk_new(operands, &e);
	tap_ok(truncate(path, 1024 * 1024) == 0 && walk_next(w, &n, &e) ==
	    WALK_ENTRY && n.size == 1024 * 1024 && n.stored < n.size,
	    "a file with a hole stores less than its size");
	entry_release(&n);
	walk_free(w);
}

static void
make_socket(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%.100s", path);
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) != 0)
		tap_note("%s: %s", path, strerror(errno));
	(void)close(fd);
}

static void
test_skipped(void)
{
	(void)fresh("s");
	(void)files_put(files_path("s/a"), "", 0);
	(void)mkfifo(files_path("s/b"), 0644);
	make_socket(files_path("s/c"));
	files_make_link("b", files_path("s/d"));
	(void)files_put(files_path("s/.e.haul-part"), "", 0);
	(void)files_put(files_path("s/.haul-part"), "", 0);
	tap_text(list_of(files_path("s")), "d s\n"
	    "- .e.haul-part: left by an unfinished transfer: not carried\n"
	    "f s/.haul-part\nf s/a\n- b: a FIFO: not carried\n"
	    "- c: a socket: not carried\nl s/d -> b\n",
	    "what is not carried is skipped with a note");
	tap_text(list_of(files_path("s/b")), "s b\n",
	    "a FIFO on the command line is a stream");
	tap_text(list_of(files_path("s/d")), "s d\n",
	    "so is a link to one");
	tap_text(list_of("/dev/null"), "s null\n", "and a device");
	if (mknod(files_path("s/e"), S_IFCHR | 0600, 1 << 8 | 3) == 0)
		tap_ok(strstr(list_of(files_path("s")),
		    "- e: a device: not carried\n") != NULL,
		    "a device below is skipped");
	else
		tap_ok(strstr(list_of("/dev/."),
		    "- null: a device: not carried\n") != NULL,
		    "a device below is skipped");
}

static void
test_links(void)
{
	static char target[PATH_MAX];
	char expected[PATH_MAX + 128];

	(void)fresh("l");
	memset(target, 'x', PATH_MAX - 1);
	(void)mkdir(files_path("l/d"), 0755);
	(void)files_put(files_path("l/d/x"), "", 0);
	files_make_link("d", files_path("l/dir"));
	files_make_link("/etc/passwd", files_path("l/etc"));
	files_make_link(target, files_path("l/long"));
	files_make_link("me", files_path("l/me"));
	files_make_link("..", files_path("l/up"));
	(void)snprintf(expected, sizeof(expected), "d l\nd l/d\nf l/d/x\n"
	    "l l/dir -> d\nl l/etc -> /etc/passwd\nl l/long -> %s\n"
	    "l l/me -> me\nl l/up -> ..\n", target);
	tap_text(list_of(files_path("l")), expected,
	    "links are entries of their own and never followed");
}

/* What changes while it is walked. */
static void
test_vanished(void)
{
	const char *operands[] = { files_path("v"), NULL };

	(void)fresh("v");
	(void)files_put(files_path("v/a"), "", 0);
	(void)files_put(files_path("v/b"), "", 0);
	(void)mkdir(files_path("v/c"), 0755);
	(void)files_put(files_path("v/c/x"), "", 0);
	(void)mkdir(files_path("v/d"), 0755);
	(void)files_put(files_path("v/e"), "", 0);
	begin(operands);
	(void)step();
	(void)unlink(files_path("v/b"));
	(void)rmdir(files_path("v/d"));
	files_make_link("c", files_path("v/d"));
	(void)step();
	(void)step();
	(void)step();
	/* Its names are known by now. */
	(void)unlink(files_path("v/c/x"));
	(void)rmdir(files_path("v/c"));
	tap_text(finish(), "d v\nf v/a\n! b: ENOENT\nd v/c\n! x: ENOENT\n"
	    "l v/d -> c\nf v/e\n", "what has gone meanwhile, the rest goes on");
}

/* Nothing may be read that the user cannot read: as somebody else than root. */
static void
test_unreadable(void)
{
	bool root = geteuid() == 0;
	enum wire_shape shape;
	struct err e = { 0 };
	char *alone[] = { NULL, NULL };
	bool ok;

	(void)fresh("u");
	(void)mkdir(files_path("u/a"), 0755);
	(void)files_put(files_path("u/a/x"), "", 0);
	(void)files_put(files_path("u/b"), "", 0);
	(void)mkdir(files_path("u/c"), 0755);
	(void)files_put(files_path("u/c/x"), "", 0);
	(void)mkdir(files_path("u/d"), 0755);
	(void)files_put(files_path("u/d/x"), "", 0);
	alone[0] = strdup(files_path("u/b"));
	(void)chmod(files_path("u/a"), 0);
	(void)chmod(files_path("u/b"), 0);
	(void)chmod(files_path("u/c"), 0444);	/* names, and no more */
	(void)chmod(files_path("u/d"), 0111);	/* the other way round */
	if (root && (chmod(files_root, 0755) != 0 || seteuid(NOBODY) != 0))
		tap_note("cannot be somebody else: %s", strerror(errno));
	tap_text(list_of(files_path("u")), "d u\n! a: EACCES\nf u/b\nd u/c\n"
	    "! x: EACCES\n! d: EACCES\n",
	    "directories that cannot be read, the rest goes on");
	tap_text(list_of(files_path("u/a")), "! a: EACCES\n",
	    "one on the command line");
	tap_text(list_of(files_path("u/a/.")), "! .: EACCES\n",
	    "the contents of one");
	ok = walk_shape(alone, &shape, &e);
	tap_ok(!ok && e.code == ERR_LOCAL && e.sys == EACCES,
	    "a file that cannot be read alone fails at once");
	if (root && seteuid(0) != 0)
		tap_note("cannot be root again: %s", strerror(errno));
	(void)chmod(files_path("u/c"), 0755);
	free(alone[0]);
	err_clear(&e);
}

static void
test_deep(void)
{
	const char *list, *last;
	int i, lines = 0, dir, next;

	dir = open(fresh("deep"), O_RDONLY | O_DIRECTORY);
	for (i = 0; i < DEEP && dir != -1; i++) {
		(void)mkdirat(dir, "d", 0755);
		next = openat(dir, "d", O_RDONLY | O_DIRECTORY);
		(void)close(dir);
		dir = next;
	}
	(void)close(dir);
	list = list_of(files_path("deep"));
	for (last = list; *last != '\0'; last++)
		lines += *last == '\n';
	tap_int(lines, DEEP + 1, "%d directories in one another", DEEP);
}

/* Longer than a path may be, which nobody can open by its name. */
static void
test_long(void)
{
	char part[LONG_PART + 1];
	const char *list, *failed;
	int i, dir, next;

	memset(part, 'p', LONG_PART);
	part[LONG_PART] = '\0';
	dir = open(fresh("long"), O_RDONLY | O_DIRECTORY);
	for (i = 0; i < LONG_DEPTH && dir != -1; i++) {
		(void)mkdirat(dir, part, 0755);
		(void)mkdirat(dir, "z", 0755);
		next = openat(dir, part, O_RDONLY | O_DIRECTORY);
		(void)close(dir);
		dir = next;
	}
	(void)close(dir);
	list = list_of(files_path("long"));
	failed = strstr(list, ": ENAMETOOLONG\n");
	tap_ok(failed != NULL && strstr(failed + 3, "ENAMETOOLONG") == NULL,
	    "what is too far down fails once");
	tap_ok(failed != NULL && strstr(failed, "d long/z\n") != NULL,
	    "and the rest goes on");
}

static void
test_shape(void)
{
	static const struct {
		const char *operands[3];
		enum err_code code;	/* ERR_NONE: */
		enum wire_shape shape;
	} cases[] = {
		{ { "-" }, ERR_NONE, WIRE_STREAM },
		{ { "f" }, ERR_NONE, WIRE_FILE },
		{ { "./f" }, ERR_NONE, WIRE_FILE },
		{ { "fifo" }, ERR_NONE, WIRE_FILE },
		{ { "lf" }, ERR_NONE, WIRE_FILE },
		{ { "d" }, ERR_NONE, WIRE_TREE },
		{ { "ld" }, ERR_NONE, WIRE_TREE },
		{ { "." }, ERR_NONE, WIRE_TREE },
		{ { "d/." }, ERR_NONE, WIRE_TREE },
		{ { "f", "d" }, ERR_NONE, WIRE_TREE },
		{ { "f", "lf" }, ERR_NONE, WIRE_TREE },
		{ { "d/.", "e/." }, ERR_NONE, WIRE_TREE },
		{ { "f", "f" }, ERR_USAGE, 0 },
		{ { "f", "./f" }, ERR_USAGE, 0 },
		{ { "f", "d/f" }, ERR_USAGE, 0 },
		{ { "d", "d/" }, ERR_USAGE, 0 },
		{ { "d", "e/../d//" }, ERR_USAGE, 0 },
		{ { "-", "f" }, ERR_USAGE, 0 },
		{ { "f", "-" }, ERR_USAGE, 0 },
		{ { "-", "-" }, ERR_USAGE, 0 },
		{ { "gone" }, ERR_LOCAL, 0 },
		{ { "f", "gone" }, ERR_LOCAL, 0 },
		{ { "gone", "f" }, ERR_LOCAL, 0 },
		{ { "" }, ERR_LOCAL, 0 },
		{ { "f/" }, ERR_LOCAL, 0 },
		{ { "dangling" }, ERR_LOCAL, 0 },
	};
	char texts[2][16], *operands[3];
	struct err e = { 0 };
	enum wire_shape shape;
	size_t i, j;
	bool ok;

	(void)fresh("shape");
	files_go_to(files_path("shape"));
	(void)files_put("f", "", 0);
	(void)mkfifo("fifo", 0644);
	(void)mkdir("d", 0755);
	(void)mkdir("e", 0755);
	(void)files_put("d/f", "", 0);
	files_make_link("f", "lf");
	files_make_link("d", "ld");
	files_make_link("nowhere", "dangling");
	for (i = 0; i < COUNT(cases); i++) {
		for (j = 0; cases[i].operands[j] != NULL; j++) {
			(void)snprintf(texts[j], sizeof(texts[j]), "%s",
			    cases[i].operands[j]);
			operands[j] = texts[j];
		}
		operands[j] = NULL;
		err_clear(&e);
		ok = walk_shape(operands, &shape, &e);
		tap_ok(ok ? cases[i].code == ERR_NONE &&
		    shape == cases[i].shape : e.code == cases[i].code &&
		    cases[i].code != ERR_NONE, "the shape of \"%s\"%s%s%s",
		    texts[0], j > 1 ? " \"" : "", j > 1 ? texts[1] : "",
		    j > 1 ? "\"" : "");
	}
	err_clear(&e);
	files_go_to("/");
}

static void
test_count(void)
{
	char path[3][512], *operands[] = { path[0], path[1], path[2], NULL };
	uint64_t entries, bytes;

	(void)fresh("count");
	(void)mkdir(files_path("count/d"), 0755);
	(void)files_put_text(files_path("count/d/a"), "12345");
	(void)files_put_text(files_path("count/d/b"), "1234567");
	files_make_link("b", files_path("count/d/l"));
	(void)mkfifo(files_path("count/d/p"), 0644);
	(void)files_put_text(files_path("count/c"), "123");
	(void)snprintf(path[0], sizeof(path[0]), "%s", files_path("count/d"));
	(void)snprintf(path[1], sizeof(path[1]), "%s", files_path("count/c"));
	(void)snprintf(path[2], sizeof(path[2]), "%s", files_path("count/no"));
	walk_count(operands, UINT64_MAX - 1, CLOCK_NEVER, &entries, &bytes);
	tap_ok(entries == 5 && bytes == 15, "entries and bytes are counted");
	(void)snprintf(path[2], sizeof(path[2]), "%s",
	    files_path("count/d/p"));
	walk_count(operands, UINT64_MAX - 1, CLOCK_NEVER, &entries, &bytes);
	tap_ok(entries == 6 && bytes == WIRE_UNKNOWN,
	    "with a stream the bytes are unknown");
	operands[2] = NULL;
	walk_count(operands, 5, CLOCK_NEVER, &entries, &bytes);
	tap_ok(entries == 5 && bytes == 15, "as many as may be counted");
	walk_count(operands, 4, CLOCK_NEVER, &entries, &bytes);
	tap_ok(entries == WIRE_UNKNOWN && bytes == WIRE_UNKNOWN,
	    "more are not counted");
	/* Nor is a large directory read to its end for that. */
	operands[1] = NULL;
	(void)mkfifo(files_path("count/d/q"), 0644);
	walk_count(operands, 5, CLOCK_NEVER, &entries, &bytes);
	tap_ok(entries == 4 && bytes == 12, "as many names as may be read");
	(void)mkfifo(files_path("count/d/r"), 0644);
	walk_count(operands, 5, CLOCK_NEVER, &entries, &bytes);
	tap_ok(entries == WIRE_UNKNOWN && bytes == WIRE_UNKNOWN,
	    "more names are not read, whatever they are of");
}

/* Given up in the middle: nothing is left open or lost. */
static void
test_given_up(void)
{
	const char *operands[] = { files_path("deep"), files_path("o"), NULL };
	int before, after, i;

	before = dup(STDIN_FILENO);
	(void)close(before);
	begin(operands);
	for (i = 0; i < DEEP / 2; i++)
		(void)step();
	walk_free(trip.walk);
	for (i = 0; trip.operands[i] != NULL; i++)
		free(trip.operands[i]);
	after = dup(STDIN_FILENO);
	(void)close(after);
	tap_int(after, before, "a walk that is given up leaves nothing open");
	walk_free(NULL);
}

int
main(void)
{
	tap_start();
	files_start();
	test_order();
	test_many();
	test_operands();
	test_several();
	test_properties();
	test_skipped();
	test_links();
	test_vanished();
	test_unreadable();
	test_deep();
	test_long();
	test_shape();
	test_count();
	test_given_up();
	files_end();
	return tap_done();
}
