// Preloaded, delays every message of MPI by 0 to DOPPIO_TEST_DELAY_MS milliseconds, to show that results do not depend on
// when messages arrive. Works with every MPI library, by its profiling interface.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

// MPI_Isend(buffer, count, type, to, tag, communicator, request); the types of handles differ, but all fit in a register.
int MPI_Isend(const void *buffer, int count, uintptr_t type, int to, int tag, uintptr_t communicator, void *request) {
  typedef int (*Send)(const void *, int, uintptr_t, int, int, uintptr_t, void *);
  static Send send;
  static unsigned seed;
  if (!send) {
    send = (Send)dlsym(RTLD_NEXT, "PMPI_Isend");
    if (!send) send = (Send)dlsym(RTLD_DEFAULT, "PMPI_Isend");
    seed = (unsigned)getpid();
  }
  const char *const most = getenv("DOPPIO_TEST_DELAY_MS");
  if (most && atoi(most) > 0) usleep(1000u * (unsigned)(rand_r(&seed) % (atoi(most) + 1)));
  return send(buffer, count, type, to, tag, communicator, request);
}
