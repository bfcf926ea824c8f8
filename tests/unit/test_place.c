/*
 * Where names lead: whole transfers from a sender that may be hostile into a
 * real directory, beside one that it must never reach.
 */
#include "transfer/place.h"

#include <pthread.h>
#include <sys/file.h>
#include <sys/un.h>

#include "files.h"
#include "peer.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define CONTENT		"content"	/* of what is sent */
#define OTHER		"another"	/* as long as that */
#define SECRET		"secret"

enum {
	NOBODY = 65534,
	DEEP = 300,
	BIG = 600 * 1000,
	NAME_BUFFER = WIRE_NAME_MAX + 2,
};

/* What has become of an entry. */
enum outcome {
	NOTHING,	/* the receiver gave up, or broke the protocol */
	TAKEN,		/* and all of it sent */
	THERE,		/* it was there already */
	RESUMED,
	REFUSED,
	DROPPED,	/* it had another file of that size, and keeps it */
};

static const char *const outcome_names[] = { "nothing", "taken", "there",
    "resumed", "refused", "dropped" };

static struct fake fake;
static struct side side;
static enum sk_mode mode;
static char big[BIG];

/* The folder "in" is the receiver's, "out" is nobody's business. */
static void
lay_out(void)
{
	files_empty(files_path("in"));
	files_empty(files_path("out"));
	(void)files_put_text(files_path("out/secret"), SECRET);
	(void)chmod(files_path("out/secret"), 0640);
}

static bool
is_untouched(void)
{
	return files_count(files_path("out")) == 1 &&
	    files_has_text(files_path("out/secret"), SECRET) &&
	    files_stat(files_path("out/secret")).st_nlink == 1 &&
	    (files_stat(files_path("out/secret")).st_mode & 07777) == 0640;
}

static struct place *
open_place(enum place_kind kind, const char *path, bool force, struct err *e)
{
	const struct place_config config = { .kind = kind, .path = path,
	    .force = force };

	return place_open(&config, mode, e);
}

static void
start_at(enum place_kind kind, const char *path, bool force)
{
	static char kept[FILES_PATH_MAX];
	struct err e = { 0 };

	(void)snprintf(kept, sizeof(kept), "%s", path);
	side_end(&side);
	side = (struct side){ .mode = mode };
	side.place = open_place(kind, kept, force, &e);
	if (side.place == NULL || !fake_meet(&fake, &side, false) ||
	    !fake_hear(&fake))
		tap_note("cannot start: %s %s", e.who, strerror(e.sys));
	err_clear(&e);
	fake_begin(&fake, kind == PLACE_FILE ? WIRE_FILE : WIRE_TREE);
	if (fake_next(&fake) != WIRE_GO)
		tap_note("no GO");
}

static void
start(bool force)
{
	start_at(PLACE_DIRECTORY, files_path("in"), force);
}

/* The end of the transfer; the exit status of the receiver. */
static int
stop(void)
{
	fake_end(&fake);
	if (fake_await(&fake, WIRE_VERDICT))
		fake_empty(&fake, WIRE_BYE);
	fake_finish(&fake);
	fake_part(&fake, &side);
	place_close(side.place);
	return side.code;
}

/* The sender breaks off, as if it had been killed. */
static void
break_off(void)
{
	fake_part(&fake, &side);
	place_close(side.place);
}

static void
drop(void)
{
	fake_reason(&fake, WIRE_DROP, 0, 9, "exists");
	fake.end.failed++;
	fake_pass(&fake, 0, NULL);
}

/* What is there of it: go on behind it, or as an honest sender does. */
static enum outcome
compare(const char *data, size_t size, bool final)
{
	unsigned char digest[DIGEST_SIZE];
	uint64_t there = fake_number(&fake);
	bool equal;

	if (there > size || fake_next(&fake) != WIRE_CHECK)
		return NOTHING;
	digest_of(data, (size_t)there, digest);
	equal = memcmp(digest, fake.payload, DIGEST_SIZE) == 0;
	if (!equal && final) {
		drop();
		return DROPPED;
	}
	fake_put_number(&fake, WIRE_FROM, equal ? there : 0);
	if (!equal) {
		fake_content(&fake, data, size);
		return TAKEN;
	}
	if (there < size)
		fake_data(&fake, data + there, size - (size_t)there);
	digest_of(data, size, digest);
	fake_close(&fake, size, digest);
	return there == size ? THERE : RESUMED;
}

static enum outcome
offer(const struct wire_offer *o, const char *data)
{
	fake_offer(&fake, o);
	switch (fake_next(&fake)) {
	case WIRE_REFUSE:
		fake_pass(&fake, 0, NULL);
		return REFUSED;
	case WIRE_HAVE:
		return compare(data, (size_t)o->size, true);
	case WIRE_TAKE:
		break;
	default:
		return NOTHING;
	}
	if (data == NULL) {
		fake_pass(&fake, 0, NULL);
		return TAKEN;
	}
	if (fake_number(&fake) > 0)
		return compare(data, (size_t)o->size, false);
	fake_content(&fake, data, (size_t)o->size);
	return TAKEN;
}

static enum outcome
send_file(const char *name, const char *data, size_t size)
{
	const struct wire_offer o = fake_file_offer(name, size);

	return offer(&o, data);
}

static enum outcome
send_text(const char *name, const char *text)
{
	return send_file(name, text, strlen(text));
}

static enum outcome
send_mode(const char *name, unsigned bits)
{
	struct wire_offer o = fake_file_offer(name, strlen(CONTENT));

	o.mode = bits;
	return offer(&o, CONTENT);
}

static enum outcome
send_directory(const char *name, unsigned bits)
{
	struct wire_offer o = fake_file_offer(name, 0);

	o.kind = WIRE_KIND_DIRECTORY;
	o.mode = bits;
	return offer(&o, NULL);
}

