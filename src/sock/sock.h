#ifndef HAUL_SOCK_SOCK_H
#define HAUL_SOCK_SOCK_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/latch.h"
#include "sock/addr.h"
#include "sock/sockopt.h"

/*
 * A socket, or something that is read and written like one: a connection, a
 * listener, a standard stream, a file. Each is in one of two modes, chosen when
 * it is made and changed at any time between calls:
 *
 *   blocking      a call waits until it has made progress, its deadline has
 *                 passed, or it is interrupted;
 *   non-blocking  a call returns at once, with the want as its result.
 *
 * The modes differ in who waits and in nothing else. Two threads may use one
 * socket at the same time if one only receives and the other only sends.
 */
struct sock;

enum sk_mode {
	SK_NONBLOCKING,
	SK_BLOCKING,
};

/* The result of every call that can wait. */
enum sk_result {
	SK_OK,
	SK_EOF,		/* the end of what can be received */
	SK_WANT_READ,	/* non-blocking: try again when readable */
	SK_WANT_WRITE,	/* non-blocking: try again when writable */
	SK_TIMEOUT,	/* the deadline has passed */
	SK_INTERRUPTED,	/* a signal asks haul to end, or the latch is set */
	SK_ERROR,	/* *e says why */
};

/* Which half of a socket a call belongs to, for sock_pollfds. */
enum sk_side {
	SK_IN,		/* accept, recv */
	SK_OUT,		/* connect, listen, handshake, send, shutdown, close */
	SK_SIDES,
};

enum { SK_POLLFDS_MAX = 64 };

struct proxy;			/* sock/proxy.h */
struct sk_addrs;		/* sock/lookup.h */

/* The PROXY protocol (haproxy's proxy-protocol.txt): how we announce us. */
enum announce {
	ANNOUNCE_NOT,
	ANNOUNCE_V1,
	ANNOUNCE_V2,
};

/* How to open; all zero is TCP, any family, non-blocking, with defaults. */
struct sock_config {
	enum sk_mode mode;
	bool datagram;
	bool numeric;			/* no name look-ups */
	int family;			/* AF_UNSPEC, AF_INET, AF_INET6 */
	const struct sockopt_list *options;	/* NULL: none */
	const char *source_host;	/* connecting: NULL: any */
	const char *source_port;	/* a number; NULL: any */
	const struct proxy *proxy;	/* connecting: NULL: directly */
	const struct sk_addrs *known;	/* connecting: looked up already */
	bool brief;			/* connecting: no words for a failure */
	enum announce announce;		/* connecting: a PROXY header first */
	bool announced;			/* listening: clients send one */
	bool telnet;			/* refuse what telnet negotiates */
	bool sessions;			/* datagrams: each peer is a client */
	bool paced;			/* connections have a pace... */
	uint64_t rate;			/* ...of bytes a second; 0: any */
	int backlog;			/* listening: 0: SOMAXCONN */
	int socket_mode;		/* of a UNIX path; -1: by the umask */
};

/*
 * Make a socket for an address; nothing is opened or looked up yet. *a and
 * *config are copied, but the texts and options in config must stay. Returns
 * NULL with *e filled if there is no memory.
 */
struct sock *sock_new(const struct addr *a, const struct sock_config *config,
    struct err *e);

/*
 * Connect: look the name up, then try its addresses as RFC 8305 says, both
 * families in turn and 250 ms apart; the first to answer wins and the others
 * are closed. SK_ERROR with a reason for every address if none answers.
 */
enum sk_result sock_connect(struct sock *s, struct err *e);

/*
 * Listen: look the name up, bind and listen on all its addresses, all under
 * one port number. A stale UNIX socket is replaced; a live one, and whatever
 * is no socket, is an error.
 */
enum sk_result sock_listen(struct sock *s, struct err *e);

/*
 * Take a connection from a listener; *client is the caller's. On a datagram
 * socket the "connection" is everything that the sender of the first datagram
 * sends; the listener is used up by it.
 */
enum sk_result sock_accept(struct sock *s, struct sock **client,
    struct err *e);

/*
 * Of a listener of sessions (sock_config): whether datagrams of unknown peers
 * make clients, as they do at first, or are dropped. In either case sock_accept
 * has to be called when there is something to receive: it is what gives the
 * clients their datagrams.
 */
void sock_set_admits(struct sock *s, bool admits);

/*
 * How many datagrams were dropped: of a client of such a listener, because it
 * did not receive them in time (256 of them, or 1 MiB, wait for it); of the
 * listener, because they were of unknown peers. 0 of any other socket.
 */
uint64_t sock_dropped(const struct sock *s);

