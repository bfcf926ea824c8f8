#include "cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/intr.h"
#include "base/log.h"

enum {
	TICK_MS = 100,
	SAMPLES = 20,		/* the rate is that of the last 2 seconds */
	COLUMNS = 80,		/* where the width is not known */
	COLUMNS_MAX = 512,
	NAME_COLUMNS = 24,	/* a name gets more if there is room */
	BAR_MIN = 8,
	BAR_MAX = 40,
	PART_MAX = 96,
	PERCENT = 100,
	MINUTE = 60,
	HOUR = 60 * 60,
};

struct sample {
	int64_t at_ns;
	uint64_t bytes;
};

struct show {
	bool draws, verbose;
	struct transfer_status status;
	bool began;
	int64_t start_ns;
	struct sample samples[SAMPLES];	/* a ring, the oldest at count */
	size_t count;
	pthread_mutex_t lock;		/* of the line and of messages */
	size_t drawn;			/* columns of the line; 0: none */
};

/* Numbers. */

/* "1.2 GiB", "512 B". */
static void
format_size(double bytes, char *buf, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB",
	    "PiB", "EiB" };
	size_t i;

	for (i = 0; bytes >= 1000 && i + 1 < sizeof(units) / sizeof(units[0]);
	    i++)
		bytes /= 1024;
	(void)snprintf(buf, size, i == 0 || bytes >= 100 ? "%.0f %s" :
	    "%.1f %s", bytes, units[i]);
}

/* "0:07", "2:03:04". */
static void
format_time(uint64_t seconds, char *buf, size_t size)
{
	unsigned long long hours = seconds / HOUR;
	unsigned minutes = (unsigned)(seconds / MINUTE % MINUTE);
	unsigned rest = (unsigned)(seconds % MINUTE);

	if (hours > 0)
		(void)snprintf(buf, size, "%llu:%02u:%02u", hours, minutes,
		    rest);
	else
		(void)snprintf(buf, size, "%u:%02u", minutes, rest);
}

static double
seconds_since(int64_t start_ns)
{
	return (double)(clock_now_ns() - start_ns) / (double)CLOCK_SEC;
}

/* What there is to show, at one moment. */
struct view {
	char name[4 * TRANSFER_NAME_MAX];	/* escaped */
	bool checking;
	uint64_t bytes, total;
	double rate;		/* bytes a second; 0: none yet */
	char size[PART_MAX], speed[PART_MAX], left[PART_MAX];
};

static int
percent(const struct view *v)
{
	if (v->total == 0 || v->bytes >= v->total)
		return PERCENT;
	return (int)((double)v->bytes * PERCENT / (double)v->total);
}

static void
look(struct show *s, struct view *v)
{
	struct transfer_status *t = &s->status;
	const struct sample *oldest;
	char raw[TRANSFER_NAME_MAX];
	double seconds, left;

	memset(v, 0, sizeof(*v));
	transfer_status_name(t, raw);
	(void)log_escape(raw, v->name, sizeof(v->name));
	v->checking = atomic_load(&t->checking);
	v->bytes = atomic_load(v->checking ? &t->checked : &t->bytes);
	v->total = atomic_load(&t->total);
	oldest = &s->samples[s->count < SAMPLES ? 0 : s->count % SAMPLES];
	seconds = seconds_since(oldest->at_ns);
	if (s->count > 0 && v->bytes > oldest->bytes && seconds > 0)
		v->rate = (double)(v->bytes - oldest->bytes) / seconds;
	format_size((double)v->bytes, v->size, sizeof(v->size));
	format_size(v->rate, v->speed, sizeof(v->speed));
	left = v->total == TRANSFER_UNKNOWN || v->rate <= 0 ||
	    v->total < v->bytes ? -1 :
	    (double)(v->total - v->bytes) / v->rate;
	if (left >= 0 && left < 1e7)
		format_time((uint64_t)(left + 0.5), v->left,
		    sizeof(v->left));
}

/* The line. */

static size_t
terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return COLUMNS;
	return size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
}

/*
 * Copy as much of a text as fits into so many columns; the bytes copied. What
 * is not ASCII may be wide: it counts twice.
 */