static enum outcome
send_link(const char *name, const char *target)
{
	struct wire_offer o = fake_file_offer(name, 0);

	o.kind = WIRE_KIND_LINK;
	o.mode = 0777;
	o.target = target;
	o.target_len = strlen(target);
	return offer(&o, NULL);
}

static bool check(bool passed, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A test that also fails if anything outside was touched. */
static bool
check(bool passed, const char *fmt, ...)
{
	char name[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (!is_untouched()) {
		tap_note("something outside was touched");
		passed = false;
	}
	if (tap_ok(passed, "%s: %s", net_mode_names[mode], name))
		return true;
	side_note(&side, "the receiver");
	return false;
}

static bool
is_outcome(enum outcome is, enum outcome expected)
{
	if (is != expected)
		tap_note("%s, expected %s", outcome_names[is],
		    outcome_names[expected]);
	return is == expected;
}

/* Names. */

static void
test_hostile_names(void)
{
	static const char *const names[] = { "", "/", "/x", "//x", ".", "..",
	    "./x", "../x", "../out/x", "../out/secret", "d/..", "d/../x",
	    "d/../../out/x", "d/.", "d/./x", "d/", "d//x", "x/", "d//../../x",
	    ".x.haul-part", "d/.x.haul-part", "..x.haul-part" };
	static const char nul[] = "x\0/../../out/x";
	char path[FILES_PATH_MAX];
	struct wire_offer o;
	size_t i, refused = 0;

	lay_out();
	(void)mkdir(files_path("in/d"), 0755);
	start(true);
	for (i = 0; i < COUNT(names); i++) {
		refused += send_text(names[i], CONTENT) == REFUSED;
		refused += fake_code(&fake) == 9;
		refused += send_directory(names[i], 0755) == REFUSED;
		refused += send_link(names[i], "target") == REFUSED;
		if (refused != 4 * (i + 1))
			tap_note("\"%s\": %zu", names[i], refused);
	}
	o = fake_file_offer(nul, sizeof(CONTENT) - 1);
	o.name_len = sizeof(nul) - 1;
	refused += offer(&o, CONTENT) == REFUSED;
	(void)snprintf(path, sizeof(path), "%s", files_path("out/x"));
	refused += send_text(path, CONTENT) == REFUSED;
	check(stop() == 9 && refused == 4 * COUNT(names) + 2 &&
	    files_count(files_path("in")) == 1 &&
	    files_count(files_path("in/d")) == 0,
	    "hostile names, each refused by itself");
}

static void
test_odd_names(void)
{
	static const char *const names[] = { "...", "..a", "a..", " ", "-rf",
	    "~", "a\nb", "\x1b[2J", "\xff\xfe", "gpj.\xe2\x80\xaetxt",
	    "..\\x", "*", ".haul-part", "x.haul-part" };
	size_t i, taken = 0, there = 0;

	lay_out();
	start(false);
	for (i = 0; i < COUNT(names); i++)
		taken += send_text(names[i], CONTENT) == TAKEN;
	check(stop() == 0 && taken == COUNT(names), "odd names are taken");
	for (i = 0; i < COUNT(names); i++)
		there += files_has_text(files_path("in/%s", names[i]),
		    CONTENT);
	check(there == COUNT(names) && files_count(files_path("in")) ==
	    (int)COUNT(names), "each is a file of just that name");
}

static void
test_long_names(void)
{
	char name[NAME_BUFFER], path[FILES_PATH_MAX];
	size_t len;
	int dir, next;
	enum outcome a, b, c, d;

	lay_out();
	start(false);
	memset(name, 'x', sizeof(name));
	name[255] = '\0';
	a = send_text(name, CONTENT);
	name[255] = 'x';
	name[256] = '\0';
	b = send_text(name, CONTENT);
	c = send_directory(name, 0755);
	d = send_link(name, "target");
	check(stop() == 9 && is_outcome(a, TAKEN) && is_outcome(b, REFUSED) &&
	    is_outcome(c, REFUSED) && is_outcome(d, REFUSED) &&
	    files_count(files_path("in")) == 1,
	    "a name of 255 bytes is taken, one of 256 refused");
	name[255] = '\0';
	check(files_has_text(files_path("in/%s", name), CONTENT),
	    "and it is there");
	/* 4095 bytes in all, which no path to it has room for. */
	lay_out();
	memset(name, 'd', sizeof(name));
	start(false);
	for (a = TAKEN, len = 255; len < WIRE_NAME_MAX && a == TAKEN;
	    len += 256) {
		name[len] = '\0';
		a = send_directory(name, 0755);
		name[len] = '/';
	}
	name[WIRE_NAME_MAX] = '\0';
	b = send_text(name, CONTENT);
	check(stop() == 0 && is_outcome(a, TAKEN) && is_outcome(b, TAKEN),
	    "a name of 4095 bytes is taken");
	memset(path, 'd', 255);
	path[255] = '\0';
	dir = open(files_path("in"), O_RDONLY | O_DIRECTORY);
	for (len = 0; dir != -1 && len + 256 < WIRE_NAME_MAX; len += 256) {
		next = openat(dir, path, O_RDONLY | O_DIRECTORY);
		(void)close(dir);
		dir = next;
	}
	next = dir != -1 ? openat(dir, path, O_RDONLY) : -1;
	check(next != -1 && read(next, path, sizeof(path)) ==
	    (ssize_t)strlen(CONTENT), "and it is there, far down");
	if (next != -1)
		(void)close(next);
	if (dir != -1)
		(void)close(dir);
}

static void
test_deep(void)
{
	char name[2 * DEEP + 2];
	size_t i, taken = 0;

	lay_out();
	start(false);
	for (i = 0; i < DEEP; i++) {
		name[2 * i] = 'd';
		name[2 * i + 1] = '\0';
		taken += send_directory(name, 0500) == TAKEN;
		name[2 * i + 1] = '/';
	}
	name[2 * DEEP] = 'f';
	name[2 * DEEP + 1] = '\0';
	taken += send_text(name, CONTENT) == TAKEN;
	check(stop() == 0 && taken == DEEP + 1 &&
	    files_has_text(files_path("in/%s", name), CONTENT),
	    "%d directories in one another", DEEP);
	name[2 * DEEP - 1] = '\0';
	check((files_stat(files_path("in/%s", name)).st_mode & 07777) ==
	    0500 && (files_stat(files_path("in/d")).st_mode & 07777) == 0500,
	    "each has got its mode at last");
}

/* Parents. */

static void
test_no_parent(void)
{
	enum outcome a, b, c;

	lay_out();
	(void)files_put_text(files_path("in/f"), "file");
	start(true);
	a = send_text("d/x", CONTENT);
	b = send_text("f/x", CONTENT);
	c = send_directory("d/e", 0755);
	check(stop() != 0 && is_outcome(a, REFUSED) && is_outcome(b, REFUSED) &&
	    is_outcome(c, REFUSED) && files_count(files_path("in")) == 1 &&
	    files_has_text(files_path("in/f"), "file"),
	    "parents that are not there, or no directories");
}

static void
test_links_before(void)
{
	static const char *const names[] = { "l/x", "l/secret", "abs/x",
	    "d/l/x", "d/up/x", "dot/x", "d/up/../x" };
	size_t i, refused = 0;

	lay_out();
	(void)mkdir(files_path("in/d"), 0755);
	files_make_link("../out", files_path("in/l"));
	files_make_link(files_path("out"), files_path("in/abs"));
	files_make_link("../../out", files_path("in/d/l"));
	files_make_link("..", files_path("in/d/up"));
	files_make_link(".", files_path("in/dot"));
	start(true);
	for (i = 0; i < COUNT(names); i++) {
		refused += send_text(names[i], CONTENT) == REFUSED;
		refused += send_directory(names[i], 0777) == REFUSED;
		refused += send_link(names[i], "x") == REFUSED;
	}
	/* The links are not directories, wherever they lead. */
	refused += send_directory("l", 0777) == REFUSED;
	refused += send_directory("dot", 0777) == REFUSED;
	check(stop() != 0 && refused == 3 * COUNT(names) + 2 &&
	    files_count(files_path("in")) == 4 &&
	    files_count(files_path("in/d")) == 2,
	    "links that were there lead nowhere");
}

static void
test_links_sent(bool force)
{
	enum outcome a[4], b[6];
	char out[FILES_PATH_MAX];

	lay_out();
	(void)snprintf(out, sizeof(out), "%s", files_path("out"));
	start(force);
	a[0] = send_link("l", "../out");
	b[0] = send_text("l/x", CONTENT);
	b[1] = send_directory("l", 0777);
	b[2] = send_text("l/secret", CONTENT);
	a[1] = send_link("abs", out);
	b[3] = send_text("abs/x", CONTENT);
	/* A directory that is in use does not become a link. */
	a[2] = send_directory("d", 0755);
	a[3] = send_text("d/x", CONTENT);
	b[4] = send_link("d", "../out");
	b[5] = send_directory("abs/d", 0755);
	check(stop() != 0 && is_outcome(a[0], TAKEN) &&
	    is_outcome(a[1], TAKEN) && is_outcome(a[2], TAKEN) &&
	    is_outcome(a[3], TAKEN) && is_outcome(b[0], REFUSED) &&
	    is_outcome(b[1], REFUSED) && is_outcome(b[2], REFUSED) &&
	    is_outcome(b[3], REFUSED) && is_outcome(b[4], REFUSED) &&
	    is_outcome(b[5], REFUSED),
	    "links of the same transfer lead nowhere, force %d", force);
	check(files_has_text(files_path("in/d/x"), CONTENT) &&
	    strcmp(files_link(files_path("in/l")), "../out") == 0,
	    "what is harmless is there, force %d", force);
}

/* A file that is offered first, and a link in its place before its data. */
static void
test_overtaken(bool force)
{
	const struct wire_offer o = fake_file_offer("x", strlen(CONTENT));
	unsigned answer;
	enum outcome a;
	bool failed;

	lay_out();
	start(force);
	fake_offer(&fake, &o);
	answer = fake_next(&fake);
	fake_link(&fake, "x", "../out/secret");
	a = fake_next(&fake) == WIRE_TAKE ? TAKEN : REFUSED;
	fake_content(&fake, CONTENT, strlen(CONTENT));
	fake_end(&fake);
	failed = fake_next(&fake) == WIRE_FAILED;
	if (fake.type == WIRE_VERDICT || fake_await(&fake, WIRE_VERDICT))
		fake_empty(&fake, WIRE_BYE);
	fake_finish(&fake);
	fake_part(&fake, &side);
	place_close(side.place);
	check(answer == WIRE_TAKE && is_outcome(a, TAKEN) && (force ?
	    files_has_text(files_path("in/x"), CONTENT) : failed &&
	    strcmp(files_link(files_path("in/x")), "../out/secret") == 0),
	    "a link where a file is about to come, force %d", force);
	check(files_count(files_path("in")) == 1,
	    "nothing is left beside it, force %d", force);
}

static void
test_twice(bool force)
{
	enum outcome a, b;

	lay_out();
	start(force);
	a = send_text("x", CONTENT);
	(void)send_text("x", "something longer");
	b = send_text("x", CONTENT);
	(void)stop();
	check(is_outcome(a, TAKEN) && b != NOTHING &&
	    files_has_text(files_path("in/x"), CONTENT) &&
	    files_count(files_path("in")) == 1,
	    "the same name several times, force %d", force);
}

/* What exists. */

enum thing {
	NONE, SAME, SAME_SIZE, LONGER, EMPTY, LINK_OUT, LINK_IN, LINK_NEW,
	LINK_SAME, DIRECTORY, FIFO, SOCKET, THINGS,
};

static const char *const thing_names[] = { "nothing", "the same file",
    "a file of the same size", "a longer file", "an empty file",
    "a link to a file outside", "a link to a file inside",
    "a link to nothing outside", "the same link", "a directory", "a FIFO",
    "a socket" };

static void
make_thing(enum thing thing, const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd;

	switch (thing) {
	case NONE:
	case THINGS:
		break;
	case SAME:
		(void)files_put_text(path, CONTENT);
		break;
	case SAME_SIZE:
		(void)files_put_text(path, OTHER);
		break;
	case LONGER:
		(void)files_put_text(path, CONTENT OTHER);
		break;
	case EMPTY:
		(void)files_put(path, "", 0);
		break;
	case LINK_OUT:
		files_make_link("../out/secret", path);
		break;
	case LINK_IN:
		files_make_link("inside", path);
		break;
	case LINK_NEW:
		files_make_link("../out/new", path);
		break;
	case LINK_SAME:
		files_make_link("target", path);
		break;
	case DIRECTORY:
		(void)mkdir(path, 0755);
		break;
	case FIFO:
		(void)mkfifo(path, 0644);
		break;
	case SOCKET:
		(void)snprintf(un.sun_path, sizeof(un.sun_path), "%.100s",
		    path);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		(void)bind(fd, (struct sockaddr *)&un, sizeof(un));
		(void)close(fd);
		break;
	}
}

/* Whether it is still what it was. */
static bool
is_kept(enum thing thing, const char *path)
{
	const struct stat st = files_stat(path);

	switch (thing) {
	case NONE:
	case THINGS:
		return st.st_mode == 0;
	case SAME:
		return files_has_text(path, CONTENT);
	case SAME_SIZE:
		return files_has_text(path, OTHER);
	case LONGER:
		return files_has_text(path, CONTENT OTHER);
	case EMPTY:
		return files_has(path, "", 0);
	case LINK_OUT:
		return strcmp(files_link(path), "../out/secret") == 0;
	case LINK_IN:
		return strcmp(files_link(path), "inside") == 0;
	case LINK_NEW:
		return strcmp(files_link(path), "../out/new") == 0;
	case LINK_SAME:
		return strcmp(files_link(path), "target") == 0;
	case DIRECTORY:
		return S_ISDIR(st.st_mode);
	case FIFO:
		return S_ISFIFO(st.st_mode);
	case SOCKET:
		return S_ISSOCK(st.st_mode);
	}
	return false;
}

/* What shall become of a file, a directory and a link that is offered. */
static const struct {
	enum outcome file, forced_file, directory, link, forced_link;
} fates[THINGS] = {
	[NONE] = { TAKEN, TAKEN, TAKEN, TAKEN, TAKEN },
	[SAME] = { THERE, THERE, REFUSED, REFUSED, TAKEN },
	[SAME_SIZE] = { DROPPED, TAKEN, REFUSED, REFUSED, TAKEN },
	[LONGER] = { REFUSED, TAKEN, REFUSED, REFUSED, TAKEN },
	[EMPTY] = { REFUSED, TAKEN, REFUSED, REFUSED, TAKEN },
	[LINK_OUT] = { REFUSED, TAKEN, REFUSED, REFUSED, TAKEN },
	[LINK_IN] = { REFUSED, TAKEN, REFUSED, REFUSED, TAKEN },
	[LINK_NEW] = { REFUSED, TAKEN, REFUSED, REFUSED, TAKEN },
	[LINK_SAME] = { REFUSED, TAKEN, REFUSED, TAKEN, TAKEN },
	[DIRECTORY] = { REFUSED, REFUSED, TAKEN, REFUSED, REFUSED },
	[FIFO] = { REFUSED, REFUSED, REFUSED, REFUSED, REFUSED },
	[SOCKET] = { REFUSED, REFUSED, REFUSED, REFUSED, REFUSED },
};

static const char *
thing_path(enum thing thing, const char *kind)
{
	return files_path("in/%s-%d", kind, (int)thing);
}

/* A REFUSE and what it says: to use --force where that would help. */
static bool
is_advice_right(enum outcome is, enum outcome forced, bool force)
{
	bool advises = fake_says(&fake, "use --force");

	if (is != REFUSED)
		return true;
	if (!fake_says(&fake, "exists")) {
		tap_note("\"%.200s\" does not say that it exists",
		    fake.payload + 1);
		return false;
	}
	if (advises != (!force && forced != REFUSED)) {
		tap_note("\"%.200s\", force %d", fake.payload + 1, force);
		return false;
	}
	return true;
}

static void
test_file_onto(enum thing thing, bool force)
{
	enum outcome is, fate = force ? fates[thing].forced_file :
	    fates[thing].file;
	const char *path = thing_path(thing, "f");
	bool right;

	is = send_text(strrchr(path, '/') + 1, CONTENT);
	right = is_advice_right(is, fates[thing].forced_file, force);
	/* Once the next is answered, this one is done. */
	(void)send_directory("done", 0755);
	check(is_outcome(is, fate) && (fate == TAKEN || fate == THERE ?
	    files_has_text(thing_path(thing, "f"), CONTENT) :
	    is_kept(thing, thing_path(thing, "f"))),
	    "a file onto %s, force %d", thing_names[thing], force);
	check(right, "a file onto %s, force %d: the reason",
	    thing_names[thing], force);
}

static void
test_link_onto(enum thing thing, bool force)
{
	enum outcome is, fate = force ? fates[thing].forced_link :
	    fates[thing].link;
	const char *path = thing_path(thing, "l");
	bool right;

	is = send_link(strrchr(path, '/') + 1, "target");
	right = is_advice_right(is, fates[thing].forced_link, force);
	check(is_outcome(is, fate) && (fate == TAKEN ?
	    strcmp(files_link(thing_path(thing, "l")), "target") == 0 :
	    is_kept(thing, thing_path(thing, "l"))),
	    "a link onto %s, force %d", thing_names[thing], force);
	check(right, "a link onto %s, force %d: the reason",
	    thing_names[thing], force);
}

static void
test_directory_onto(enum thing thing, bool force)
{
	const char *path = thing_path(thing, "d");
	enum outcome is = send_directory(strrchr(path, '/') + 1, 0755);

	check(is_outcome(is, fates[thing].directory) && (is == TAKEN ?
	    S_ISDIR(files_stat(thing_path(thing, "d")).st_mode) :
	    is_kept(thing, thing_path(thing, "d"))),
	    "a directory onto %s, force %d", thing_names[thing], force);
}

static void
test_existing(bool force)
{
	enum thing thing;
	int partial = 0;

	lay_out();
	(void)files_put_text(files_path("in/inside"), "inside");
	for (thing = NONE; thing < THINGS; thing++) {
		make_thing(thing, thing_path(thing, "f"));
		make_thing(thing, thing_path(thing, "l"));
		make_thing(thing, thing_path(thing, "d"));
	}
	start(force);
	for (thing = NONE; thing < THINGS; thing++) {
		test_file_onto(thing, force);
		test_link_onto(thing, force);
		test_directory_onto(thing, force);
	}
	(void)stop();
	for (thing = NONE; thing < THINGS; thing++) {
		partial += files_is_there(files_path("in/.f-%d.haul-part",
		    thing));
		partial += files_is_there(files_path("in/.l-%d.haul-part",
		    thing));
	}
	check(partial == 0 && files_has_text(files_path("in/inside"),
	    "inside"), "nothing else has changed, force %d", force);
}

/* Partial files. */

static void
test_partial_thing(const char *what, bool force)
{
	enum outcome is;
	struct stat before = files_stat(files_path("in/.x.haul-part")), after;
	int status;

	start(force);
	is = send_text("x", CONTENT);
	status = stop();
	after = files_stat(files_path("in/.x.haul-part"));
	check(status != 0 && is_outcome(is, REFUSED) &&
	    !files_is_there(files_path("in/x")) &&
	    before.st_ino == after.st_ino && before.st_mode == after.st_mode &&
	    before.st_size == after.st_size,
	    "a partial file that is %s, force %d", what, force);
}

static void
test_partial_things(bool force)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd;

	lay_out();
	files_make_link("../out/secret", files_path("in/.x.haul-part"));
	test_partial_thing("a link to a file outside", force);
	lay_out();
	files_make_link("../out/new", files_path("in/.x.haul-part"));
	test_partial_thing("a link to nothing", force);
	lay_out();
	(void)mkfifo(files_path("in/.x.haul-part"), 0644);
	test_partial_thing("a FIFO", force);
	lay_out();
	(void)mkdir(files_path("in/.x.haul-part"), 0755);
	test_partial_thing("a directory", force);
	lay_out();
	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%.100s",
	    files_path("in/.x.haul-part"));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	(void)bind(fd, (struct sockaddr *)&un, sizeof(un));
	test_partial_thing("a socket", force);
	(void)close(fd);
	/* Another file by its second name. */
	lay_out();
	(void)files_put_text(files_path("in/y"), "cont");
	if (link(files_path("in/y"), files_path("in/.x.haul-part")) == 0)
		test_partial_thing("another file too", force);
	check(files_has_text(files_path("in/y"), "cont"),
	    "the other file is as it was, force %d", force);
	lay_out();
	(void)files_put_text(files_path("in/.x.haul-part"), "cont");
	fd = open(files_path("in/.x.haul-part"), O_RDWR);
	(void)flock(fd, LOCK_EX);
	test_partial_thing("being written by another", force);
	check(files_has_text(files_path("in/.x.haul-part"), "cont"),
	    "and stays so, force %d", force);
	(void)close(fd);
	if (geteuid() != 0)
		return;
	lay_out();
	(void)files_put_text(files_path("in/.x.haul-part"), "cont");
	(void)chmod(files_path("in/.x.haul-part"), 0666);
	if (chown(files_path("in/.x.haul-part"), NOBODY, NOBODY) == 0)
		test_partial_thing("somebody else's", force);
}

