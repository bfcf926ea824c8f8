/* The socket options that Linux has besides the portable ones. */
#define _GNU_SOURCE
#include "sock/sockopt_impl.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum {
	ALL = SOCKOPT_LISTEN | SOCKOPT_CONNECT | SOCKOPT_ACCEPTED,
	BOTH_ENDS = SOCKOPT_CONNECT | SOCKOPT_ACCEPTED,
	BEFORE = SOCKOPT_LISTEN | SOCKOPT_CONNECT,
	PROTOCOL_MPTCP = 262,		/* IPPROTO_MPTCP of newer headers */
};

const struct sockopt_def sockopt_platform[] = {
	{ "keepidle", FORM_NUMBER, BOTH_ENDS, IPPROTO_TCP, TCP_KEEPIDLE,
	    INET_ONLY, 0, 0, 0, "seconds of silence before the first probe" },
	{ "keepintvl", FORM_NUMBER, BOTH_ENDS, IPPROTO_TCP, TCP_KEEPINTVL,
	    INET_ONLY, 0, 0, 0, "seconds between probes" },
	{ "keepcnt", FORM_NUMBER, BOTH_ENDS, IPPROTO_TCP, TCP_KEEPCNT,
	    INET_ONLY, 0, 0, 0, "probes before the connection is given up" },
	{ "user-timeout", FORM_NUMBER, BOTH_ENDS, IPPROTO_TCP,
	    TCP_USER_TIMEOUT, INET_ONLY, 0, 0, 0,
	    "milliseconds that data may stay unacknowledged" },
	{ "congestion", FORM_TEXT, ALL, IPPROTO_TCP, TCP_CONGESTION,
	    INET_ONLY, 0, 0, 0, "congestion control" },
	{ "mptcp", FORM_PROTOCOL, SOCKOPT_CREATE, IPPROTO_TCP, 0,
	    INET_ONLY, 0, 0, PROTOCOL_MPTCP, "Multipath TCP" },
	{ "fastopen", FORM_NUMBER, SOCKOPT_LISTEN, IPPROTO_TCP, TCP_FASTOPEN,
	    INET_ONLY, 0, 0, 0, "data with the SYN: 1, or pending ones" },
	{ "fastopen", FORM_NUMBER, SOCKOPT_CONNECT, IPPROTO_TCP,
	    TCP_FASTOPEN_CONNECT, INET_ONLY, 0, 0, 0, NULL },
	{ "reuseport", FORM_BOOL, BEFORE, SOL_SOCKET, SO_REUSEPORT,
	    ANY_FAMILY, 0, 0, 0, "share the port with other listeners" },
	{ "interface", FORM_TEXT, BEFORE, SOL_SOCKET, SO_BINDTODEVICE,
	    INET_ONLY, 0, 0, 0, "use this network interface only" },
	{ "mark", FORM_NUMBER, ALL, SOL_SOCKET, SO_MARK,
	    ANY_FAMILY, 0, 0, 0, "mark packets for routing and filters" },
	{ "dscp", FORM_DSCP, ALL, IPPROTO_IP, IP_TOS,
	    IPPROTO_IPV6, IPV6_TCLASS, 0, 0, "differentiated services" },
	{ "dontfragment", FORM_FRAGMENT, ALL, IPPROTO_IP, IP_MTU_DISCOVER,
	    IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_DONT,
	    IP_PMTUDISC_DO, "never fragment packets" },
	{ "join", FORM_GROUP, SOCKOPT_LISTEN, IPPROTO_IP, 0,
	    IPPROTO_IPV6, 0, 0, 0, "listening: receive a multicast group" },
};

const size_t sockopt_platform_count =
    sizeof(sockopt_platform) / sizeof(sockopt_platform[0]);