/* Agree with the peer on what comes before the data, if there is anything. */
enum sk_result sock_handshake(struct sock *s, struct err *e);

/*
 * Receive up to len bytes; *got is their number. SK_EOF once the peer has
 * ended its direction. A datagram is received whole or not at all, and may be
 * empty (SK_OK and 0).
 */
enum sk_result sock_recv(struct sock *s, void *buf, size_t len, size_t *got,
    struct err *e);

/*
 * Send up to len bytes; *put is the number taken, which can be less for a
 * stream. A datagram is sent whole or not at all.
 */
enum sk_result sock_send(struct sock *s, const void *buf, size_t len,
    size_t *put, struct err *e);

/*
 * Move up to max bytes from one to the other inside the kernel; *moved is
 * their number, and *waits the socket that a want or an error belongs to.
 * SK_EOF at the end of from. SK_OK with 0 moved: to be tried again, if
 * sock_can_move does not say by now that the kernel cannot do it for the pair.
 */
enum sk_result sock_move(struct sock *from, struct sock *to, size_t max,
    size_t *moved, struct sock **waits, struct err *e);
bool sock_can_move(const struct sock *from, const struct sock *to);

/*
 * What sock_move has taken from a socket and not given to the other yet;
 * sock_recv receives it first.
 */
size_t sock_moving(const struct sock *from);

/* Much goes through s: if it is a pipe, it had better hold more. */
void sock_widen(struct sock *s);

/*
 * End our direction: half-close a connection, close standard output (and
 * report what only closing reports). Nothing can be sent afterwards.
 */
enum sk_result sock_shutdown_write(struct sock *s, struct err *e);

/*
 * What has come can still be received from a stream, then the end; nobody else
 * who has it can send any more.
 */
void sock_shutdown_read(struct sock *s);

/*
 * Whether a connection has broken, for who neither sends nor receives now:
 * SK_OK, or SK_ERROR with *e. Never waits. sock_peer_fd is the descriptor whose
 * POLLERR or POLLHUP is a reason to ask; -1: there is none.
 */
enum sk_result sock_probe(struct sock *s, struct err *e);
int sock_peer_fd(const struct sock *s);

/*
 * Whether there is something to receive, an end or error included; or, of a
 * listener, to accept.
 */
bool sock_has_input(const struct sock *s);

/* SK_OK once the peer has acknowledged all that was sent. */
enum sk_result sock_drain(struct sock *s, struct err *e);

/*
 * How many bytes of a stream the peer has not acknowledged (TCP, where a
 * half-close counts as one) or not read (UNIX); -1 where nobody can tell.
 */
long sock_unacknowledged(const struct sock *s);

/*
 * Close in order: drain, then close without a reset. On SK_OK *s is freed and
 * NULL; on any other result it still is the caller's.
 */
enum sk_result sock_close(struct sock **s, struct err *e);

/*
 * Let go at once; an unfinished TCP connection is reset. Removes the path of a
 * UNIX listener. *s is freed and NULL; NULL is ignored.
 */
void sock_abort(struct sock **s);

/*
 * Hand a connected stream to the process at the other end of fd, a UNIX
 * socket (SCM_RIGHTS, with a byte of 0): a blocking descriptor that lingers as
 * usual. Waits in either mode, until the deadline. On SK_OK *s is freed and
 * NULL; on SK_TIMEOUT, SK_INTERRUPTED and SK_ERROR it still is the caller's.
 */
enum sk_result sock_pass(struct sock **s, int fd, struct err *e);

/* May be called between calls; see the top of this page. */
void sock_set_mode(struct sock *s, enum sk_mode mode);

/*
 * The absolute deadline of every later call, or of those of one side alone;
 * CLOCK_NEVER at first.
 */
void sock_set_deadline(struct sock *s, int64_t deadline_ns);
void sock_set_side_deadline(struct sock *s, enum sk_side side,
    int64_t deadline_ns);

/*
 * For a TCP connection that may be silent: find out when its peer has vanished
 * (keep-alive, tcp(7)), and give up when what was sent has not been
 * acknowledged, or the peer's window has been closed, for patience_ns
 * (TCP_USER_TIMEOUT, RFC 5482). The kernel counts a closed window from when it
 * closed, even if the peer answers: to be set again, with the age of the
 * connection, when something was heard. Ignored if --sockopt sets any of it.
 */
void sock_set_patience(struct sock *s, int64_t patience_ns, int64_t age_ns);

/*
 * From now on each direction of s moves at most rate bytes a second (0: any
 * number), evenly. False with *e filled without memory. sock_delay, for a
 * socket with a pace: the next call of a side waits until a time.
 */