/* What a transfer that broke has left. */
static void
test_partial_left(const char *left, size_t len, enum outcome fate,
    const char *what)
{
	enum outcome is;
	int status;

	lay_out();
	(void)files_put(files_path("in/.x.haul-part"), left, len);
	start(false);
	is = send_file("x", big, BIG);
	status = stop();
	check(status == 0 && is_outcome(is, fate) &&
	    files_has(files_path("in/x"), big, BIG) &&
	    files_count(files_path("in")) == 1, "%s", what);
}

static void
test_partials_left(void)
{
	char *longer = malloc(2 * BIG);

	if (longer == NULL)
		return;
	memcpy(longer, big, BIG);
	memcpy(longer + BIG, big, BIG);
	test_partial_left(big, 1, RESUMED, "one byte of it is left");
	test_partial_left(big, BIG / 2, RESUMED, "half of it is left");
	test_partial_left(big, BIG - 1, RESUMED, "all but a byte is left");
	test_partial_left(big, BIG, THERE, "all of it is left");
	test_partial_left("", 0, TAKEN, "nothing of it is left");
	test_partial_left(longer, 2 * BIG, TAKEN, "more than that is left");
	test_partial_left(big + 1, BIG / 2, TAKEN, "something else is left");
	longer[BIG - 1] ^= 1;
	test_partial_left(longer, BIG, TAKEN,
	    "all of it but for the last bit is left");
	free(longer);
}

