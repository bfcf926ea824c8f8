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
vsock_format(const struct sk_addr *a, char *name, size_t size)
{
	(void)a;
	(void)name;
	(void)size;
	return false;
}