static size_t
fit(const char *text, size_t columns, char *buf, size_t *used)
{
	size_t n = 0, width, len;

	for (*used = 0; text[n] != '\0'; n += len, *used += width) {
		len = 1;
		width = (unsigned char)text[n] < 0x80 ? 1 : 2;
		while ((text[n + len] & 0xc0) == 0x80)
			len++;
		if (*used + width > columns)
			break;
		memcpy(buf + n, text + n, len);
	}
	buf[n] = '\0';
	return n;
}

static void
make_bar(const struct view *v, size_t columns, char *bar)
{
	size_t i, inner, done;

	bar[0] = '\0';
	if (v->total == TRANSFER_UNKNOWN || columns < BAR_MIN)
		return;
	inner = (columns < BAR_MAX ? columns : BAR_MAX) - 3;
	done = inner * (size_t)percent(v) / PERCENT;
	bar[0] = ' ';
	bar[1] = '[';
	for (i = 0; i < inner; i++)
		bar[2 + i] = i < done ? '=' : ' ';
	if (done < inner)
		bar[2 + done] = '>';
	bar[2 + inner] = ']';
	bar[3 + inner] = '\0';
}

/* The name, a bar where there is room, and what follows the bar. */
static size_t
compose(const struct view *v, size_t columns, char *line, size_t size)
{
	char name[sizeof(v->name)], bar[BAR_MAX + 8], done[PART_MAX] = "";
	char tail[6 * PART_MAX], full[6 * PART_MAX];
	size_t used, room;

	if (v->total != TRANSFER_UNKNOWN)
		(void)snprintf(done, sizeof(done), " %3d%%", percent(v));
	(void)snprintf(full, sizeof(full), "%s%s  %s  %s/s%s%s",
	    v->checking ? " checking" : "", done, v->size, v->speed,
	    v->left[0] != '\0' ? "  " : "", v->left);
	(void)snprintf(tail, sizeof(tail), "%s  %s", done, v->size);
	if (strlen(full) <= columns)
		memcpy(tail, full, sizeof(tail));
	tail[columns < sizeof(tail) ? columns : sizeof(tail) - 1] = '\0';
	room = columns - strlen(tail);
	(void)fit(v->name, room > NAME_COLUMNS + BAR_MIN ?
	    room - BAR_MIN > BAR_MAX ? room - BAR_MAX : NAME_COLUMNS : room,
	    name, &used);
	make_bar(v, room - used, bar);
	(void)snprintf(line, size, "%s%s%s", name, bar, tail);
	return used + strlen(bar) + strlen(tail);
}

/* Write the line over the one before. The lock is held. */
static void
draw(struct show *s, const char *line, size_t columns)
{
	char text[8 * COLUMNS_MAX];
	size_t blank = s->drawn > columns ? s->drawn - columns : 0;

	(void)snprintf(text, sizeof(text), "\r%s%*s%s", line, (int)blank, "",
	    columns == 0 ? "\r" : "");
	log_draw(text);
	s->drawn = columns;
}

static void
erase(struct show *s)
{
	if (s->drawn > 0)
		draw(s, "", 0);
}

static void
tick(void *context)
{
	struct show *s = context;
	struct view v;
	char line[6 * COLUMNS_MAX];
	size_t columns;

	s->samples[s->count++ % SAMPLES] = (struct sample){ clock_now_ns(),
	    atomic_load(&s->status.bytes) };
	if (!s->draws)
		return;
	look(s, &v);
	/* The last column stays free, or the terminal would begin a line. */
	columns = compose(&v, terminal_columns() - 1, line, sizeof(line));
	(void)pthread_mutex_lock(&s->lock);
	draw(s, line, columns);
	(void)pthread_mutex_unlock(&s->lock);
}

/* Messages. */

static void
say(struct show *s, void (*log)(const char *, ...), const char *text)
{
	(void)pthread_mutex_lock(&s->lock);
	erase(s);
	log("%s", text);
	(void)pthread_mutex_unlock(&s->lock);
}

