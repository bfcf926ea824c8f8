/*
 * A sender against a receiver, one in a thread, in all pairs of modes: over
 * whole connections, over faulty ones, and over some that break.
 */
#include "transfer/transfer.h"

#include <linux/sockios.h>
#include <poll.h>
#include <time.h>

#include "fault.h"
#include "files.h"
#include "peer.h"
#include "transfer/fsys.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum {
	SIZE_MAX_SENT = 1024 * 1024 + 1,
	OPERANDS_MAX = 4,
	PAIRS = 4,			/* of modes */
	CUT_BUFFER = 64 * 1024,
	/* A small file, offers and headers, once more. */
	SENT_AGAIN = 72 * 1024,
	ATTEMPTS_MAX = 400,
	CUTS = 120,
	FAULT_BREAKS = 12,
	TWICE = 8,
};

static const size_t sizes[] = { 0, 1, 2, 4095, 4096, 4097, 65535, 65536,
    65537, 262127, 262128, 262143, 262144, 262145, 524271, 524272, 524287,
    524288, 524289, SIZE_MAX_SENT };

/* A connection through a hand that may cut it. */
enum way { FROM_SENDER, FROM_RECEIVER, WAYS };

struct cut {
	int fds[WAYS];			/* towards each side */
	uint64_t limits[WAYS];		/* cut when so many bytes have passed */
	uint64_t passed[WAYS];
	bool tcp, done;
	pthread_t thread;
};

#define NO_LIMIT	UINT64_MAX

/*
 * What was passed on shall arrive, so that nothing is left to chance: all is
 * sent (TCP), or read (UNIX).
 */
static void
settle(const struct cut *c, int fd)
{
	struct pollfd p = { .fd = fd };
	int left = 1, i;

	for (i = 0; i < 1000 && p.revents == 0 && ioctl(fd, c->tcp ?
	    SIOCOUTQNSD : SIOCOUTQ, &left) == 0 && left > 0; i++)
		(void)poll(&p, 1, 1);
}

static void
cut_now(struct cut *c)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };
	int i;

	for (i = 0; i < WAYS; i++) {
		settle(c, c->fds[i]);
		if (c->tcp)
			(void)setsockopt(c->fds[i], SOL_SOCKET, SO_LINGER,
			    &now, sizeof(now));
		(void)close(c->fds[i]);
	}
	c->done = true;
}

static bool
put_all(int fd, const char *buf, size_t len)
{
	ssize_t n;

	for (; len > 0; buf += n, len -= (size_t)n)
		if ((n = send(fd, buf, len, MSG_NOSIGNAL)) <= 0)
			return false;
	return true;
}

/* False: cut, or this way has ended. */
static bool
pass_on(struct cut *c, enum way way)
{
	char buf[CUT_BUFFER];
	uint64_t left = c->limits[way] - c->passed[way];
	ssize_t n;

	n = recv(c->fds[way], buf, left < sizeof(buf) ? (size_t)left :
	    sizeof(buf), 0);
	if (n == 0)
		(void)shutdown(c->fds[!way], SHUT_WR);
	if (n < 0 || (n > 0 && !put_all(c->fds[!way], buf, (size_t)n)))
		cut_now(c);
	if (n <= 0 || c->done)
		return false;
	c->passed[way] += (uint64_t)n;
	if (c->passed[way] == c->limits[way])
		cut_now(c);
	return !c->done;
}

static void *
cut_thread(void *arg)
{
	struct cut *c = arg;
	bool open[WAYS] = { true, true };
	struct pollfd p[WAYS];
	int i;

	if (c->limits[0] == 0 || c->limits[1] == 0)
		cut_now(c);
	while (!c->done && (open[0] || open[1])) {
		for (i = 0; i < WAYS; i++)
			p[i] = (struct pollfd){ .events = POLLIN,
			    .fd = open[i] ? c->fds[i] : -1 };
		(void)poll(p, WAYS, PEER_LIMIT_MS);
		for (i = 0; i < WAYS && !c->done; i++)
			if (p[i].revents != 0)
				open[i] = pass_on(c, (enum way)i);
	}
	if (!c->done) {
		(void)close(c->fds[0]);
		(void)close(c->fds[1]);
	}
	return NULL;
}

/* A transfer and what it goes through. */
struct deal {
	struct side from, to;
	bool tcp;
	const struct fault_config *faults;	/* at both ends */
	bool through;			/* ...a hand */
	struct cut cut;
	const char *what;		/* for the names of tests */
	char *operands[OPERANDS_MAX];
};