/* Both are there: what has the final name, and some of a partial file. */
static void
test_both(enum thing thing, bool force, bool longer, bool stream)
{
	enum outcome is, after, fate = force ? fates[thing].forced_file :
	    fates[thing].file;
	struct wire_offer o = fake_file_offer("x", strlen(CONTENT));
	bool taken;

	lay_out();
	make_thing(thing, files_path("in/x"));
	(void)files_put_text(files_path("in/.x.haul-part"), longer ?
	    CONTENT OTHER OTHER : "cont");
	start(force);
	if (stream) {
		o.kind = WIRE_KIND_STREAM;
		o.size = o.stored = WIRE_UNKNOWN;
		/* What there is of it cannot be compared. */
		if (fate == THERE || fate == DROPPED)
			fate = force ? TAKEN : REFUSED;
		if (thing == SAME && force)
			fate = TAKEN;
		fake_offer(&fake, &o);
		is = fake_next(&fake) == WIRE_TAKE &&
		    fake_number(&fake) == 0 ? TAKEN : REFUSED;
		if (fake.type != WIRE_TAKE && fake.type != WIRE_REFUSE)
			is = NOTHING;
		if (is == TAKEN)
			fake_content(&fake, CONTENT, strlen(CONTENT));
		else
			fake_pass(&fake, 0, NULL);
	} else {
		/* To replace it has begun already. */
		if (force && !longer && fate != REFUSED)
			fate = RESUMED;
		is = offer(&o, CONTENT);
	}
	after = send_text("after", CONTENT);
	(void)stop();
	taken = fate == TAKEN || fate == THERE || fate == RESUMED;
	check(is_outcome(is, fate) && is_outcome(after, TAKEN) && (taken ?
	    files_has_text(files_path("in/x"), CONTENT) :
	    is_kept(thing, files_path("in/x"))) &&
	    files_has_text(files_path("in/after"), CONTENT),
	    "%s onto %s, beside a %s partial file, force %d",
	    stream ? "a stream" : "a file", thing_names[thing],
	    longer ? "longer" : "shorter", force);
}

