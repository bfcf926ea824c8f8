#ifndef HAUL_SOCK_IMPL_H
#define HAUL_SOCK_IMPL_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "sock/sock.h"

struct sk_addr {
	socklen_t len;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
		struct sockaddr_storage storage;
	} u;
};

/*
 * What a transport can do. Each function makes one attempt and returns SK_OK,
 * SK_EOF, a want, or SK_ERROR with *e filled; none waits, none knows the mode
 * or the deadline; but where s->sleeps says so, an attempt to receive may sleep
 * until it is interrupted (a want then). NULL means that there is nothing to do
 * (SK_OK), but for accept, recv and send, which must not be called then.
 */
struct transport {
	bool datagram;
	enum sk_result (*try_connect)(struct sock *, struct err *);
	enum sk_result (*try_listen)(struct sock *, struct err *);
	enum sk_result (*try_accept)(struct sock *, struct sock **,
	    struct err *);
	enum sk_result (*try_handshake)(struct sock *, struct err *);
	enum sk_result (*try_recv)(struct sock *, void *, size_t, size_t *,
	    struct err *);
	enum sk_result (*try_send)(struct sock *, const void *, size_t,
	    size_t *, struct err *);
	enum sk_result (*try_shutdown)(struct sock *, struct err *);
	enum sk_result (*try_drain)(struct sock *, struct err *);
	/* What to poll; NULL: fd, for the want. */
	size_t (*pollfds)(const struct sock *, enum sk_result,
	    struct pollfd *);
	/* Whether it has broken: SK_OK or SK_ERROR. */
	enum sk_result (*try_probe)(struct sock *, struct err *);
	/* Both ends; NULL: as getpeername(2) and getsockname(2) say. */
	bool (*ends)(const struct sock *, struct sk_addr *peer,
	    struct sk_addr *local);
	/* At the end of fd: SK_OK if s goes on with another, or SK_EOF. */
	enum sk_result (*try_next)(struct sock *, struct err *);
	/* kicked has changed. */
	void (*set_kicked)(struct sock *);
	/* Free what priv holds; fd is closed by the caller. */
	void (*release)(struct sock *);
};

/* What a descriptor is, as far as moving bytes inside the kernel goes. */
enum sk_kind {
	KIND_OTHER,
	KIND_TCP,
	KIND_STREAM,		/* UNIX, vsock */
	KIND_PIPE,
	KIND_FILE,
	KIND_NULL,		/* /dev/null */
};

static inline bool
kind_is_stream(enum sk_kind kind)
{
	return kind == KIND_TCP || kind == KIND_STREAM;
}

enum { SK_LISTEN_MAX = 16 };

/* What a socket was opened for; shared with the clients of a listener. */
struct sk_origin {
	atomic_int users;
	struct addr addr;
	struct sock_config config;
};

/* What a connection still has to go through before it is a plain stream. */
enum sk_layer {
	LAYER_ANNOUNCED = 1 << 0,	/* read a PROXY header; announced.c */
	LAYER_ANNOUNCE = 1 << 1,	/* send one; announce.c */
	LAYER_TELNET = 1 << 2,		/* telnet.c, to the end */
};

/* How fast a side may go: the next attempt is to be made at ready_ns. */
struct sk_pace {
	uint64_t rate;			/* bytes a second; 0: any */
	int64_t ready_ns[SK_SIDES];
};

/* The ends of a connection that a PROXY header has told. */
struct sk_ends {
	struct sk_addr peer, local;
};

struct sk_addrs {
	struct sk_addr *v;	/* malloc */
	size_t count;
};