static void
failed(void *context, const struct err *why)
{
	char text[ERR_WHO_MAX + ERR_TEXT_MAX + 128];

	say(context, log_error, err_format(why, text, sizeof(text)));
}

static void
skipped(void *context, const struct err *why)
{
	char text[ERR_WHO_MAX + ERR_TEXT_MAX + 128];

	say(context, log_note, err_format(why, text, sizeof(text)));
}

static void
arrived(void *context, const char *name,
    const unsigned char digest[DIGEST_SIZE])
{
	char text[TRANSFER_NAME_MAX + DIGEST_TEXT + 32], hex[DIGEST_TEXT];

	(void)snprintf(text, sizeof(text), "%.*s: xxh3-128 %s",
	    TRANSFER_NAME_MAX, *name != '\0' ? name : "the stream",
	    digest_format(digest, hex));
	say(context, log_verbose, text);
}

static void
asked(void *context)
{
	struct show *s = context;
	char text[sizeof(struct view) + 256], of[PART_MAX] = "";
	struct view v;

	intr_take_status();
	tick(s);
	look(s, &v);
	if (v.total != TRANSFER_UNKNOWN)
		(void)snprintf(of, sizeof(of), " of %llu",
		    (unsigned long long)v.total);
	(void)snprintf(text, sizeof(text), "%s: %s%llu%s bytes, %s/s%s%s%s",
	    v.name[0] != '\0' ? v.name : "the stream",
	    v.checking ? "checking, " : "", (unsigned long long)v.bytes, of,
	    v.speed, v.left[0] != '\0' ? ", " : "", v.left,
	    v.left[0] != '\0' ? " left" : "");
	say(s, log_error, text);
}

/* From the beginning to the end. */

struct show *
show_new(const struct transfer_options *transfer,
    const struct output_options *output, struct err *e)
{
	struct show *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		err_no_memory(e);
		return NULL;
	}
	s->verbose = output->verbose;
	s->draws = !output->quiet && !transfer->no_progress &&
	    (transfer->progress || isatty(STDERR_FILENO));
	s->start_ns = clock_now_ns();
	(void)pthread_mutex_init(&s->lock, NULL);
	return s;
}

bool
show_draws(const struct show *s)
{
	return s->draws;
}

void
show_free(struct show *s)
{
	if (s == NULL)
		return;
	if (s->began)
		transfer_status_destroy(&s->status);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

struct transfer_status *
show_begin(struct show *s)
{
	if (s->began)
		transfer_status_destroy(&s->status);
	transfer_status_init(&s->status);
	s->began = true;
	s->start_ns = clock_now_ns();
	s->samples[0] = (struct sample){ .at_ns = s->start_ns };
	s->count = 1;
	return &s->status;
}

void
show_events(struct show *s, struct transfer_events *events)
{
	*events = (struct transfer_events){ .context = s, .failed = failed,
	    .skipped = skipped, .arrived = s->verbose ? arrived : NULL,
	    .tick = s->draws ? tick : NULL, .tick_ns = TICK_MS * CLOCK_MS,
	    .asked = asked, .status_fd = intr_status_fd() };
}

void
show_end(struct show *s)
{
	(void)pthread_mutex_lock(&s->lock);
	erase(s);
	(void)pthread_mutex_unlock(&s->lock);
}

void
show_summary(struct show *s, const struct transfer_result *result)
{
	double seconds = seconds_since(s->start_ns);
	char speed[PART_MAX], hex[DIGEST_TEXT], there[PART_MAX] = "";

	format_size((double)(result->bytes - result->there) /
	    (seconds > 0 ? seconds : 1e-9), speed, sizeof(speed));
	if (result->there > 0)
		(void)snprintf(there, sizeof(there),
		    ", %llu bytes were there already",
		    (unsigned long long)result->there);
	log_note("%llu %s, %llu %s in %.2f s, %s/s, xxh3-128 %s%s",
	    (unsigned long long)result->files,
	    result->files == 1 ? "file" : "files",
	    (unsigned long long)result->bytes,
	    result->bytes == 1 ? "byte" : "bytes", seconds, speed,
	    digest_format(result->digest, hex), there);
}