static void
test_boths(bool force)
{
	static const enum thing things[] = { SAME, SAME_SIZE, LONGER, EMPTY,
	    LINK_OUT, DIRECTORY, FIFO };
	size_t i;

	for (i = 0; i < COUNT(things); i++) {
		test_both(things[i], force, false, false);
		test_both(things[i], force, true, false);
		test_both(things[i], force, false, true);
		test_both(things[i], force, true, true);
	}
}

/* It breaks at some point: what has come is kept, under no final name. */
static void
test_break(size_t len)
{
	const struct wire_offer o = fake_file_offer("x", BIG);

	lay_out();
	start(false);
	fake_offer(&fake, &o);
	(void)fake_next(&fake);
	if (len > 0)
		fake_data(&fake, big, len);
	break_off();
	check(side.code == 7 && side.result.resumable &&
	    !files_is_there(files_path("in/x")),
	    "a break after %zu bytes leaves no file", len);
	check(len == 0 ? files_count(files_path("in")) == 0 :
	    files_has(files_path("in/.x.haul-part"), big, len),
	    "%zu bytes are kept", len);
}

/* The content is not what was announced: nothing of it is kept. */
static void
test_wrong_content(void)
{
	const struct wire_offer o = fake_file_offer("x", strlen(CONTENT));
	const struct wire_offer s = { .kind = WIRE_KIND_STREAM, .mode = 0644,
	    .size = WIRE_UNKNOWN, .stored = WIRE_UNKNOWN, .name = "s",
	    .name_len = 1 };
	unsigned char digest[DIGEST_SIZE];
	unsigned a, b;

	digest_of(OTHER, strlen(OTHER), digest);
	lay_out();
	start(false);
	fake_offer(&fake, &o);
	(void)fake_next(&fake);
	fake_data(&fake, CONTENT, strlen(CONTENT));
	fake_close(&fake, strlen(CONTENT), digest);
	a = fake_next(&fake);
	a = a == WIRE_FAILED ? fake_code(&fake) : 0;
	fake_offer(&fake, &s);
	(void)fake_next(&fake);
	fake_data(&fake, CONTENT, strlen(CONTENT));
	fake_close(&fake, strlen(CONTENT), digest);
	b = fake_next(&fake);
	b = b == WIRE_FAILED ? fake_code(&fake) : 0;
	check(stop() == 9 && a == 9 && b == 9 &&
	    files_count(files_path("in")) == 0,
	    "content with another digest is told and removed");
}