static struct sock *
adopt(const struct deal *d, int fd, enum sk_mode mode, uint64_t seed)
{
	struct fault_config faults;
	struct err e = { 0 };
	struct sock *s = net_adopt(fd, mode, &e);

	if (s != NULL && d->faults != NULL) {
		faults = *d->faults;
		faults.seed += seed;
		s = fault_wrap(s, mode, &faults, &e);
	}
	err_clear(&e);
	return s;
}

static bool
connect_sides(struct deal *d)
{
	int a[2], b[2];

	if (!peer_pair(a, d->tcp))
		return false;
	if (d->through) {
		if (!peer_pair(b, d->tcp))
			return false;
		d->cut.fds[FROM_SENDER] = a[1];
		d->cut.fds[FROM_RECEIVER] = b[1];
		d->cut.tcp = d->tcp;
		d->cut.done = false;
		d->cut.passed[0] = d->cut.passed[1] = 0;
		a[1] = b[0];
		if (pthread_create(&d->cut.thread, NULL, cut_thread,
		    &d->cut) != 0)
			return false;
	}
	d->from.peer = adopt(d, a[0], d->from.mode, 1);
	d->to.peer = adopt(d, a[1], d->to.mode, 2);
	return true;
}

/* One connection, to its end. */
static void
run(struct deal *d)
{
	d->from.operands = d->operands;
	d->to.operands = NULL;
	if (!connect_sides(d)) {
		tap_note("cannot connect: %s", strerror(errno));
		return;
	}
	side_start(&d->from);
	side_start(&d->to);
	side_join(&d->from);
	side_join(&d->to);
	if (d->through)
		(void)pthread_join(d->cut.thread, NULL);
}

static void
set_operands(struct deal *d, const char *a, const char *b)
{
	static char paths[2][FILES_PATH_MAX];

	(void)snprintf(paths[0], sizeof(paths[0]), "%s", a);
	d->operands[0] = paths[0];
	d->operands[1] = NULL;
	if (b != NULL) {
		(void)snprintf(paths[1], sizeof(paths[1]), "%s", b);
		d->operands[1] = paths[1];
		d->operands[2] = NULL;
	}
}

static void
set_pair(struct deal *d, int pair)
{
	d->from.mode = pair & 1 ? SK_BLOCKING : SK_NONBLOCKING;
	d->to.mode = pair & 2 ? SK_BLOCKING : SK_NONBLOCKING;
}

static struct place *
open_place(enum place_kind kind, const char *path, enum sk_mode mode)
{
	static char kept[FILES_PATH_MAX];
	struct place_config config = { .kind = kind, .path = kept };
	struct err e = { 0 };
	struct place *p;

	(void)snprintf(kept, sizeof(kept), "%s", path);
	p = place_open(&config, mode, &e);
	if (p == NULL)
		tap_note("%s: %s", path, strerror(e.sys));
	err_clear(&e);
	return p;
}

static void
note(const struct deal *d)
{
	side_note(&d->from, "sender");
	side_note(&d->to, "receiver");
	if (d->through)
		tap_note("passed %llu and %llu, limits %llu and %llu",
		    (unsigned long long)d->cut.passed[0],
		    (unsigned long long)d->cut.passed[1],
		    (unsigned long long)d->cut.limits[0],
		    (unsigned long long)d->cut.limits[1]);
}

static void
end(struct deal *d)
{
	side_end(&d->from);
	side_end(&d->to);
}

static bool
check(const struct deal *d, bool passed, const char *what)
{
	if (tap_ok(passed, "%s to %s, %s: %s",
	    net_mode_names[d->from.mode], net_mode_names[d->to.mode],
	    d->what, what))
		return true;
	note(d);
	return false;
}

static bool
is_done(const struct deal *d)
{
	return d->from.code == 0 && d->to.code == 0;
}

/* Both sides tell the same. */
static bool
agrees(const struct deal *d)
{
	const struct transfer_result *a = &d->from.result, *b = &d->to.result;

	return is_done(d) && a->files == b->files && a->bytes == b->bytes &&
	    a->there == b->there &&
	    memcmp(a->digest, b->digest, DIGEST_SIZE) == 0;
}

/* Trees. */

static char content[SIZE_MAX_SENT + 256];

/* Different bytes for each size. */
static const char *
content_of(size_t size)
{
	return content + size % 251;
}

static void
put_file(const char *path, size_t size, unsigned mode, long nsec)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
	    { .tv_sec = 1000000000 + (time_t)size, .tv_nsec = nsec } };

	(void)files_put(path, content_of(size), size);
	(void)chmod(path, mode);
	(void)utimensat(AT_FDCWD, path, times, 0);
}