struct sock {
	const struct transport *tr;
	const struct sock_config *config;	/* never NULL */
	struct sk_origin *origin;		/* NULL: nothing was opened */
	char *name;				/* malloc */
	void *priv;				/* of the transport */
	int64_t deadline_ns[SK_SIDES];
	/* Set by an attempt that wants time to pass, not (only) an event. */
	int64_t pause_ns[SK_SIDES];
	bool pause_only[SK_SIDES];	/* ...and no event */
	unsigned char mode;		/* enum sk_mode */
	unsigned char kind;		/* enum sk_kind */
	unsigned char layers;		/* enum sk_layer, those to come */
	unsigned char stalls;		/* attempts to move in vain, in a row */
	int fd;				/* -1: none, or not one alone */
	unsigned generation;		/* of fd: no other has the same */
	int family;
	int drain_step_ms;
	atomic_int taken_error;	/* what another call took away from recv(2) */
	atomic_uint taking;	/* odd: such a call goes on */
	atomic_bool input_stopped;
	atomic_bool ended;	/* the peer has ended its direction */
	bool no_move;		/* the kernel has refused to move bytes */
	bool opaque;		/* a layer has to see every byte */
	bool armed;		/* closing it would reset it */
	bool shut;		/* our direction has ended... */
	bool clean;		/* ...with everything acknowledged before */
	bool kicked;		/* see sock_set_kicked */
	bool sleeps;		/* ...and the attempt to receive may sleep */
	atomic_bool blocks;	/* ...as fd does not have O_NONBLOCK */
	const struct latch *abort;
	struct latch *stop;
	const struct latch *nudge;
	struct sk_through *through;	/* NULL: nothing is in between */
	struct sk_pace *pace;		/* NULL: at once */
	struct sk_ends *announced;	/* NULL: as the system says */
};

/*
 * A socket of a transport around a descriptor that it owns from now on; name
 * is copied. NULL with *e filled, and the descriptor closed, without memory.
 */
struct sock *sock_make(const struct transport *tr, int fd, enum sk_mode mode,
    const char *name, struct err *e);

/* A number that no descriptor of any socket has had; for generation. */
unsigned sock_next_generation(void);

/* An attempt of a side is to be made again at wake_ns, whatever happens. */
void sock_pause(struct sock *s, enum sk_side side, int64_t wake_ns,
    bool no_fds);

/*
 * What every call is made of: sock_begin before an attempt, and sock_again
 * after it, which is true if it is to be tried again; *r is the result if not.
 */
void sock_begin(struct sock *s, enum sk_side side);
bool sock_again(struct sock *s, enum sk_side side, enum sk_result *r);

/* Whether a thread that waits for a side needs to watch nothing but s. */
bool sock_is_kicked(const struct sock *s, enum sk_side side);

/*
 * Let fd block or not; false with errno. For another process that is to have
 * it; or for what an attempt to receive sleeps in: everything else says
 * MSG_DONTWAIT or the like, or comes after this.
 */
bool sock_set_blocks(struct sock *s, bool blocks);

/*
 * Whether a side may go on by its pace, with up to *len bytes: what a stream
 * may move within a slice, so that it flows instead of jumping. And what it
 * has moved then.
 */
bool sock_may_go(struct sock *s, enum sk_side side, size_t *len);
void sock_went(struct sock *s, enum sk_side side, size_t len);

/* A new descriptor becomes the connection of s. */
void sock_become(struct sock *s, const struct transport *tr, int fd);

/*
 * A connected stream goes through its layers one after the other, as its config
 * says; when it has been through all that only begin it, it is transport_stream
 * or telnet. Each layer calls the second at its end.
 */
void sock_first_layer(struct sock *s, bool accepted);
void sock_next_layer(struct sock *s);
extern const struct transport transport_announced, transport_announce,
    transport_telnet;

/* s, whose transport is telnet now, gets what it needs; telnet.c. */
void telnet_begin(struct sock *s);

/*
 * What s is for: origin, of which s is a user from now on, and the pace that it
 * asks for. False with *e filled without memory.
 */
bool sock_set_origin(struct sock *s, struct sk_origin *origin,
    struct err *e);

