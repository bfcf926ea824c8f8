/*
 * Each side against a peer that does not keep to the protocol, says nothing,
 * changes what it has said, or goes away: what is told, and to whom.
 */
#include <poll.h>
#include <time.h>

#include "files.h"
#include "peer.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

enum {
	LENGTH = 7,		/* of the content */
	BIG = 3 * 1024 * 1024,
	SILENCE_MS = 300,
	LONG_SILENCE_MS = 1000,
	SHORT_MS = 50,
	MANY = 600,
	TALK_MAX = 1024,		/* bytes of a whole talk, at most */
};

static const char content[LENGTH + 1] = "content";
static struct fake fake;
static struct side side;
static enum sk_mode mode;
static bool tcp;
static char big[BIG];

static void
sleep_ms(int ms)
{
	(void)poll(NULL, 0, ms);
}

static bool check(bool passed, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static bool
check(bool passed, const char *fmt, ...)
{
	char name[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (tap_ok(passed, "%s: %s", net_mode_names[mode], name))
		return true;
	side_note(&side, "the side");
	tap_note("the last frame is %#x: \"%.*s\"", fake.type,
	    (int)fake.len, fake.payload + (fake.len > 0));
	return false;
}

/* A talk: what a peer says, a letter each. */
static void say(const char *talk);

static bool
is_told(unsigned code)
{
	return fake.aborted == code;
}

/* Bad frames that both roles can say. */

static void
bad_text(void)
{
	fake_text(&fake, "HTTP/1.0 400 Bad Request\r\n\r\n");
}

static void
bad_echo(void)
{
	enum wire_role role = fake.role;

	fake.role = role == WIRE_SENDER ? WIRE_RECEIVER : WIRE_SENDER;
	fake_greet(&fake, WIRE_VERSION, 0);
	fake.role = role;
}

static void
bad_version_2(void)
{
	fake_greet(&fake, 2, 0);
}

static void
bad_version_0(void)
{
	fake_greet(&fake, 0, 0);
}

/* One byte of a preamble is wrong. */
static void
bad_preamble(void)
{
	fake.flip_byte = fake.said + 9;
	fake_greet(&fake, WIRE_VERSION, 0);
}

static void
bad_preamble_end(void)
{
	fake.flip_byte = fake.said + WIRE_PREAMBLE - 1;
	fake_greet(&fake, WIRE_VERSION, 0);
}

static void
bad_half_preamble(void)
{
	const struct wire_preamble p = { .version = WIRE_VERSION };
	unsigned char raw[WIRE_PREAMBLE];

	wire_put_preamble(raw, fake.role, &p);
	fake_put(&fake, raw, WIRE_PREAMBLE - 1);
}

static void
bad_type(void)
{
	fake_frame(&fake, 0x7f, 0, "", 0);
}

static void
bad_type_0(void)
{
	fake_frame(&fake, 0, 0, "", 0);
}

static void
bad_reserved(void)
{
	fake_frame(&fake, WIRE_KEEPALIVE, 1, "", 0);
}

static void
bad_length(void)
{
	fake_frame(&fake, WIRE_KEEPALIVE, 0, "x", 1);
}

static void
bad_header(void)
{
	fake.flip_byte = fake.said + 15;
	fake_empty(&fake, WIRE_KEEPALIVE);
}

static void
bad_payload(void)
{
	fake.flip_byte = fake.said + WIRE_HEADER + 2;
	fake_reason(&fake, WIRE_ABORT, 0, 1, "disk full");
}

static void
bad_long_abort(void)
{
	static char payload[2 + WIRE_TEXT_MAX] = { 1 };

	fake_frame(&fake, WIRE_ABORT, 0, payload, sizeof(payload));
}

static void
bad_empty_abort(void)
{
	fake_frame(&fake, WIRE_ABORT, 0, "", 0);
}

static void
bad_abort_code(void)
{
	fake_reason(&fake, WIRE_ABORT, 0, 0, "nothing");
}

static void
bad_abort_code_10(void)
{
	fake_reason(&fake, WIRE_ABORT, 0, 10, "too much");
}

/* Bad frames of a sender. */

static void
put_offer(const struct wire_offer *o)
{
	fake_offer(&fake, o);
}

static struct wire_offer
offer_of(enum wire_kind kind)
{
	struct wire_offer o = fake_file_offer("x", kind == WIRE_KIND_FILE ?
	    LENGTH : 0);

	o.kind = kind;
	if (kind == WIRE_KIND_STREAM)
		o.size = o.stored = WIRE_UNKNOWN;
	if (kind == WIRE_KIND_LINK) {
		o.target = "target";
		o.target_len = strlen(o.target);
	}
	return o;
}

/* One value of an offer is out of its range. */
#define BAD_OFFER(what, kind, change)					\
static void								\
bad_offer_##what(void)							\
{									\
	struct wire_offer o = offer_of(kind);				\
									\
	change;								\
	put_offer(&o);							\
}

BAD_OFFER(kind, WIRE_KIND_FILE, o.kind = (enum wire_kind)5)
BAD_OFFER(kind_0, WIRE_KIND_FILE, o.kind = (enum wire_kind)0)
BAD_OFFER(mode, WIRE_KIND_FILE, o.mode = 010000)
BAD_OFFER(ns, WIRE_KIND_FILE, o.mtime_ns = 1000000000)
BAD_OFFER(size, WIRE_KIND_FILE, o.size = UINT64_C(1) << 63)
BAD_OFFER(unknown, WIRE_KIND_FILE, o.size = o.stored = WIRE_UNKNOWN)
BAD_OFFER(stored, WIRE_KIND_FILE, o.stored = LENGTH + 1)
BAD_OFFER(stream_size, WIRE_KIND_STREAM, o.size = o.stored = LENGTH)
BAD_OFFER(directory_size, WIRE_KIND_DIRECTORY, o.size = 1)
BAD_OFFER(link_size, WIRE_KIND_LINK, o.size = o.stored = 1)
BAD_OFFER(no_target, WIRE_KIND_LINK, o.target_len = 0)
BAD_OFFER(target, WIRE_KIND_FILE, o.target = "t"; o.target_len = 1)
BAD_OFFER(target_of_directory, WIRE_KIND_DIRECTORY,
    o.target = "t"; o.target_len = 1)

/* Two bytes of an offer's lengths do not fit its own. */
static void
bad_offer_lengths(void)
{
	unsigned char raw[WIRE_HEADER + WIRE_CONTROL_MAX];
	const struct wire_offer o = fake_file_offer("x", LENGTH);
	size_t size = wire_put_offer(raw, &o);

	raw[WIRE_HEADER + 33]++;
	fake_frame(&fake, WIRE_OFFER, 0, raw + WIRE_HEADER,
	    size - WIRE_HEADER);
}

static void
bad_offer_name(void)
{
	static char payload[WIRE_CONTROL_MAX] = { WIRE_KIND_FILE };

	/* A name of 4096 bytes. */
	payload[32] = 16;
	fake_frame(&fake, WIRE_OFFER, 0, payload, WIRE_OFFER_FIXED + 4096);
}

static void
bad_offer_short(void)
{
	static const char payload[WIRE_OFFER_FIXED - 1] = { WIRE_KIND_FILE };

	fake_frame(&fake, WIRE_OFFER, 0, payload, sizeof(payload));
}

static void
bad_many_offers(void)
{
	char name[16];
	struct wire_offer o;
	int i;

	for (i = 0; i <= WIRE_WINDOW; i++) {
		(void)snprintf(name, sizeof(name), "f%d", i);
		o = fake_file_offer(name, LENGTH);
		put_offer(&o);
	}
}

static void
bad_begin(void)
{
	static const char payload[17] = { 4 };

	fake_frame(&fake, WIRE_BEGIN, 0, payload, sizeof(payload));
}

static void
bad_begin_0(void)
{
	static const char payload[17];

	fake_frame(&fake, WIRE_BEGIN, 0, payload, sizeof(payload));
}

static void
bad_begin_count(void)
{
	static const char payload[17] = { 3, (char)0x80 };

	fake_frame(&fake, WIRE_BEGIN, 0, payload, sizeof(payload));
}

static void
bad_data_0(void)
{
	fake_data(&fake, "", 0);
}

static void
bad_data_more(void)
{
	fake_data(&fake, "contents", LENGTH + 1);
}

static void
bad_data_long(void)
{
	unsigned char raw[WIRE_HEADER];

	wire_put_data_header(raw, WIRE_DATA_MAX + 1);
	fake_put(&fake, raw, sizeof(raw));
}

static void
bad_hole_0(void)
{
	fake_put_number(&fake, WIRE_HOLE, 0);
}

static void
bad_hole_more(void)
{
	fake_put_number(&fake, WIRE_HOLE, LENGTH + 1);
}

static void
bad_hole_max(void)
{
	fake_put_number(&fake, WIRE_HOLE, WIRE_HOLE_MAX + 1);
}

static void
bad_hole_huge(void)
{
	fake_put_number(&fake, WIRE_HOLE, UINT64_C(1) << 63);
}

static void
bad_from_0(void)
{
	fake_put_number(&fake, WIRE_FROM, 0);
}

static void
bad_from_3(void)
{
	fake_put_number(&fake, WIRE_FROM, 3);
}

static void
bad_from_5(void)
{
	fake_put_number(&fake, WIRE_FROM, 5);
}

static void
bad_from_twice(void)
{
	fake_put_number(&fake, WIRE_FROM, 4);
	fake_put_number(&fake, WIRE_FROM, 4);
}

static void
bad_close_size(void)
{
	unsigned char digest[DIGEST_SIZE] = { 0 };

	fake_close(&fake, UINT64_C(1) << 63, digest);
}

static void
bad_drop_code(void)
{
	fake_reason(&fake, WIRE_DROP, 0, 0, "");
}

static void
bad_end_entries(void)
{
	fake.end.entries++;
	fake_end(&fake);
}

static void
bad_end_failed(void)
{
	fake.end.failed++;
	fake_end(&fake);
}

static void
bad_number_size(void)
{
	fake_frame(&fake, WIRE_FROM, 0, "12345", 5);
}

static void
bad_take(void)
{
	fake_put_number(&fake, WIRE_TAKE, 0);
}

static void
bad_go(void)
{
	fake_empty(&fake, WIRE_GO);
}

static void
bad_verdict(void)
{
	static const unsigned char digest[DIGEST_SIZE];

	fake_verdict(&fake, 1, 0, digest);
}

/* The letters of a sender. */

static void
say_as_sender(char letter)
{
	struct wire_offer o = offer_of(WIRE_KIND_FILE);
	const char name[] = { letter, '\0' };
	unsigned char digest[DIGEST_SIZE];

	digest_of(content, LENGTH, digest);
	switch (letter) {
	case 'P':
		fake_greet(&fake, WIRE_VERSION, 0);
		break;
	case 'T':
	case 'F':
	case 'S':
		fake_announce(&fake, letter == 'T' ? WIRE_TREE :
		    letter == 'F' ? WIRE_FILE : WIRE_STREAM);
		break;
	case 'y':
		o.name = "y";
		/* FALLTHROUGH */
	case 'o':
		put_offer(&o);
		break;
	case 'd':
	case 'l':
	case 's':
		o = offer_of(letter == 'd' ? WIRE_KIND_DIRECTORY :
		    letter == 'l' ? WIRE_KIND_LINK : WIRE_KIND_STREAM);
		o.name = name;
		put_offer(&o);
		if (letter != 's')
			fake_pass(&fake, 0, NULL);
		break;
	case 'n':
		o = offer_of(WIRE_KIND_STREAM);
		o.name_len = 0;
		put_offer(&o);
		break;
	case 'D':
		fake_data(&fake, content, LENGTH);
		break;
	case '4':
		fake_data(&fake, content, 4);
		break;
	case '3':
		fake_data(&fake, content + 4, LENGTH - 4);
		break;
	case 'C':
		fake_close(&fake, LENGTH, digest);
		break;
	case 'X':
		fake_reason(&fake, WIRE_DROP, 0, 1, "cannot be read");
		fake.end.failed++;
		fake_pass(&fake, 0, NULL);
		break;
	case 'E':
		fake_end(&fake);
		break;
	case 'B':
		fake_empty(&fake, WIRE_BYE);
		break;
	case 'v':
		(void)fake_await(&fake, WIRE_VERDICT);
		break;
	default:
		tap_note("no such letter: %c", letter);
	}
}

/* The letters of a receiver. */

static void
say_as_receiver(char letter)
{
	struct wire_end theirs = { 0 };

	switch (letter) {
	case 'P':
		fake_greet(&fake, WIRE_VERSION, 0);
		(void)fake_hear(&fake);
		break;
	case 'g':
		fake_empty(&fake, WIRE_GO);
		break;
	case 't':
		fake_put_number(&fake, WIRE_TAKE, 0);
		break;
	case '4':
		fake_put_number(&fake, WIRE_TAKE, 4);
		break;
	case 'h':
		fake_put_number(&fake, WIRE_HAVE, LENGTH);
		break;
	case 'c':
		fake_check(&fake, content, 4);
		break;
	case 'C':
		fake_check(&fake, content, LENGTH);
		break;
	case 'x':
		fake_check(&fake, "other", 5);
		break;
	case 'r':
		fake_reason(&fake, WIRE_REFUSE, 0, 9, "not welcome");
		break;
	case 'f':
		fake_reason(&fake, WIRE_FAILED, 0, 1, "disk full");
		break;
	case 'k':
		fake_confirm(&fake, 0, 3);
		break;
	case 'o':
		(void)fake_await(&fake, WIRE_OFFER);
		break;
	case 'e':
		(void)fake_await(&fake, WIRE_END);
		break;
	case 'V':
	case 'W':
		(void)wire_get_end(fake.payload, fake.len, &theirs);
		fake_verdict(&fake, theirs.entries, letter == 'W',
		    theirs.digest);
		break;
	case 'b':
		(void)fake_await(&fake, WIRE_BYE);
		break;
	default:
		tap_note("no such letter: %c", letter);
	}
}

static void
say(const char *talk)
{
	for (; *talk != '\0'; talk++)
		switch (*talk) {
		case 'K':
			fake_empty(&fake, WIRE_KEEPALIVE);
			break;
		case 'A':
			fake_reason(&fake, WIRE_ABORT, 0, 1, "disk full");
			break;
		case '_':
			sleep_ms(SHORT_MS);
			break;
		default:
			if (fake.role == WIRE_SENDER)
				say_as_sender(*talk);
			else
				say_as_receiver(*talk);
		}
}

/* A receiver and a bad sender. */

static bool file_place;

static void
start_receiver(void)
{
	static char path[FILES_PATH_MAX];
	const struct place_config config = { .path = path,
	    .kind = file_place ? PLACE_FILE : PLACE_DIRECTORY };
	int64_t silence_ms = side.silence_ms;
	struct err e = { 0 };

	side_end(&side);
	files_empty(files_path("in"));
	(void)snprintf(path, sizeof(path), "%s", file_place ?
	    files_path("in/x") : files_path("in"));
	side = (struct side){ .mode = mode, .silence_ms = silence_ms };
	side.place = place_open(&config, mode, &e);
	if (side.place == NULL || !fake_meet(&fake, &side, tcp) ||
	    !fake_hear(&fake))
		tap_note("cannot start: %s", e.text);
	err_clear(&e);
}

static void
stop_receiver(void)
{
	fake_finish(&fake);
	fake_part(&fake, &side);
	place_close(side.place);
	tcp = !tcp;
}

static const struct bad {
	const char *name, *before;
	void (*bad)(void);
} bad_senders[] = {
	{ "begins with text", "", bad_text },
	{ "echoes the greeting", "", bad_echo },
	{ "speaks version 2", "", bad_version_2 },
	{ "speaks version 0", "", bad_version_0 },
	{ "begins with a damaged preamble", "", bad_preamble },
	{ "begins with another damaged preamble", "", bad_preamble_end },
	{ "begins with half a preamble", "", bad_half_preamble },
	{ "sends text for BEGIN", "P", bad_text },
	{ "sends text for OFFER", "PT", bad_text },
	{ "offers before BEGIN", "P", bad_offer_mode },
	{ "ends before BEGIN", "P", bad_end_entries },
	{ "begins with an unknown shape", "P", bad_begin },
	{ "begins with no shape", "P", bad_begin_0 },
	{ "announces too much", "P", bad_begin_count },
	{ "begins twice", "PTT", NULL },
	{ "begins again later", "PToDCT", NULL },
	{ "sends an unknown type", "PT", bad_type },
	{ "sends type 0", "PT", bad_type_0 },
	{ "sends a reserved byte", "PT", bad_reserved },
	{ "sends a wrong length", "PT", bad_length },
	{ "sends a damaged header", "PT", bad_header },
	{ "sends a damaged payload", "PT", bad_payload },
	{ "gives up at length", "PT", bad_long_abort },
	{ "gives up without a code", "PT", bad_empty_abort },
	{ "gives up with code 0", "PT", bad_abort_code },
	{ "gives up with code 10", "PT", bad_abort_code_10 },
	{ "takes", "PTo", bad_take },
	{ "says GO", "PT", bad_go },
	{ "judges", "PTo", bad_verdict },
	{ "offers an unknown kind", "PT", bad_offer_kind },
	{ "offers kind 0", "PT", bad_offer_kind_0 },
	{ "offers a mode of 5 digits", "PT", bad_offer_mode },
	{ "offers too many nanoseconds", "PT", bad_offer_ns },
	{ "offers 2^63 bytes", "PT", bad_offer_size },
	{ "offers a file of unknown size", "PT", bad_offer_unknown },
	{ "stores more than there is", "PT", bad_offer_stored },
	{ "offers a stream of known size", "PT", bad_offer_stream_size },
	{ "offers a directory of a size", "PT", bad_offer_directory_size },
	{ "offers a link of a size", "PT", bad_offer_link_size },
	{ "offers a link to nowhere", "PT", bad_offer_no_target },
	{ "offers a file with a target", "PT", bad_offer_target },
	{ "offers a directory with a target", "PT",
	    bad_offer_target_of_directory },
	{ "offers lengths that do not fit", "PT", bad_offer_lengths },
	{ "offers a name of 4096 bytes", "PT", bad_offer_name },
	{ "offers too little", "PT", bad_offer_short },
	{ "offers 257 at once", "PT", bad_many_offers },
	{ "sends data of nothing", "PTD", NULL },
	{ "closes nothing", "PTC", NULL },
	{ "drops nothing", "PTX", NULL },
	{ "sends data of a directory", "PTdD", NULL },
	{ "closes a directory", "PTdC", NULL },
	{ "drops a link", "PTlX", NULL },
	{ "sends no data", "PTo", bad_data_0 },
	{ "sends more data than it offered", "PTo", bad_data_more },
	{ "sends more data after that", "PToDD", NULL },
	{ "sends too much in one frame", "PTo", bad_data_long },
	{ "sends a hole of nothing", "PTo", bad_hole_0 },
	{ "sends more holes than it offered", "PTo", bad_hole_more },
	{ "sends too large a hole", "PTs", bad_hole_max },
	{ "sends a hole of 2^63 bytes", "PTs", bad_hole_huge },
	{ "goes on where nothing is", "PTo", bad_from_0 },
	{ "goes on behind that", "PTo", bad_from_3 },
	{ "goes on after data", "PTo4", bad_from_0 },
	{ "sends a number of 5 bytes", "PTo", bad_number_size },
	{ "closes at 2^63 bytes", "PTo", bad_close_size },
	{ "drops without a code", "PTo", bad_drop_code },
	{ "ends too early", "PToE", NULL },
	{ "ends in the middle", "PTo4E", NULL },
	{ "ends with another count", "PToDC", bad_end_entries },
	{ "ends with another count of drops", "PToDC", bad_end_failed },
	{ "ends twice", "PToDCEE", NULL },
	{ "leaves too early", "PTB", NULL },
	{ "leaves before the end", "PToDCB", NULL },
	{ "offers after the end", "PToDCEo", NULL },
	{ "sends data after the end", "PToDCED", NULL },
};

/* Of one file, or one stream. */
static const struct bad bad_single_senders[] = {
	{ "announces a file and offers a directory", "PFd", NULL },
	{ "announces a file and offers a link", "PFl", NULL },
	{ "announces a file and offers two", "PFoDCy", NULL },
	{ "announces a file and offers two at once", "PFoy", NULL },
	{ "announces a file and offers none", "PFE", NULL },
	{ "announces a stream and offers a file", "PSo", NULL },
	{ "announces a stream and offers a named one", "PSs", NULL },
	{ "announces a stream and offers a directory", "PSd", NULL },
	{ "announces a stream and offers two", "PSnDCn", NULL },
	{ "announces a stream and offers none", "PSE", NULL },
};

static void
test_bad_sender(const struct bad *b)
{
	bool stranger = *b->before != 'P', done;

	start_receiver();
	say(b->before);
	if (b->bad != NULL)
		b->bad();
	done = strstr(b->before, "DC") != NULL;
	stop_receiver();
	check(side.code == 9 && (stranger || is_told(9)) &&
	    (done || !files_is_there(files_path("in/x")) ||
	    !S_ISREG(files_stat(files_path("in/x")).st_mode)),
	    "a sender that %s", b->name);
}

static void
test_bad_senders(void)
{
	size_t i;

	file_place = false;
	for (i = 0; i < COUNT(bad_senders); i++)
		test_bad_sender(&bad_senders[i]);
	file_place = true;
	for (i = 0; i < COUNT(bad_single_senders); i++)
		test_bad_sender(&bad_single_senders[i]);
	file_place = false;
}

/* Something of it is there: a FROM has to come, and the right one. */
static void
test_bad_from(void (*bad)(void), const char *talk, const char *what)
{
	const struct wire_offer o = fake_file_offer("x", LENGTH);

	start_receiver();
	(void)files_put(files_path("in/.x.haul-part"), content, 4);
	say("PT");
	put_offer(&o);
	say(talk);
	if (bad != NULL)
		bad();
	stop_receiver();
	check(side.code == 9 && is_told(9) &&
	    !files_is_there(files_path("in/x")), "a sender that %s", what);
}

/* The same with the whole file, which is not to be replaced. */
static void
test_bad_have(void (*bad)(void), const char *talk, const char *what)
{
	const struct wire_offer o = fake_file_offer("x", LENGTH);

	start_receiver();
	(void)files_put(files_path("in/x"), content, LENGTH);
	say("PT");
	put_offer(&o);
	say(talk);
	if (bad != NULL)
		bad();
	stop_receiver();
	check(side.code == 9 && is_told(9) &&
	    files_has_text(files_path("in/x"), content), "a sender that %s",
	    what);
}

static void
test_bad_resumes(void)
{
	test_bad_from(NULL, "D", "sends data without a FROM");
	test_bad_from(NULL, "C", "closes without a FROM");
	test_bad_from(bad_hole_more, "", "sends a hole without a FROM");
	test_bad_from(bad_from_3, "", "goes on before it");
	test_bad_from(bad_from_5, "", "goes on behind it");
	test_bad_from(bad_from_twice, "", "goes on twice");
	test_bad_have(NULL, "D", "sends data of what is there");
	test_bad_have(bad_from_0, "", "starts over with what is there");
	test_bad_have(bad_from_3, "", "goes on within what is there");
}

/* Talks that are in order, up to some point. */
static void
test_sender_talk(const char *talk, int code, const char *what)
{
	start_receiver();
	say(talk);
	stop_receiver();
	check(side.code == code, "%s: status %d", what, code);
}

static void
test_sender_talks(void)
{
	test_sender_talk("", 9, "a sender that says nothing and ends");
	test_sender_talk("P", 7, "a sender that ends after its preamble");
	test_sender_talk("PT", 7, "a sender that ends after BEGIN");
	test_sender_talk("PTo", 7, "a sender that ends after an offer");
	test_sender_talk("PTo4", 7, "a sender that ends within the data");
	test_sender_talk("PToD", 7, "a sender that ends after the data");
	test_sender_talk("PToDC", 7, "a sender that ends after CLOSE");
	test_sender_talk("PToDCE", 7, "a sender that ends after END");
	test_sender_talk("PToDCEv", 7, "a sender that ends without BYE");
	test_sender_talk("PToDCEvB", 0, "a whole talk");
	check(files_has_text(files_path("in/x"), content), "it is there");
	test_sender_talk("KP", 9, "a frame before the preamble");
	test_sender_talk("PKTKoK4K3KCKEKvKB", 0, "a talk with keep-alives");
	check(files_has_text(files_path("in/x"), content), "it is there");
	test_sender_talk("PTEvB", 0, "a tree of nothing");
	test_sender_talk("PToXEvB", 9, "a file that is dropped");
	test_sender_talk("PTo4XEvB", 9, "a file that is dropped halfway");
	check(files_count(files_path("in")) == 0, "nothing is left of it");
	test_sender_talk("PToyDCDCEvB", 0, "two offers before the data");
	test_sender_talk("PTs4DCEvB", 9, "a stream with another digest");
	test_sender_talk("PT", 7, "a sender that ends after BEGIN, again");
	test_sender_talk("PTA", 9, "a sender that gives up");
	check(strstr(side.err.text, "disk full") != NULL, "its reason is told");
	test_sender_talk("PTo4A", 9, "a sender that gives up halfway");
	check(!files_is_there(files_path("in/x")), "it is not there");
	start_receiver();
	say("PToDC");
	fake.end.missing = 2;
	say("EvB");
	stop_receiver();
	check(side.code == 9 && files_has_text(files_path("in/x"), content),
	    "a sender that misses something");
	start_receiver();
	say("PToDC");
	fake.chain[3] ^= 1;
	say("EvB");
	stop_receiver();
	check(side.code == 9, "a sender with another digest of the transfer");
}

/* Each byte of a whole talk, one bit of it damaged. */
static void
test_damaged_sender(void)
{
	uint64_t seed = tap_seed();
	size_t at, length = TALK_MAX, wrong = 0, told = 0;

	for (at = 0; at < length && wrong < 5; at++) {
		start_receiver();
		fake.flip_byte = at;
		fake.flip_bit = (unsigned)(tap_random(&seed) % 8);
		say("PTdlosDCDCEvB");
		stop_receiver();
		if (side.code == 0 && fake.said <= at)
			length = fake.said;
		else if (side.code != 9) {
			tap_note("bit %u of byte %zu: status %d",
			    fake.flip_bit, at, side.code);
			wrong++;
		}
		told += is_told(9);
	}
	check(wrong == 0 && length < TALK_MAX && told > length / 2,
	    "each byte of a sender's talk may be damaged");
}

/* A sender and a bad receiver. */

static char sent_path[FILES_PATH_MAX];
static char *operands[] = { sent_path, NULL };

static void
start_sender(void)
{
	int64_t silence_ms = side.silence_ms;

	side_end(&side);
	side = (struct side){ .mode = mode, .operands = operands,
	    .silence_ms = silence_ms };
	if (!fake_meet(&fake, &side, tcp))
		tap_note("cannot start");
}

static void
stop_sender(void)
{
	fake_finish(&fake);
	fake_part(&fake, &side);
	tcp = !tcp;
}

static void
put_sent(const void *data, size_t size)
{
	(void)snprintf(sent_path, sizeof(sent_path), "%s",
	    files_path("from/x"));
	(void)unlink(sent_path);
	(void)files_put(sent_path, data, size);
}

static void
bad_take_more(void)
{
	fake_put_number(&fake, WIRE_TAKE, LENGTH + 1);
}

static void
bad_take_huge(void)
{
	fake_put_number(&fake, WIRE_TAKE, UINT64_C(1) << 63);
}

static void
bad_have_more(void)
{
	fake_put_number(&fake, WIRE_HAVE, LENGTH + 1);
}

static void
bad_refuse_code(void)
{
	fake_reason(&fake, WIRE_REFUSE, 0, 0, "");
}

static void
bad_failed_code(void)
{
	fake_reason(&fake, WIRE_FAILED, 0, 99, "");
}

static void
bad_failed_entry(void)
{
	fake_reason(&fake, WIRE_FAILED, UINT64_C(1) << 63, 1, "");
}

static void
bad_confirm(void)
{
	fake_confirm(&fake, UINT64_C(1) << 63, 0);
}

static void
bad_offer(void)
{
	const struct wire_offer o = fake_file_offer("x", LENGTH);

	fake_offer(&fake, &o);
}

static void
bad_data(void)
{
	fake_data(&fake, content, LENGTH);
}

static void
bad_check(void)
{
	fake_check(&fake, content, 4);
}

static void
bad_greet(void)
{
	fake_greet(&fake, WIRE_VERSION, 0);
}

static void
bad_bye(void)
{
	fake_empty(&fake, WIRE_BYE);
}

static const struct bad bad_receivers[] = {
	{ "begins with text", "", bad_text },
	{ "greets as a sender", "", bad_echo },
	{ "speaks version 0", "", bad_version_0 },
	{ "greets damaged", "", bad_preamble },
	{ "greets damaged at the end", "", bad_preamble_end },
	{ "greets half", "", bad_half_preamble },
	{ "says nothing and ends", "", NULL },
	{ "greets twice", "P", bad_greet },
	{ "sends text for GO", "P", bad_text },
	{ "sends an unknown type", "Pg", bad_type },
	{ "sends type 0", "Pg", bad_type_0 },
	{ "sends a reserved byte", "Pg", bad_reserved },
	{ "sends a wrong length", "Pg", bad_length },
	{ "sends a damaged header", "Pg", bad_header },
	{ "sends a damaged payload", "Pg", bad_payload },
	{ "gives up at length", "Pg", bad_long_abort },
	{ "gives up without a code", "Pg", bad_empty_abort },
	{ "gives up with code 0", "Pg", bad_abort_code },
	{ "gives up with code 10", "Pg", bad_abort_code_10 },
	{ "says GO twice", "Pgg", NULL },
	{ "takes before GO", "Pt", NULL },
	{ "checks before GO", "P", bad_check },
	{ "judges before GO", "P", bad_verdict },
	{ "takes more than there is", "Pgo", bad_take_more },
	{ "takes far more than there is", "Pgo", bad_take_huge },
	{ "has more than there is", "Pgo", bad_have_more },
	{ "takes twice", "Pgott", NULL },
	{ "takes and refuses", "Pgotr", NULL },
	{ "refuses and takes", "Pgort", NULL },
	{ "refuses without a code", "Pgo", bad_refuse_code },
	{ "fails with code 99", "Pgo", bad_failed_code },
	{ "fails an entry of 2^63", "Pgo", bad_failed_entry },
	{ "confirms 2^63 entries", "Pgo", bad_confirm },
	{ "checks what it did not offer", "Pgot", bad_check },
	{ "checks without having it", "Pgo", bad_check },
	{ "checks twice", "Pgo4cc", NULL },
	{ "offers", "Pg", bad_offer },
	{ "sends data", "Pgo", bad_data },
	{ "says BYE", "Pgote", bad_bye },
	{ "judges before the end", "Pgo", bad_verdict },
};

static void
test_bad_receiver(const struct bad *b)
{
	bool stranger = *b->before != 'P';
	size_t heard;

	start_sender();
	say(b->before);
	if (b->bad != NULL)
		b->bad();
	heard = fake.heard;
	stop_sender();
	/* Nothing is said to a stranger. */
	check(side.code == 9 && (stranger ? fake.heard == 0 :
	    fake.heard > heard), "a receiver that %s", b->name);
	if (!stranger)
		check(is_told(9), "it is told so");
}

static void
test_bad_receivers(void)
{
	size_t i;

	put_sent(content, LENGTH);
	for (i = 0; i < COUNT(bad_receivers); i++)
		test_bad_receiver(&bad_receivers[i]);
	/* The lower of both versions is spoken. */
	start_sender();
	fake_greet(&fake, WIRE_VERSION + 1, 0);
	check(fake_hear(&fake), "a receiver that speaks more is answered");
	say("goteVb");
	stop_sender();
	check(side.code == 0, "in the version that both speak");
}

static void
test_receiver_talk(const char *talk, int code, const char *what)
{
	start_sender();
	say(talk);
	stop_sender();
	check(side.code == code, "%s: status %d", what, code);
}

static void
test_receiver_talks(void)
{
	put_sent(content, LENGTH);
	test_receiver_talk("P", 7, "a receiver that ends after its greeting");
	test_receiver_talk("Pg", 7, "a receiver that ends after GO");
	test_receiver_talk("Pgo", 7, "a receiver that ends after an offer");
	test_receiver_talk("Pgot", 7, "a receiver that ends after TAKE");
	test_receiver_talk("Pgote", 7, "a receiver that ends without VERDICT");
	test_receiver_talk("PgoteVb", 0, "a whole talk");
	test_receiver_talk("PKgKoKktkeKVb", 0, "a talk with keep-alives");
	test_receiver_talk("P_g_o_t_e_V_b", 0, "a slow talk");
	test_receiver_talk("Pgo4ceVb", 0, "a talk that resumes");
	check(side.result.there == 4, "behind what is there");
	test_receiver_talk("Pgo4xeVb", 0, "a talk that starts over");
	check(side.result.there == 0, "at the beginning");
	test_receiver_talk("PgohCeVb", 0, "a receiver that has it");
	check(side.result.there == LENGTH, "and need not get it");
	test_receiver_talk("PgohxeVb", 9, "a receiver that has another");
	test_receiver_talk("PgoreWb", 9, "a receiver that refuses");
	check(strstr(side.err.text, "not welcome") != NULL,
	    "its reason is told");
	test_receiver_talk("PgotfeWb", 9, "a receiver that fails");
	check(strstr(side.err.text, "disk full") != NULL,
	    "its reason is told");
	test_receiver_talk("PgofteWb", 9, "one that fails early");
	test_receiver_talk("PgoteWb", 9, "one that misses something");
	start_sender();
	say("Pgote");
	bad_verdict();
	say("b");
	stop_sender();
	check(side.code == 9, "a receiver with another digest");
	test_receiver_talk("PA", 9, "a receiver that gives up at once");
	check(strstr(side.err.text, "disk full") != NULL,
	    "its reason is told");
	test_receiver_talk("PgA", 9, "a receiver that gives up after GO");
	test_receiver_talk("PgotA", 9, "a receiver that gives up after TAKE");
	test_receiver_talk("PgoteA", 9, "a receiver that gives up at the end");
}

static void
test_damaged_receiver(void)
{
	uint64_t seed = tap_seed();
	size_t at, length = TALK_MAX, wrong = 0;

	put_sent(content, LENGTH);
	for (at = 0; at < length && wrong < 5; at++) {
		start_sender();
		fake.flip_byte = at;
		fake.flip_bit = (unsigned)(tap_random(&seed) % 8);
		say("Pgo4ckeVb");
		stop_sender();
		if (side.code == 0 && fake.said <= at)
			length = fake.said;
		else if (side.code != 9 || (at < WIRE_PREAMBLE &&
		    fake.heard != 0)) {
			tap_note("bit %u of byte %zu: status %d",
			    fake.flip_bit, at, side.code);
			wrong++;
		}
	}
	check(wrong == 0 && length < TALK_MAX,
	    "each byte of a receiver's talk may be damaged");
}

/* What a sender sends, byte by byte: the content, and what it resumes. */
static void
test_sent(void)
{
	put_sent(content, LENGTH);
	start_sender();
	say("Pgo4");
	say("c");
	check(fake_next(&fake) == WIRE_FROM && fake_number(&fake) == 4 &&
	    fake_next(&fake) == WIRE_DATA && fake.len == LENGTH - 4 &&
	    memcmp(fake.payload, content + 4, LENGTH - 4) == 0 &&
	    fake_next(&fake) == WIRE_CLOSE, "only the rest is sent");
	stop_sender();
	start_sender();
	say("PgohC");
	check(fake_next(&fake) == WIRE_FROM && fake_number(&fake) == LENGTH &&
	    fake_next(&fake) == WIRE_CLOSE, "of a whole file nothing");
	stop_sender();
	start_sender();
	say("Pgohx");
	check(fake_next(&fake) == WIRE_DROP && fake_code(&fake) == 9,
	    "and nothing of another one");
	stop_sender();
}

/* Offers run ahead, but not too far. */
static void
test_window(void)
{
	const struct timeval moment = { .tv_sec = 1 };
	const struct timeval limit = { .tv_sec = 10 };
	int i, offers = 0;

	files_empty(files_path("from/many"));
	for (i = 0; i < MANY; i++)
		(void)files_put(files_path("from/many/%d", i), "", 0);
	(void)snprintf(sent_path, sizeof(sent_path), "%s",
	    files_path("from/many"));
	start_sender();
	say("Pg");
	(void)setsockopt(fake.fd, SOL_SOCKET, SO_RCVTIMEO, &moment,
	    sizeof(moment));
	while (fake_any(&fake) == WIRE_OFFER || fake.type == WIRE_BEGIN)
		offers += fake.type == WIRE_OFFER;
	check(offers == WIRE_WINDOW, "%d offers at once", offers);
	(void)setsockopt(fake.fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
	    sizeof(limit));
	for (i = 0; i < offers; i++)
		fake_put_number(&fake, WIRE_TAKE, 0);
	while (fake_any(&fake) != 0 && fake.type != WIRE_END)
		if (fake.type == WIRE_OFFER) {
			fake_put_number(&fake, WIRE_TAKE, 0);
			offers++;
		}
	check(offers == MANY + 1 && fake.type == WIRE_END, "then the rest");
	say("Vb");
	stop_sender();
	check(side.code == 0 && side.result.files == MANY, "to the end");
	files_empty(files_path("from/many"));
	(void)rmdir(files_path("from/many"));
}

/* Files that change: each is dropped, and the other one arrives. */

static void
change_nothing(void)
{
}

static void
change_gone(void)
{
	(void)unlink(files_path("from/t/b"));
}

static void
change_shorter(void)
{
	if (truncate(files_path("from/t/b"), 3) != 0)
		tap_note("%s", strerror(errno));
}

static void
change_longer(void)
{
	if (truncate(files_path("from/t/b"), BIG + 1) != 0)
		tap_note("%s", strerror(errno));
}

/* As long as before, and written to. */
static void
change_content(void)
{
	int fd = open(files_path("from/t/b"), O_WRONLY);

	if (pwrite(fd, "x", 1, BIG - 1) != 1)
		tap_note("%s", strerror(errno));
	(void)close(fd);
}

static void
change_replaced(void)
{
	(void)files_put(files_path("from/t/new"), big, BIG);
	(void)rename(files_path("from/t/new"), files_path("from/t/b"));
}

static void
change_fifo(void)
{
	change_gone();
	(void)mkfifo(files_path("from/t/b"), 0644);
}

static void
change_directory(void)
{
	change_gone();
	(void)mkdir(files_path("from/t/b"), 0755);
}

static void
change_link(void)
{
	change_gone();
	files_make_link("a", files_path("from/t/b"));
}

static const struct change {
	const char *what;
	void (*change)(void);
	bool late;		/* it can happen when it is open */
	bool none;
} changes[] = {
	{ "stays as it is", change_nothing, true, true },
	{ "vanishes", change_gone, false, false },
	{ "becomes shorter", change_shorter, true, false },
	{ "becomes longer", change_longer, true, false },
	{ "is written to", change_content, true, false },
	{ "is replaced", change_replaced, false, false },
	{ "becomes a FIFO", change_fifo, false, false },
	{ "becomes a directory", change_directory, false, false },
	{ "becomes a link", change_link, false, false },
};

/* TAKE for all; what comes for the second file: CLOSE or DROP. */
static unsigned
hear_tree(int changed_at, const struct change *c)
{
	unsigned fate = 0;
	int closed = 0;

	while (fake_any(&fake) != 0 && fake.type != WIRE_END) {
		if (fake.type == WIRE_DATA && closed == 1 && changed_at == 1 &&
		    fate == 0) {
			c->change();
			fate = WIRE_DATA;
		}
		if (fake.type != WIRE_CLOSE && fake.type != WIRE_DROP)
			continue;
		if (++closed == 2)
			fate = fake.type == WIRE_DROP && fake_code(&fake) !=
			    1 ? 0 : fake.type;
	}
	return closed == 3 ? fate : 0;
}

static void
test_change(const struct change *c, bool late)
{
	unsigned fate;
	int i;

	files_empty(files_path("from/t"));
	(void)files_put(files_path("from/t/a"), content, LENGTH);
	(void)files_put(files_path("from/t/b"), big, BIG);
	(void)files_put(files_path("from/t/c"), content, LENGTH);
	(void)snprintf(sent_path, sizeof(sent_path), "%s",
	    files_path("from/t"));
	/* Without room for all of it on the way. */
	tcp = tcp && !late;
	start_sender();
	say("Pgoooo");
	/* Another time stamp, whatever the clock's step. */
	sleep_ms(10);
	if (!late)
		c->change();
	for (i = 0; i < 4; i++)
		say("t");
	fate = hear_tree(late, c);
	say("Vb");
	stop_sender();
	check(fate == (c->none ? WIRE_CLOSE : WIRE_DROP) &&
	    side.code == !c->none, "a file that %s %s", c->what,
	    late ? "while it is read" : "before it is read");
}

static void
test_changes(void)
{
	size_t i;

	for (i = 0; i < COUNT(changes); i++) {
		test_change(&changes[i], false);
		if (changes[i].late)
			test_change(&changes[i], true);
	}
	/* Something of it is there: CHECK is on its way, and no FROM. */
	put_sent(content, LENGTH);
	start_sender();
	say("Pgo");
	(void)unlink(files_path("from/x"));
	say("4c");
	check(fake_next(&fake) == WIRE_DROP && fake_code(&fake) == 1,
	    "one that vanishes before it is resumed");
	say("eVb");
	stop_sender();
	check(side.code == 1, "is the sender's failure");
}

/* Patience. */

static int64_t
took_ms(int64_t since_ns)
{
	return (clock_now_ns() - since_ns) / CLOCK_MS;
}

static void
test_silence(bool sends)
{
	const char *what = sends ? "receiver" : "sender";
	int64_t start_ns = clock_now_ns();
	int i;

	put_sent(content, LENGTH);
	side.silence_ms = SILENCE_MS;
	if (sends)
		start_sender();
	else
		start_receiver();
	/* It speaks, and then not any more. */
	say(sends ? "Pgo" : "PTo");
	while (fake_any(&fake) != 0)
		continue;
	check(took_ms(start_ns) >= SILENCE_MS &&
	    took_ms(start_ns) < 50 * SILENCE_MS, "a silent %s is left",
	    what);
	if (sends)
		stop_sender();
	else
		stop_receiver();
	check(side.code == 6 && side.result.resumable,
	    "a silent %s is a time limit", what);
	/* Whoever never says anything does not speak the protocol. */
	side.silence_ms = SILENCE_MS;
	if (sends)
		start_sender();
	else
		start_receiver();
	(void)fake_any(&fake);
	if (sends)
		stop_sender();
	else
		stop_receiver();
	check(side.code == 9, "a %s that never speaks", what);
	/* Whoever lives is waited for. */
	side.silence_ms = LONG_SILENCE_MS;
	if (sends)
		start_sender();
	else
		start_receiver();
	say(sends ? "Pgo" : "PT");
	for (i = 0; i < 2 * LONG_SILENCE_MS / SHORT_MS; i++)
		say("_K");
	say(sends ? "teVb" : "oDCEvB");
	if (sends)
		stop_sender();
	else
		stop_receiver();
	check(side.code == 0, "a %s that only keeps alive for a while", what);
	side.silence_ms = 0;
}

/* A side that has nothing to say says so often enough. */
static void
test_keep_alive(bool sends)
{
	int64_t start_ns = clock_now_ns(), last_ns = start_ns, longest = 0;
	int heard = 0;

	put_sent(content, LENGTH);
	if (sends)
		start_sender();
	else
		start_receiver();
	fake_greet(&fake, WIRE_VERSION, 3 * SILENCE_MS);
	if (sends) {
		(void)fake_hear(&fake);
		say("g");
	} else
		fake_announce(&fake, WIRE_TREE);
	last_ns = clock_now_ns();
	while (took_ms(start_ns) < 3 * SILENCE_MS && fake_any(&fake) != 0) {
		if (took_ms(last_ns) > longest)
			longest = took_ms(last_ns);
		last_ns = clock_now_ns();
		heard += fake.type == WIRE_KEEPALIVE;
	}
	if (!check(heard >= 2 && longest < 3 * SILENCE_MS,
	    "a %s keeps alive", sends ? "sender" : "receiver"))
		tap_note("%d heard, %lld ms", heard, (long long)longest);
	if (sends)
		stop_sender();
	else
		stop_receiver();
}

/* A greeting may come in pieces. */
static void
test_pieces(void)
{
	const struct wire_preamble p = { .version = WIRE_VERSION };
	unsigned char raw[WIRE_PREAMBLE];
	size_t i;

	put_sent(content, LENGTH);
	start_sender();
	wire_put_preamble(raw, WIRE_RECEIVER, &p);
	for (i = 0; i < sizeof(raw); i++) {
		fake_put(&fake, raw + i, 1);
		sleep_ms(1);
	}
	(void)fake_hear(&fake);
	say("goteVb");
	stop_sender();
	check(side.code == 0, "a greeting byte by byte");
}

/* Numbers at the edge. */
static void
test_huge(void)
{
	struct wire_offer o = fake_file_offer("x", LENGTH);
	unsigned a, b;

	start_receiver();
	say("PT");
	o.size = o.stored = INT64_MAX;
	put_offer(&o);
	(void)fake_next(&fake);
	a = fake_next(&fake) == WIRE_REFUSE ? fake_code(&fake) : 0;
	fake_pass(&fake, 0, NULL);
	/* All holes: it has room. The kernel decides how large it gets. */
	o.name = "y";
	o.stored = 0;
	put_offer(&o);
	b = fake_next(&fake);
	fake_put_number(&fake, WIRE_HOLE, WIRE_HOLE_MAX);
	stop_receiver();
	check(a == 1 && b == WIRE_TAKE && side.code == 7,
	    "a file of 2^63 - 1 bytes needs more than is free");
	check(files_stat(files_path("in/.y.haul-part")).st_size ==
	    WIRE_HOLE_MAX && files_stat(files_path("in/.y.haul-part"))
	    .st_blocks < 1000, "one of nothing but holes does not");
}

/* Many refusals, and nobody listens: it does not take all memory. */
static void
test_deaf_sender(void)
{
	struct wire_offer o = fake_file_offer("../x", LENGTH);
	unsigned char raw[WIRE_HEADER + WIRE_CONTROL_MAX];
	static char many[256 * 1024];
	size_t size, len;
	int i;

	start_receiver();
	say("PT");
	size = wire_put_offer(raw, &o);
	for (len = 0; len + size <= sizeof(many); len += size)
		memcpy(many + len, raw, size);
	for (i = 0; i < 32; i++)
		fake_put(&fake, many, len);
	stop_receiver();
	check(side.code != 0 && files_count(files_path("in")) == 0,
	    "a sender that offers for ever and never listens");
}

static void
test_all(void)
{
	test_bad_senders();
	test_bad_resumes();
	test_sender_talks();
	test_damaged_sender();
	test_bad_receivers();
	test_receiver_talks();
	test_damaged_receiver();
	test_sent();
	test_window();
	test_changes();
	/* Both roles share what these are about. */
	test_silence(mode == SK_BLOCKING);
	test_keep_alive(mode == SK_NONBLOCKING);
	test_pieces();
	test_huge();
	test_deaf_sender();
}

int
main(void)
{
	tap_start();
	files_start();
	files_empty(files_path("from"));
	files_fill(big, sizeof(big), 1);
	mode = SK_NONBLOCKING;
	test_all();
	mode = SK_BLOCKING;
	test_all();
	side_end(&side);
	files_end();
	return tap_done();
}