/* Data, a hole, data, and a hole at the end. */
static void
put_sparse(const char *path, off_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (pwrite(fd, content, 5000, 0) != 5000 ||
	    pwrite(fd, content, 5000, size / 2) != 5000 ||
	    ftruncate(fd, size) != 0)
		tap_note("%s: %s", path, strerror(errno));
	(void)close(fd);
}

/* A directory of everything, with files of these sizes. */
static void
make_tree(const char *path, const size_t *some, size_t count)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
	    { .tv_sec = 1234567890, .tv_nsec = 1 } };
	char name[FILES_PATH_MAX];
	size_t i;

	files_empty(path);
#define IN(...)	(snprintf(name, sizeof(name), "%s/", path), \
	snprintf(name + strlen(path) + 1, sizeof(name) - strlen(path) - 1, \
	__VA_ARGS__), name)
	for (i = 0; i < count; i++)
		put_file(IN("file-%07zu", some[i]), some[i],
		    i % 2 != 0 ? 0755 : 0640, (long)i * 111111111);
	put_sparse(IN("sparse"), 1024 * 1024);
	files_make_link("file-0000000", IN("link"));
	files_make_link("../nowhere", IN("dangling"));
	(void)mkdir(IN("empty"), 0700);
	(void)utimensat(AT_FDCWD, IN("empty"), times, 0);
	(void)mkdir(IN("sub"), 0755);
	(void)mkdir(IN("sub/sub"), 0755);
	put_file(IN("sub/sub/a\nb"), 10, 0600, 5);
	put_file(IN("sub/\xff\xfe"), 11, 0444, 6);
	(void)chmod(IN("sub/sub"), 0555);
	(void)utimensat(AT_FDCWD, IN("sub"), times, 0);
	(void)utimensat(AT_FDCWD, path, times, 0);
#undef IN
}

static bool
has_same_content(const char *a, const char *b, off_t size)
{
	static char data[1024 * 1024 + 1];
	int fd = open(a, O_RDONLY | O_NOFOLLOW);
	bool same = size <= (off_t)sizeof(data) &&
	    pread(fd, data, sizeof(data), 0) == size &&
	    files_has(b, data, (size_t)size);

	(void)close(fd);
	return same;
}

/* Whether b is what a is; if partly, what is missing is no difference. */
static bool is_same(const char *a, const char *b, bool partly);

static bool
has_same_names(const char *a, const char *b, bool partly)
{
	char below_a[FILES_PATH_MAX], below_b[FILES_PATH_MAX];
	const struct dirent *d;
	DIR *list = opendir(a);
	bool same = list != NULL;

	while (same && (d = readdir(list)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 ||
		    strcmp(d->d_name, "..") == 0)
			continue;
		(void)snprintf(below_a, sizeof(below_a), "%s/%s", a,
		    d->d_name);
		(void)snprintf(below_b, sizeof(below_b), "%s/%s", b,
		    d->d_name);
		same = is_same(below_a, below_b, partly);
	}
	if (list != NULL)
		(void)closedir(list);
	return same && (partly || files_count(a) == files_count(b));
}

static bool
is_same(const char *a, const char *b, bool partly)
{
	const struct stat x = files_stat(a), y = files_stat(b);
	char target[FILES_PATH_MAX];
	bool same;

	if (y.st_mode == 0)
		return partly;
	same = (x.st_mode & S_IFMT) == (y.st_mode & S_IFMT);
	if (S_ISLNK(x.st_mode)) {
		(void)snprintf(target, sizeof(target), "%s", files_link(a));
		same = same && strcmp(target, files_link(b)) == 0;
	} else if (S_ISDIR(x.st_mode))
		same = same && has_same_names(a, b, partly);
	else
		same = same && has_same_content(a, b, x.st_size);
	/* A directory has its own mode and time when all is in it. */
	if (same && !S_ISLNK(x.st_mode) && !(partly && S_ISDIR(x.st_mode)))
		same = x.st_mode == y.st_mode &&
		    x.st_mtim.tv_sec == y.st_mtim.tv_sec &&
		    x.st_mtim.tv_nsec == y.st_mtim.tv_nsec;
	if (!same)
		tap_note("%s differs", b);
	return same;
}

/* Whether the system can tell where there is a hole. */
static bool
has_hole(const char *path)
{
	int fd = open(path, O_RDONLY);
	uint64_t start, end, size;

	size = (uint64_t)files_stat(path).st_size;
	fsys_next_data(fd, 0, size, &start, &end);
	(void)close(fd);
	return start > 0 || end < size;
}

