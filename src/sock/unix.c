/* The paths of UNIX sockets that haul listens at. */
#include "sock/impl.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sock/sys.h"

/*
 * Is the socket at the path one that nobody answers at any more? Whatever
 * else is there (a file, a link, a live socket) is left alone. A datagram
 * socket asks, as it takes no connection away: a live listener for streams
 * refuses it with EPROTOTYPE.
 */
static bool
is_stale(const struct sk_addr *a, const char **cause)
{
	struct stat st;
	int fd, sys;

	if (lstat(a->u.un.sun_path, &st) != 0)
		return errno == ENOENT;
	if (!S_ISSOCK(st.st_mode)) {
		*cause = "something that is no socket is there";
		return false;
	}
	*cause = "somebody listens there";
	fd = sys_socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd == -1)
		return false;
	sys = connect(fd, &a->u.sa, a->len) == 0 ? 0 : errno;
	(void)close(fd);
	if (sys == EACCES)
		*cause = "its owner does not let us ask whether it is live";
	return sys == ECONNREFUSED || sys == ENOENT;
}

static int
bind_with_mode(int fd, const struct sk_addr *a, int mode)
{
	mode_t old = 0;
	int r, sys;

	if (mode != -1)
		old = umask((mode_t)(0777 & ~mode));
	r = bind(fd, &a->u.sa, a->len);
	sys = errno;
	if (mode != -1)
		(void)umask(old);
	errno = sys;
	return r;
}

enum sk_result
unix_bind(int fd, const struct sk_addr *a, int mode, struct unix_path *made,
    struct err *e)
{
	const char *cause = "";
	struct stat st;
	int r;

	r = bind_with_mode(fd, a, mode);
	if (r != 0 && errno == EADDRINUSE && a->u.un.sun_path[0] != '\0') {
		if (!is_stale(a, &cause))
			return sock_bind_error(a, 0, cause, e);
		(void)unlink(a->u.un.sun_path);
		r = bind_with_mode(fd, a, mode);
	}
	if (r != 0)
		return sock_bind_error(a, errno, "", e);
	if (a->u.un.sun_path[0] != '\0' &&
	    lstat(a->u.un.sun_path, &st) == 0) {
		(void)snprintf(made->path, sizeof(made->path), "%s",
		    a->u.un.sun_path);
		made->dev = st.st_dev;
		made->ino = st.st_ino;
	}
	return SK_OK;
}

/* Unless somebody has put another socket in its place. */
void
unix_remove(struct unix_path *made)
{
	struct stat st;

	if (*made->path != '\0' && lstat(made->path, &st) == 0 &&
	    st.st_dev == made->dev && st.st_ino == made->ino)
		(void)unlink(made->path);
	*made->path = '\0';
}
