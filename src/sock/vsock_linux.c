#define _GNU_SOURCE
#include "sock/vsock.h"

#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
vsock_address(const struct addr *a, struct sk_addr *out, const char *who,
    enum err_code code, struct err *e)
{
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK };

	(void)who;
	(void)code;
	(void)e;
	vm.svm_cid = (unsigned)strtoul(a->host, NULL, 10);
	vm.svm_port = (unsigned)strtoul(a->port, NULL, 10);
	memcpy(&out->u, &vm, sizeof(vm));
	out->len = sizeof(vm);
	return true;
}

bool
vsock_split(const struct sk_addr *a, struct sk_name *name)
{
	struct sockaddr_vm vm;

	if (a->u.sa.sa_family != AF_VSOCK || a->len < sizeof(vm))
		return false;
	memcpy(&vm, &a->u, sizeof(vm));
	if (vm.svm_cid == VMADDR_CID_ANY)
		(void)snprintf(name->host, sizeof(name->host), "vsock any");
	else
		(void)snprintf(name->host, sizeof(name->host), "vsock %u",
		    vm.svm_cid);
	(void)snprintf(name->port, sizeof(name->port), "%u", vm.svm_port);
	return true;
}
