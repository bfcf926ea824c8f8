/* Handing a connection to another process: unix(7), SCM_RIGHTS. */
#include "sock/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/intr.h"

static bool
is_unix(int fd)
{
	struct sk_addr a = { .len = sizeof(a.u) };

	return getsockname(fd, &a.u.sa, &a.len) == 0 &&
	    a.u.sa.sa_family == AF_UNIX;
}

/* Who gets it expects a descriptor like any other. */
static bool
make_plain(struct sock *s, struct err *e)
{
	if (!sock_set_blocks(s, true)) {
		err_set(e, ERR_LOCAL, errno, s->name, "%s", "");
		return false;
	}
	return sock_disarm(s, e);
}

/* sendmsg(2) with a byte, which a descriptor needs to travel with. */
static ssize_t
send_fd(int by, int fd)
{
	union {
		struct cmsghdr align;
		unsigned char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	memset(&control, 0, sizeof(control));
	m.msg_control = control.bytes;
	m.msg_controllen = sizeof(control.bytes);
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(by, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static enum sk_result
hand_over(struct sock *s, int by, struct err *e)
{
	struct pollfd p = { .fd = by, .events = POLLOUT };
	int n;

	while (send_fd(by, s->fd) != 1) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK) {
			err_set(e, ERR_LOCAL, errno, "",
			    "passing the connection on");
			return SK_ERROR;
		}
		n = intr_poll(&p, 1, s->deadline_ns[SK_OUT]);
		if (n <= 0)
			return n < 0 ? SK_INTERRUPTED : SK_TIMEOUT;
	}
	return SK_OK;
}

enum sk_result
sock_pass(struct sock **s, int fd, struct err *e)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };
	bool armed = (*s)->armed;
	enum sk_result r;

	if ((*s)->tr != &transport_stream) {
		err_set(e, ERR_LOCAL, 0, (*s)->name,
		    "this is no plain stream that can be passed on");
		return SK_ERROR;
	}
	if (!is_unix(fd)) {
		err_set(e, ERR_LOCAL, 0, "",
		    "descriptor %d, which is to get the connection, is no "
		    "UNIX socket", fd);
		return SK_ERROR;
	}
	r = make_plain(*s, e) ? hand_over(*s, fd, e) : SK_ERROR;
	if (r == SK_OK)
		sock_abort(s);
	else if (armed) {
		(void)setsockopt((*s)->fd, SOL_SOCKET, SO_LINGER, &now,
		    sizeof(now));
		(*s)->armed = true;
	}
	return r;
}
