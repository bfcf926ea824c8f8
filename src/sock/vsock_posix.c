#include "sock/vsock.h"

bool
vsock_address(const struct addr *a, struct sk_addr *out, const char *who,
    enum err_code code, struct err *e)
{
	(void)a;
	(void)out;
	err_set(e, code, 0, who, "this system has no vsock");
	return false;
}

bool
vsock_split(const struct sk_addr *a, struct sk_name *name)
{
	(void)a;
	(void)name;
	return false;
}