/* The sender gives a file up: it is forgotten. */
static void
test_dropped(void)
{
	const struct wire_offer o = fake_file_offer("x", BIG);

	lay_out();
	start(false);
	fake_offer(&fake, &o);
	(void)fake_next(&fake);
	fake_data(&fake, big, BIG / 2);
	drop();
	check(stop() == 9 && files_count(files_path("in")) == 0,
	    "a file that is given up leaves nothing");
}

/* Properties. */

static void
test_modes(void)
{
	static const unsigned modes[] = { 0, 0400, 0600, 0644, 0666, 0755,
	    0777, 04755, 02755, 01777, 06777, 07777, 04000 };
	char name[16];
	size_t i, wrong = 0;
	struct stat st;

	lay_out();
	start(false);
	for (i = 0; i < COUNT(modes); i++) {
		(void)snprintf(name, sizeof(name), "f%zu", i);
		wrong += send_mode(name, modes[i]) != TAKEN;
		(void)snprintf(name, sizeof(name), "d%zu", i);
		wrong += send_directory(name, modes[i]) != TAKEN;
	}
	check(stop() == 0 && wrong == 0, "all modes are taken");
	for (i = 0; i < COUNT(modes); i++) {
		st = files_stat(files_path("in/f%zu", i));
		wrong += (st.st_mode & 07777) != (modes[i] & 0777);
		wrong += st.st_mtim.tv_sec != 1234567890 ||
		    st.st_mtim.tv_nsec != 123456789;
		st = files_stat(files_path("in/d%zu", i));
		wrong += (st.st_mode & 07777) != (modes[i] & 0777);
		wrong += st.st_mtim.tv_sec != 1234567890 ||
		    st.st_mtim.tv_nsec != 123456789;
	}
	check(wrong == 0, "no setuid, setgid and sticky bits; times are set");
}

