/* No socket options besides the portable ones. */
#include "sock/sockopt_impl.h"

const struct sockopt_def sockopt_platform[] = {
	{ .name = "" },
};

const size_t sockopt_platform_count = 0;