bool sock_set_pace(struct sock *s, uint64_t rate, struct err *e);
void sock_delay(struct sock *s, enum sk_side side, int64_t until_ns);

/*
 * Watch a latch: once it is set, calls that would wait return SK_INTERRUPTED
 * (blocking mode). NULL: none. The latch stays the caller's. With a closed one
 * (base/latch.h) one thread alone may be in calls of s, which holds kicks back
 * and is kicked by who sets the latch; no signal ends them.
 */
void sock_set_abort(struct sock *s, const struct latch *latch);

/*
 * Whoever sets that latch will also kick the threads that are in calls of s
 * (base/intr.h), again and again until they have returned. So they need not
 * watch it, nor signals, and may sleep in the call itself: a tenth of the time
 * of a short question and its answer. Not to be changed while a call goes on.
 */
void sock_set_kicked(struct sock *s, bool kicked);

/* Watch the latch that another socket watches. */
void sock_follow(struct sock *s, const struct sock *other);

/*
 * Watch a latch as well: a call that waits for input returns SK_TIMEOUT once it
 * is set (blocking mode). NULL: none. It stays the caller's.
 */
void sock_set_nudge(struct sock *s, const struct latch *latch);

/*
 * From now on sock_recv returns SK_EOF, also to a thread that waits in it if
 * the socket has a stop latch. sock_set_stop gives it one (the caller's).
 */
void sock_set_stop(struct sock *s, struct latch *latch);
void sock_stop_input(struct sock *s);

/*
 * What to poll before the call of a side that returned want is repeated:
 * descriptors (may be none) in fds, which has SK_POLLFDS_MAX elements; returns
 * their number. It is also to be repeated when sock_wake_ns has come.
 */
size_t sock_pollfds(const struct sock *s, enum sk_side side,
    enum sk_result want, struct pollfd *fds);
int64_t sock_wake_ns(const struct sock *s, enum sk_side side);

/*
 * Changes when a descriptor of the socket has been closed for another one,
 * which may have the same number.
 */
unsigned sock_generation(const struct sock *s);

/*
 * Wait as a blocking call would, for a caller of a non-blocking one: SK_OK
 * when it is to be repeated, or SK_TIMEOUT, SK_INTERRUPTED.
 */
enum sk_result sock_wait(struct sock *s, enum sk_side side,
    enum sk_result want);

/*
 * The descriptor whose POLLERR or POLLHUP tells that the reader of a standard
 * stream has gone; -1 if it cannot tell.
 */
int sock_watch_fd(const struct sock *s);

bool sock_is_datagram(const struct sock *s);
bool sock_is_terminal(const struct sock *s);

/* The peer, or what is listened at, as messages show it. */
const char *sock_name(const struct sock *s);

/*
 * Both ends of a connection, for who is told: numbers and paths, "" where there
 * is none. The peer is the one that a PROXY header has announced.
 */
struct sock_ends {
	const char *transport;		/* "tcp", "udp", "unix", "vsock" */
	bool ipv6;
	char peer_host[ADDR_HOST_MAX], peer_port[ADDR_PORT_MAX];
	char local_host[ADDR_HOST_MAX], local_port[ADDR_PORT_MAX];
};
void sock_get_ends(const struct sock *s, struct sock_ends *ends);

/* Of a listener: "HOST PORT" or "unix:PATH"; and "PORT" or "PATH". */
const char *sock_ready_line(const struct sock *s);
const char *sock_ready_port(const struct sock *s);

/*
 * The standard streams and files. Inherited descriptors keep their flags;
 * where a write could block, haul uses a file description of its own.
 */
struct sock *sock_stdin(enum sk_mode mode, struct err *e);
struct sock *sock_stdout(enum sk_mode mode, struct err *e);

/*
 * The regular file that standard input is, from where it stands: for any number
 * of readers, each of its own. And whether s, a standard stream, is one.
 */
struct sock *sock_stdin_again(enum sk_mode mode, struct err *e);
bool sock_is_file(const struct sock *s);

/* All the files of a NULL-terminated list one after the other; "-": stdin. */
struct sock *sock_files(char *const *paths, enum sk_mode mode,
    struct err *e);

/*
 * Something to wait for that is no descriptor of a peer: sock_recv returns
 * SK_OK with no bytes once the latch was set, and unsets it. It stays the
 * caller's.
 */
struct sock *sock_bell(struct latch *latch, enum sk_mode mode,
    struct err *e);

/* Takes everything and keeps nothing. */
struct sock *sock_null(enum sk_mode mode, struct err *e);

#endif