/* s is called name from now on; as before if there is no memory. */
void sock_set_name(struct sock *s, const char *name);

/* As messages show its peer. */
void sock_name_peer(struct sock *s, const struct sk_addr *peer);

/* Both ends of a connection, as announced or as the system says. */
bool sock_ends(const struct sock *s, struct sk_addr *peer,
    struct sk_addr *local);

/*
 * Small writes of TCP go out at once: a relay has nothing to wait for. Not
 * where the user has asked for something else.
 */
void sock_set_nodelay(int fd);

/* Switch the reset off (or set what --sockopt linger asked for). */
bool sock_disarm(struct sock *s, struct err *e);

/* The options of s for a stage; true if there are none. */
bool sock_apply_options(const struct sock *s, enum sockopt_stage stage,
    int fd, int family, struct err *e);

/*
 * An address as text, in its parts: host and port, "vsock CID" and port, or
 * "unix:" and the path.
 */
struct sk_name {
	char host[ADDR_HOST_MAX];
	char port[ADDR_PATH_MAX + 2];
};
void sock_split(const struct sk_addr *a, struct sk_name *name);

/* And as messages show it: "192.0.2.7 port 80", "unix:/run/x". */
void sock_format(const struct sk_addr *a, char *name, size_t size);

extern const struct transport transport_new, transport_stream,
    transport_datagram;

/* The first attempt of sock_connect and sock_listen; they set tr and priv. */
enum sk_result dial_start(struct sock *s, struct err *e);
enum sk_result listen_start(struct sock *s, struct err *e);

/* The address that the first datagram in the queue of fd came from. */
enum sk_result datagram_peek(struct sock *s, int fd, struct sk_addr *peer,
    struct sk_addr *local, struct err *e);

/* One datagram of whatever sender. */
enum sk_result datagram_recv_from(struct sock *s, int fd, void *buf,
    size_t len, size_t *got, struct err *e);

/* The path of a UNIX socket that we bound; unix.c. */
struct unix_path {
	char path[ADDR_PATH_MAX + 1];	/* ours to remove; "": none */
	dev_t dev;
	ino_t ino;
};

/*
 * s, whose fd has received from peer at local (len 0: unknown), shall talk
 * with this peer alone. *path becomes that of s, which removes it at its end.
 * False with *e filled.
 */
bool datagram_set_peer(struct sock *s, const struct sk_addr *peer,
    const struct sk_addr *local, struct unix_path *path, struct err *e);

/* Bind a UNIX socket with a mode (-1: as the umask says); *made is its path. */
enum sk_result unix_bind(int fd, const struct sk_addr *a, int mode,
    struct unix_path *made, struct err *e);
void unix_remove(struct unix_path *made);

/* One send(2): SK_OK with *put, SK_WANT_WRITE, or SK_ERROR with errno. */
enum sk_result sock_send_fd(int fd, const void *buf, size_t len,
    size_t *put);

/* The pending error of a socket as an errno value, cleared by asking. */
int sock_take_error(int fd);

/* Fill *e with "cannot bind" and its reason; returns SK_ERROR. */
enum sk_result sock_bind_error(const struct sk_addr *a, int sys,
    const char *phase, struct err *e);

/*
 * A new descriptor of a family for s, or -1 with *e filled; ERR_CONNECT if
 * another family might do.
 */
int sock_open_fd(const struct sock *s, int family, bool listens,
    struct err *e);

/*
 * The kernel tells the error of a connection once, and recv(2) sees an end in
 * order after that. So a call that may take it is put between the first two,
 * and notes it before the second; who sees an end awaits that: 0, or what was
 * taken.
 */
void sock_begin_taking(struct sock *s);
void sock_end_taking(struct sock *s);
void sock_note_taken(struct sock *s, int sys);
int sock_await_taken(struct sock *s);

/* Nothing comes any more, and nothing can be sent. */
bool sock_is_dead(const struct sock *s);

#endif
