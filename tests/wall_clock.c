// SPDX-License-Identifier: MIT
/* A wall clock that a test can set while a program runs: to be preloaded (ld.so(8), LD_PRELOAD).

   The file that WALL_CLOCK_FILE names tells by how many seconds the clock is ahead. Only the wall clock is
   touched. libfaketime 0.9.10 cannot do that: what it makes of clock_nanosleep(2) on CLOCK_MONOTONIC, which is
   Python's time.sleep, fails with EINVAL. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long ahead_s(void) {
  char told[32] = "";
  int file = open(getenv("WALL_CLOCK_FILE"), O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    if (read(file, told, sizeof told - 1) < 0) told[0] = 0;
    close(file);
  }
  return atol(told);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int failed = real(clock, now);
  if (!failed && clock == CLOCK_REALTIME) now->tv_sec += ahead_s();
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec exact;
  int failed = clock_gettime(CLOCK_REALTIME, &exact);
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return failed;
}

time_t time(time_t *now) {
  struct timespec exact;
  clock_gettime(CLOCK_REALTIME, &exact);
  if (now) *now = exact.tv_sec;
  return exact.tv_sec;
}
