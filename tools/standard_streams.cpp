#include "tools/standard_streams.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "doppio/error.hpp"

namespace doppio {

void open_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    const bool closed = ::fcntl(fd, F_GETFD) < 0 && errno == EBADF;
    if (closed) ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);  // the lowest is fd
  }
}

bool finish_output() {
  errno = 0;
  int error = std::fflush(stdout) == 0 ? 0 : errno;  // std::cout is synchronized with stdio
  const bool failed = error != 0 || std::ferror(stdout) != 0 || !std::cout;
  // The reason of an earlier failure is lost, but another write fails for the same reason.
  if (failed && error == 0 && ::write(STDOUT_FILENO, "\n", 1) < 0) error = errno;
  // Some file systems report a full disk only on close. A duplicate is closed, because stdout is
  // flushed again at exit.
  if (const int copy = failed ? -1 : ::dup(STDOUT_FILENO); copy >= 0 && ::close(copy) != 0)
    error = errno;
  if (error == EPIPE) return false;
  require(!failed && error == 0, "cannot write the result: ",
          error == 0 ? "an earlier part of it is missing" : std::strerror(error));
  return true;
}

}  // namespace doppio