/* Whole connections. */

static void
test_tree(struct deal *d)
{
	files_empty(files_path("to"));
	set_operands(d, files_path("all"), NULL);
	d->to.place = open_place(PLACE_DIRECTORY, files_path("to"),
	    d->to.mode);
	run(d);
	check(d, agrees(d) && d->to.result.files == COUNT(sizes) + 3 &&
	    d->to.arrived == (int)COUNT(sizes) + 3 &&
	    d->from.result.there == 0, "a tree arrives");
	check(d, is_same(files_path("all"), files_path("to/all"), false),
	    "all of it is as it was");
	check(d, !has_hole(files_path("all/sparse")) ||
	    has_hole(files_path("to/all/sparse")), "holes stay holes");
	/* Again: everything is there, nothing is replaced. */
	run(d);
	check(d, agrees(d) && is_same(files_path("all"),
	    files_path("to/all"), false), "once more, and it is there");
	place_close(d->to.place);
	end(d);
}

/* Each size alone, to a directory and to a file; the digest is its own. */
static void
test_files(struct deal *d)
{
	unsigned char digest[DIGEST_SIZE];
	size_t i, right = 0;
	char path[FILES_PATH_MAX];

	files_empty(files_path("to"));
	for (i = 0; i < COUNT(sizes); i++) {
		(void)snprintf(path, sizeof(path), "%s",
		    files_path("all/file-%07zu", sizes[i]));
		set_operands(d, path, NULL);
		d->to.place = open_place(i % 2 == 0 ? PLACE_DIRECTORY :
		    PLACE_FILE, i % 2 == 0 ? files_path("to") :
		    files_path("to/file-%07zu", sizes[i]), d->to.mode);
		run(d);
		digest_of(content_of(sizes[i]), sizes[i], digest);
		if (agrees(d) && d->to.result.bytes == sizes[i] &&
		    memcmp(d->to.result.digest, digest, DIGEST_SIZE) == 0 &&
		    is_same(path, files_path("to/file-%07zu", sizes[i]),
		    false))
			right++;
		else {
			tap_note("%zu bytes", sizes[i]);
			note(d);
		}
		place_close(d->to.place);
	}
	check(d, right == COUNT(sizes), "files of all sizes, one by one");
	end(d);
}

/* Put a file on a standard descriptor. */
static void
put_on(int number, const char *path, int flags)
{
	int fd = open(path, flags, 0644);

	if (fd == -1 || dup2(fd, number) == -1)
		tap_note("%s: %s", path, strerror(errno));
	(void)close(fd);
}

static void
put_back(void)
{
	put_on(STDIN_FILENO, "/dev/null", O_RDONLY);
	put_on(STDOUT_FILENO, "/dev/null", O_WRONLY);
}

/* A pipe that is filled by a thread. */
struct spring {
	int fd;
	size_t size;
};

static void *
pour(void *arg)
{
	struct spring *s = arg;
	const char *p = content_of(s->size);
	size_t left = s->size, some;
	ssize_t n;

	for (; left > 0; p += n, left -= (size_t)n) {
		some = left < 5000 ? left : 5000;
		if ((n = write(s->fd, p, some)) <= 0)
			break;
	}
	(void)close(s->fd);
	return NULL;
}

/* Standard input to standard output; from a pipe, or from a file. */
static bool
stream(struct deal *d, size_t size, bool pipes)
{
	struct spring spring = { .size = size };
	unsigned char digest[DIGEST_SIZE];
	pthread_t thread;
	int fds[2];

	set_operands(d, "-", NULL);
	(void)unlink(files_path("out"));
	put_on(STDOUT_FILENO, files_path("out"), O_WRONLY | O_CREAT);
	if (pipes) {
		if (pipe(fds) != 0)
			return false;
		(void)dup2(fds[0], STDIN_FILENO);
		(void)close(fds[0]);
		spring.fd = fds[1];
		if (pthread_create(&thread, NULL, pour, &spring) != 0)
			return false;
	} else
		put_on(STDIN_FILENO, files_path("all/file-%07zu", size),
		    O_RDONLY);
	d->to.place = open_place(PLACE_STDOUT, "", d->to.mode);
	run(d);
	place_close(d->to.place);
	if (pipes)
		(void)pthread_join(thread, NULL);
	put_back();
	digest_of(content_of(size), size, digest);
	return agrees(d) && d->from.result.bytes == size &&
	    memcmp(d->from.result.digest, digest, DIGEST_SIZE) == 0 &&
	    files_has(files_path("out"), content_of(size), size);
}

