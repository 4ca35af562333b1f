// SPDX-License-Identifier: MIT
// Loaded by LD_PRELOAD: a kernel that was started with ipv6.disable=1 answers socket(2) so.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>

int socket(int family, int type, int protocol) {
    if (family == AF_INET6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    int (*real)(int, int, int) = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
    return real(family, type, protocol);
}