static void
test_directories(void)
{
	enum outcome a[5];
	struct stat st;

	lay_out();
	(void)mkdir(files_path("in/there"), 0711);
	start(false);
	a[0] = send_directory("closed", 0);
	a[1] = send_text("closed/x", CONTENT);
	a[2] = send_directory("closed/in", 0111);
	a[3] = send_directory("there", 0700);
	a[4] = send_text("there/x", CONTENT);
	check(stop() == 0 && is_outcome(a[0], TAKEN) &&
	    is_outcome(a[1], TAKEN) && is_outcome(a[2], TAKEN) &&
	    is_outcome(a[3], TAKEN) && is_outcome(a[4], TAKEN),
	    "what is in a directory without permissions is taken");
	st = files_stat(files_path("in/closed"));
	check((st.st_mode & 07777) == 0 && st.st_mtim.tv_sec == 1234567890,
	    "it has its mode and time afterwards");
	st = files_stat(files_path("in/there"));
	check((st.st_mode & 07777) == 0711,
	    "one that was there keeps its mode");
	(void)chmod(files_path("in/closed"), 0700);
	check(files_has_text(files_path("in/closed/x"), CONTENT),
	    "and its contents are there");
}

/* Where nothing may be written. */
static void
test_read_only(void)
{
	bool root = geteuid() == 0;
	enum outcome a, b, c;
	unsigned failed;

	lay_out();
	(void)mkdir(files_path("in/d"), 0755);
	(void)chmod(files_path("in"), 0555);
	(void)chmod(files_path("in/d"), 0555);
	if (root && (chmod(files_root, 0755) != 0 || seteuid(NOBODY) != 0))
		tap_note("cannot be somebody else: %s", strerror(errno));
	start(false);
	a = send_text("x", CONTENT);
	failed = a == TAKEN && fake_next(&fake) == WIRE_FAILED ?
	    fake_code(&fake) : 0;
	b = send_directory("e", 0755);
	c = send_link("l", "target");
	if (a == REFUSED)
		failed = 1;
	check(stop() == 1 && failed == 1 && is_outcome(b, REFUSED) &&
	    is_outcome(c, REFUSED), "a directory that cannot be written");
	if (root && seteuid(0) != 0)
		tap_note("cannot be root again: %s", strerror(errno));
	(void)chmod(files_path("in"), 0755);
	check(files_count(files_path("in")) == 1, "nothing is in it");
}

/* The place. */

static bool
is_open(enum place_kind kind, const char *path, int sys)
{
	struct err e = { 0 };
	struct place *p = open_place(kind, path, false, &e);
	bool ok = sys == 0 ? p != NULL : p == NULL && e.sys == sys &&
	    e.code == ERR_LOCAL;

	if (!ok)
		tap_note("%s: %s", path, p != NULL ? "opened" :
		    strerror(e.sys));
	place_close(p);
	err_clear(&e);
	return ok;
}

static void
test_open(void)
{
	char name[NAME_BUFFER];

	lay_out();
	(void)files_put_text(files_path("in/f"), CONTENT);
	files_make_link("in", files_path("link"));
	check(is_open(PLACE_DIRECTORY, files_path("gone"), ENOENT) &&
	    is_open(PLACE_DIRECTORY, files_path("in/f"), ENOTDIR) &&
	    is_open(PLACE_DIRECTORY, files_path("link"), 0) &&
	    is_open(PLACE_DIRECTORY, "", ENOENT),
	    "a directory has to be one");
	(void)unlink(files_path("link"));
	memset(name, 'x', sizeof(name));
	name[256] = '\0';
	check(is_open(PLACE_FILE, files_path("gone/x"), ENOENT) &&
	    is_open(PLACE_FILE, files_path("in/f/x"), ENOTDIR) &&
	    is_open(PLACE_FILE, files_path("in/"), EISDIR) &&
	    is_open(PLACE_FILE, files_path("in/."), EISDIR) &&
	    is_open(PLACE_FILE, files_path("in/.."), EISDIR) &&
	    is_open(PLACE_FILE, "/", EISDIR) &&
	    is_open(PLACE_FILE, "", EISDIR) &&
	    is_open(PLACE_FILE, files_path("in/%s", name), ENAMETOOLONG),
	    "a file has to be one that can be made");
	place_close(NULL);
}

static void
test_admits(void)
{
	static const struct {
		enum place_kind kind;
		bool stream, file, tree;
	} cases[] = {
		{ PLACE_STDOUT, true, true, false },
		{ PLACE_FILE, true, true, false },
		{ PLACE_DIRECTORY, false, true, true },
	};
	struct err e = { 0 };
	struct place *p;
	size_t i;
	bool ok;

	lay_out();
	for (i = 0; i < COUNT(cases); i++) {
		p = open_place(cases[i].kind, cases[i].kind == PLACE_FILE ?
		    files_path("in/x") : files_path("in"), false, &e);
		ok = p != NULL &&
		    place_admits(p, WIRE_STREAM, &e) == cases[i].stream &&
		    place_admits(p, WIRE_FILE, &e) == cases[i].file &&
		    place_admits(p, WIRE_TREE, &e) == cases[i].tree;
		check(ok && e.code == ERR_PEER, "what place %zu admits", i);
		place_close(p);
		err_clear(&e);
	}
}

/* One file: whatever the sender calls it, it goes where it was said. */
static void
test_file_place(enum thing thing, bool force)
{
	enum outcome is, fate = force ? fates[thing].forced_file :
	    fates[thing].file;

	lay_out();
	make_thing(thing, files_path("in/x"));
	start_at(PLACE_FILE, files_path("in/x"), force);
	is = send_text("other", CONTENT);
	(void)stop();
	check(is_outcome(is, fate) && (fate == TAKEN || fate == THERE ?
	    files_has_text(files_path("in/x"), CONTENT) :
	    is_kept(thing, files_path("in/x"))) &&
	    files_count(files_path("in")) == (fate == TAKEN ||
	    thing != NONE), "--output onto %s, force %d", thing_names[thing],
	    force);
}