static void
test_streams(struct deal *d)
{
	size_t i, right = 0;

	for (i = 0; i < COUNT(sizes); i++)
		if (stream(d, sizes[i], i % 2 == 0))
			right++;
		else {
			tap_note("%zu bytes", sizes[i]);
			note(d);
		}
	check(d, right == COUNT(sizes), "streams of all sizes");
	end(d);
}

static void
test_several(struct deal *d)
{
	files_empty(files_path("to"));
	set_operands(d, files_path("all/file-0004097"),
	    files_path("all/sub"));
	d->to.place = open_place(PLACE_DIRECTORY, files_path("to"),
	    d->to.mode);
	run(d);
	place_close(d->to.place);
	check(d, agrees(d) && is_same(files_path("all/file-0004097"),
	    files_path("to/file-0004097"), false) &&
	    is_same(files_path("all/sub"), files_path("to/sub"), false) &&
	    files_count(files_path("to")) == 2, "several operands");
	end(d);
}

/* What stands in the way is told to both; the rest arrives. */
static void
test_refused(struct deal *d)
{
	files_empty(files_path("to"));
	(void)mkdir(files_path("to/few"), 0755);
	(void)files_put_text(files_path("to/few/file-0000001"), "x");
	(void)files_put_text(files_path("to/few/file-0004097"), "other");
	set_operands(d, files_path("few"), NULL);
	d->to.place = open_place(PLACE_DIRECTORY, files_path("to"),
	    d->to.mode);
	run(d);
	place_close(d->to.place);
	check(d, d->from.code == 9 && d->to.code == 1 &&
	    d->from.failed == 2 && d->to.failed == 2 &&
	    strstr(d->to.failure, "exists; use --force to replace it") !=
	    NULL && strstr(d->from.failure, "use --force") != NULL,
	    "what exists is refused, and both say why");
	check(d, files_has_text(files_path("to/few/file-0000001"), "x") &&
	    files_has_text(files_path("to/few/file-0004097"), "other") &&
	    is_same(files_path("few/sub"), files_path("to/few/sub"),
	    false) && is_same(files_path("few/sparse"),
	    files_path("to/few/sparse"), false), "the rest has arrived");
	end(d);
	d->to.place = open_place(PLACE_FILE, files_path("to/x"), d->to.mode);
	run(d);
	place_close(d->to.place);
	check(d, d->from.code == 9 && d->to.code == 9 &&
	    !files_is_there(files_path("to/x")) &&
	    strstr(d->from.err.text, "--directory") != NULL,
	    "a tree does not go into a file");
	end(d);
}

static void
test_whole(int pair, bool tcp)
{
	struct deal d = { .tcp = tcp, .what = tcp ? "TCP" : "UNIX" };

	set_pair(&d, pair);
	test_tree(&d);
	test_files(&d);
	test_streams(&d);
	test_several(&d);
	test_refused(&d);
}

/* Faulty connections. */

static void
test_faults(int pair, bool tcp, int percent)
{
	const struct fault_config faults = { .seed = tap_seed() +
	    (uint64_t)pair, .percent = percent };
	char what[64];
	struct deal d = { .tcp = tcp, .faults = &faults, .what = what };

	(void)snprintf(what, sizeof(what), "%s, %d %% faults",
	    tcp ? "TCP" : "UNIX", percent);
	set_pair(&d, pair);
	files_empty(files_path("to"));
	set_operands(&d, files_path("few"), NULL);
	d.to.place = open_place(PLACE_DIRECTORY, files_path("to"), d.to.mode);
	run(&d);
	place_close(d.to.place);
	check(&d, agrees(&d) && is_same(files_path("few"),
	    files_path("to/few"), false), "a tree arrives");
	end(&d);
	check(&d, stream(&d, 65537, pair % 2 == 0), "a stream arrives");
	end(&d);
}

/* Connections that break. */

/* A side that was cut off, having heard so much; or it was done. */
static bool
is_broken(const struct side *s, uint64_t heard)
{
	if (s->code == 7)
		return s->result.resumable;
	return s->code == (heard < WIRE_PREAMBLE ? 9 : 0);
}

static void
start_over(struct deal *d)
{
	files_empty(files_path("to"));
	set_operands(d, files_path("few"), NULL);
	d->through = true;
	d->cut.limits[0] = d->cut.limits[1] = NO_LIMIT;
	d->to.place = open_place(PLACE_DIRECTORY, files_path("to"),
	    d->to.mode);
}

/*
 * What is there under a final name is whole, and all of it is if a side says
 * so.
 */
static bool
keeps_faith(const struct deal *d)
{
	bool said = d->from.code == 0 || d->to.code == 0;

	return is_same(files_path("few"), files_path("to/few"), !said);
}

/* Cut at a byte of one way; then again without. */
static bool
break_at(struct deal *d, enum way way, uint64_t at, uint64_t whole)
{
	uint64_t sent;
	bool ok;
	int i;

	start_over(d);
	d->cut.limits[way] = at;
	run(d);
	ok = is_broken(&d->from, d->cut.passed[FROM_RECEIVER]) &&
	    is_broken(&d->to, d->cut.passed[FROM_SENDER]) && keeps_faith(d);
	if (!ok)
		note(d);
	sent = d->cut.passed[FROM_SENDER];
	d->cut.limits[way] = NO_LIMIT;
	for (i = 0; i < 2 && !is_done(d); i++) {
		run(d);
		sent += d->cut.passed[FROM_SENDER];
	}
	place_close(d->to.place);
	if (!agrees(d) || !is_same(files_path("few"), files_path("to/few"),
	    false)) {
		note(d);
		ok = false;
	}
	/* What had arrived is not sent again. */
	if (way == FROM_SENDER && sent > whole + SENT_AGAIN) {
		tap_note("%llu bytes instead of %llu",
		    (unsigned long long)sent, (unsigned long long)whole);
		ok = false;
	}
	if (!ok)
		tap_note("cut at byte %llu, %s to %s", (unsigned long long)at,
		    net_mode_names[d->from.mode], net_mode_names[d->to.mode]);
	end(d);
	return ok;
}

/* How many bytes go each way. */
static void
measure(uint64_t bytes[WAYS])
{
	struct deal d = { .what = "a hand that cuts nothing" };

	start_over(&d);
	run(&d);
	place_close(d.to.place);
	check(&d, agrees(&d), "a tree arrives");
	bytes[0] = d.cut.passed[0];
	bytes[1] = d.cut.passed[1];
	end(&d);
}

/*
 * Each of the first bytes and of the last ones, and some in between, in turn
 * for all pairs of modes and kinds of connections.
 */
static void
test_breaks(enum way way, uint64_t whole, const uint64_t bytes[WAYS])
{
	uint64_t seed = tap_seed(), at = 0, far = bytes[way];
	unsigned step = tap_is_slow() ? 23 : 1;
	struct deal d = { .what = "" };
	int count = 0, wrong = 0;

	while (at < far && wrong < 5) {
		set_pair(&d, count % PAIRS);
		d.tcp = count / PAIRS % 2;
		wrong += !break_at(&d, way, at, whole);
		count++;
		if (at < 64 || at + 100 > far)
			at += 2 * step;
		else
			at += 1 + tap_random(&seed) % (2 * step *
			    (1 + far / CUTS));
	}
	tap_ok(wrong == 0, "cut at %d bytes from the %s, and resumed", count,
	    way == FROM_SENDER ? "sender" : "receiver");
}

/* Cut again and again, somewhere, until there is an end of it. */
static void
test_bad_line(int pair, bool tcp, uint64_t whole)
{
	uint64_t seed = tap_seed() + (uint64_t)pair, sent = 0;
	struct deal d = { .tcp = tcp, .what = "a bad line" };
	bool faithful = true;
	int i;

	set_pair(&d, pair);
	start_over(&d);
	d.from.code = d.to.code = -1;
	for (i = 0; i < ATTEMPTS_MAX && !is_done(&d) && faithful; i++) {
		d.cut.limits[0] = tap_random(&seed) % (whole / 3);
		d.cut.limits[1] = tap_random(&seed) % 4 == 0 ?
		    tap_random(&seed) % 400 : NO_LIMIT;
		run(&d);
		faithful = keeps_faith(&d);
		sent += d.cut.passed[FROM_SENDER];
	}
	place_close(d.to.place);
	check(&d, faithful && agrees(&d) && is_same(files_path("few"),
	    files_path("to/few"), false), "it arrives in the end");
	check(&d, sent <= whole + (uint64_t)i * SENT_AGAIN,
	    "little is sent again");
	end(&d);
}

/* A transport that breaks at both ends. */
static void
test_fault_breaks(int pair, bool tcp, uint64_t whole)
{
	struct fault_config faults = { .percent = 20, .breaks = true };
	struct deal d = { .tcp = tcp, .what = "faults that break" };
	uint64_t seed = tap_seed() + (uint64_t)pair;
	bool right = true;
	int i, j;

	set_pair(&d, pair);
	for (i = 0; i < FAULT_BREAKS && right; i++) {
		start_over(&d);
		d.through = false;
		d.faults = &faults;
		faults.seed = tap_random(&seed);
		faults.break_after = tap_random(&seed) % (i % 2 == 0 ? 1000 :
		    whole);
		run(&d);
		right = keeps_faith(&d);
		d.faults = NULL;
		for (j = 0; j < 2 && !is_done(&d); j++)
			run(&d);
		right = right && agrees(&d) && keeps_faith(&d);
		place_close(d.to.place);
	}
	check(&d, right, "resumed on a good connection");
	end(&d);
}