static void
test_file_places(bool force)
{
	static const char *const hostile[] = { "../x", "/x", "..", "d/.." };
	enum outcome is;
	enum thing thing;
	size_t i;

	for (thing = NONE; thing < THINGS; thing++)
		if (thing != LINK_IN)
			test_file_place(thing, force);
	for (i = 0; i < COUNT(hostile); i++) {
		lay_out();
		start_at(PLACE_FILE, files_path("in/x"), force);
		is = send_text(hostile[i], CONTENT);
		check(stop() == 9 && is_outcome(is, REFUSED) &&
		    files_count(files_path("in")) == 0,
		    "--output of a file called %s, force %d", hostile[i],
		    force);
	}
}

/* Nobody replaces a device, root included. */
static void
test_device(bool force)
{
	const char *path = files_path("in/null");
	enum outcome is;
	struct stat st;

	lay_out();
	if (mknod(path, S_IFCHR | 0666, 1 << 8 | 3) != 0)
		path = "/dev/null";
	start_at(PLACE_FILE, path, force);
	is = send_text("x", CONTENT);
	(void)stop();
	st = files_stat(path);
	check(is_outcome(is, REFUSED) && S_ISCHR(st.st_mode),
	    "--output onto a device, force %d", force);
}

/* Only one entry of the announced kind comes for one file. */
static void
test_file_kinds(enum wire_kind kind)
{
	struct wire_offer o = fake_file_offer("x", 0);
	bool told;

	lay_out();
	start_at(PLACE_FILE, files_path("in/x"), true);
	o.kind = kind;
	if (kind == WIRE_KIND_LINK) {
		o.target = "../out/secret";
		o.target_len = strlen(o.target);
	}
	fake_offer(&fake, &o);
	told = fake_await(&fake, WIRE_ABORT) && fake_code(&fake) == 9;
	break_off();
	check(told && side.code == 9 &&
	    files_count(files_path("in")) == 0,
	    "--output of a %s", kind == WIRE_KIND_LINK ? "link" :
	    "directory");
}

/* One place, several transfers. */
static void
meet_again(struct place *place)
{
	side_end(&side);
	side = (struct side){ .mode = mode, .place = place };
	if (!fake_meet(&fake, &side, false) || !fake_hear(&fake))
		tap_note("cannot start");
	fake_begin(&fake, WIRE_TREE);
	(void)fake_next(&fake);
}

static int
part_again(void)
{
	fake_end(&fake);
	if (fake_await(&fake, WIRE_VERDICT))
		fake_empty(&fake, WIRE_BYE);
	fake_finish(&fake);
	fake_part(&fake, &side);
	return side.code;
}

static void
test_again(void)
{
	struct place *place;
	struct err e = { 0 };
	enum outcome a, b;
	int first;

	lay_out();
	place = open_place(PLACE_DIRECTORY, files_path("in"), false, &e);
	meet_again(place);
	a = send_directory("d", 0755);
	b = send_text("d/x", CONTENT);
	first = part_again();
	check(first == 0 && is_outcome(a, TAKEN) && is_outcome(b, TAKEN) &&
	    files_has_text(files_path("in/d/x"), CONTENT),
	    "the first of several transfers");
	/* Whoever works on what arrives moves it away. */
	(void)rename(files_path("in/d"), files_path("in/e"));
	meet_again(place);
	a = send_directory("d", 0755);
	b = send_text("d/x", CONTENT);
	first = part_again();
	check(first == 0 && is_outcome(a, TAKEN) && is_outcome(b, TAKEN) &&
	    files_has_text(files_path("in/d/x"), CONTENT),
	    "what was moved away is made again");
	(void)rename(files_path("in/d"), files_path("in/f"));
	files_make_link("../out", files_path("in/d"));
	meet_again(place);
	a = send_directory("d", 0755);
	b = send_text("d/y", CONTENT);
	first = part_again();
	check(first == 1 && is_outcome(a, REFUSED) && is_outcome(b, REFUSED) &&
	    files_count(files_path("in/f")) == 1,
	    "a link in its place leads nowhere");
	place_close(place);
	/* Nothing is looked for in what was empty, in this transfer. */
	lay_out();
	place = open_place(PLACE_DIRECTORY, files_path("in"), false, &e);
	meet_again(place);
	a = send_text("x", CONTENT);
	first = part_again();
	(void)files_put_text(files_path("in/y"), CONTENT);
	meet_again(place);
	b = send_text("y", CONTENT);
	check(first == 0 && part_again() == 0 && is_outcome(a, TAKEN) &&
	    is_outcome(b, THERE), "what was empty once is looked at again");
	place_close(place);
}

static void
test_all(void)
{
	int force;
	static const size_t breaks[] = { 0, 1, 4095, 4096, 4097, 262144,
	    BIG - 1, BIG };
	size_t i;

	test_hostile_names();
	test_odd_names();
	test_long_names();
	test_deep();
	test_no_parent();
	test_links_before();
	for (force = 0; force < 2; force++) {
		test_links_sent(force);
		test_overtaken(force);
		test_twice(force);
		test_existing(force);
		test_partial_things(force);
		test_boths(force);
		test_file_places(force);
		test_device(force);
	}
	test_partials_left();
	for (i = 0; i < COUNT(breaks); i++)
		test_break(breaks[i]);
	test_wrong_content();
	test_dropped();
	test_modes();
	test_directories();
	test_read_only();
	test_open();
	test_admits();
	test_file_kinds(WIRE_KIND_LINK);
	test_file_kinds(WIRE_KIND_DIRECTORY);
	test_again();
}

int
main(void)
{
	tap_start();
	files_start();
	files_fill(big, sizeof(big), 1);
	mode = SK_NONBLOCKING;
	test_all();
	mode = SK_BLOCKING;
	test_all();
	side_end(&side);
	files_end();
	return tap_done();
}