/* A file to standard output goes on behind what was written. */
static void
test_output_resumes(int pair, bool tcp)
{
	struct deal d = { .tcp = tcp, .through = true,
	    .what = "a file to standard output" };
	uint64_t seed = tap_seed() + (uint64_t)pair;
	int i;

	set_pair(&d, pair);
	set_operands(&d, files_path("all/file-0262145"), NULL);
	(void)unlink(files_path("out"));
	put_on(STDOUT_FILENO, files_path("out"), O_WRONLY | O_CREAT);
	d.to.place = open_place(PLACE_STDOUT, "", d.to.mode);
	d.from.code = d.to.code = -1;
	for (i = 0; i < ATTEMPTS_MAX && !is_done(&d); i++) {
		d.cut.limits[0] = tap_random(&seed) % 100000;
		d.cut.limits[1] = NO_LIMIT;
		run(&d);
		/* After the end of it, there is nothing more to say. */
		if (d.to.code == 0)
			break;
	}
	place_close(d.to.place);
	put_back();
	check(&d, d.to.code == 0 && files_has(files_path("out"),
	    content_of(262145), 262145), "it is continued");
	end(&d);
}

/* What has gone by of a stream is gone. */
static void
test_stream_breaks(int pair, bool tcp)
{
	struct deal d = { .tcp = tcp, .through = true,
	    .what = "a stream that breaks" };

	set_pair(&d, pair);
	set_operands(&d, "-", NULL);
	(void)unlink(files_path("out"));
	put_on(STDIN_FILENO, files_path("all/file-0262145"), O_RDONLY);
	put_on(STDOUT_FILENO, files_path("out"), O_WRONLY | O_CREAT);
	d.to.place = open_place(PLACE_STDOUT, "", d.to.mode);
	d.cut.limits[0] = 100000;
	d.cut.limits[1] = NO_LIMIT;
	run(&d);
	check(&d, d.from.code == 7 && d.to.code == 7 &&
	    !d.from.result.resumable, "it is not continued by itself");
	put_on(STDIN_FILENO, files_path("all/file-0262145"), O_RDONLY);
	d.cut.limits[0] = NO_LIMIT;
	run(&d);
	place_close(d.to.place);
	put_back();
	check(&d, d.from.code == 9 && d.to.code == 1 &&
	    files_stat(files_path("out")).st_size < 262145 &&
	    files_has(files_path("out"), content_of(262145),
	    (size_t)files_stat(files_path("out")).st_size),
	    "nor does another one follow in its place");
	end(&d);
}

/* A partial file of something else, or of a source that has changed. */
static void
test_changed_source(int pair)
{
	struct deal d = { .what = "a source that has changed" };

	set_pair(&d, pair);
	files_empty(files_path("from"));
	put_file(files_path("from/x"), 300000, 0644, 1);
	files_empty(files_path("to"));
	set_operands(&d, files_path("from/x"), NULL);
	d.through = true;
	d.to.place = open_place(PLACE_DIRECTORY, files_path("to"), d.to.mode);
	d.cut.limits[0] = 200000;
	d.cut.limits[1] = NO_LIMIT;
	run(&d);
	check(&d, !files_is_there(files_path("to/x")) &&
	    files_stat(files_path("to/.x.haul-part")).st_size > 100000,
	    "some of it is there");
	(void)files_put(files_path("from/x"), content_of(1), 300000);
	d.cut.limits[0] = NO_LIMIT;
	run(&d);
	place_close(d.to.place);
	check(&d, agrees(&d) && d.to.result.there == 0 &&
	    is_same(files_path("from/x"), files_path("to/x"), false) &&
	    files_count(files_path("to")) == 1, "it starts over");
	end(&d);
}

/* Two transfers of one name: one of them at least, and never a mixture. */
static void *
run_thread(void *arg)
{
	run(arg);
	return NULL;
}

static void
test_two_at_once(int pair, bool tcp)
{
	static struct deal a, b;
	pthread_t thread;
	bool right = true;
	int i;

	for (i = 0; i < TWICE && right; i++) {
		a = (struct deal){ .tcp = tcp, .what = "two at once" };
		set_pair(&a, pair);
		set_operands(&a, files_path("all/file-1048577"), NULL);
		b = a;
		files_empty(files_path("to"));
		a.to.place = open_place(PLACE_DIRECTORY, files_path("to"),
		    a.to.mode);
		b.to.place = open_place(PLACE_DIRECTORY, files_path("to"),
		    b.to.mode);
		if (pthread_create(&thread, NULL, run_thread, &a) != 0)
			return;
		run(&b);
		(void)pthread_join(thread, NULL);
		place_close(a.to.place);
		place_close(b.to.place);
		right = (is_done(&a) || is_done(&b)) &&
		    (is_done(&a) || (a.to.code == 1 && a.from.code == 9)) &&
		    (is_done(&b) || (b.to.code == 1 && b.from.code == 9)) &&
		    files_count(files_path("to")) == 1 &&
		    is_same(a.operands[0], files_path("to/file-1048577"),
		    false);
		if (!right)
			note(&a);
		end(&a);
		if (right)
			end(&b);
	}
	check(&b, right, "one arrives");
	end(&b);
}

/* Somebody who is slow is waited for, if he is there. */
struct trickle {
	int fd;
	int64_t pause_ms;
};

static void *
trickle(void *arg)
{
	const struct trickle *t = arg;
	const struct timespec pause = { .tv_sec = t->pause_ms / 1000,
	    .tv_nsec = t->pause_ms % 1000 * 1000000 };
	int i;

	for (i = 0; i < 2; i++) {
		(void)nanosleep(&pause, NULL);
		if (write(t->fd, "x", 1) != 1)
			break;
	}
	(void)close(t->fd);
	return NULL;
}

static void
test_slow(int pair, bool tcp)
{
	struct deal d = { .tcp = tcp, .what = "a slow stream" };
	struct trickle t = { .pause_ms = 700 };
	pthread_t thread;
	int fds[2];

	set_pair(&d, pair);
	d.from.silence_ms = d.to.silence_ms = 500;
	set_operands(&d, "-", NULL);
	(void)unlink(files_path("out"));
	put_on(STDOUT_FILENO, files_path("out"), O_WRONLY | O_CREAT);
	if (pipe(fds) != 0)
		return;
	(void)dup2(fds[0], STDIN_FILENO);
	(void)close(fds[0]);
	t.fd = fds[1];
	if (pthread_create(&thread, NULL, trickle, &t) != 0)
		return;
	d.to.place = open_place(PLACE_STDOUT, "", d.to.mode);
	run(&d);
	place_close(d.to.place);
	(void)pthread_join(thread, NULL);
	put_back();
	check(&d, agrees(&d) && files_has(files_path("out"), "xx", 2),
	    "is no silence");
	end(&d);
}

/* Nothing may be left open, or running, after all that. */
static int
next_descriptor(void)
{
	int fd = dup(STDIN_FILENO);

	(void)close(fd);
	return fd;
}

static void
test_broken(void)
{
	uint64_t bytes[WAYS];
	int pair;

	measure(bytes);
	test_breaks(FROM_SENDER, bytes[0], bytes);
	test_breaks(FROM_RECEIVER, bytes[0], bytes);
	for (pair = 0; pair < PAIRS; pair++) {
		test_bad_line(pair, pair % 2 == 0, bytes[0]);
		test_fault_breaks(pair, pair % 2 != 0, bytes[0]);
		test_output_resumes(pair, pair % 2 == 0);
		test_stream_breaks(pair, pair % 2 != 0);
		test_changed_source(pair);
		test_two_at_once(pair, pair % 2 == 0);
		/* Both modes at either side. */
		if (pair == 0 || pair == PAIRS - 1)
			test_slow(pair, pair == 0);
	}
}

int
main(void)
{
	static const size_t few[] = { 0, 1, 4097, 70000, 200001 };
	static const int percents[] = { 10, 50, 90 };
	int pair, before;
	size_t i;

	tap_start();
	files_start();
	put_back();
	before = next_descriptor();
	files_fill(content, sizeof(content), 1);
	make_tree(files_path("all"), sizes, COUNT(sizes));
	make_tree(files_path("few"), few, COUNT(few));
	for (pair = 0; pair < PAIRS; pair++) {
		test_whole(pair, false);
		test_whole(pair, true);
		for (i = 0; i < COUNT(percents); i++)
			test_faults(pair, i % 2 == (size_t)pair % 2,
			    percents[i]);
	}
	test_broken();
	tap_int(next_descriptor(), before, "nothing is left open");
	files_end();
	return tap_done();
}
