#include "isolate.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace doppio::conformance {
namespace {

constexpr unsigned kSecondsPerJob = 300;

struct Header {
  Result::Outcome outcome;
  std::size_t length;
};

bool read_all(int pipe, void* to, std::size_t bytes) {
  auto* p = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t n = read(pipe, p, bytes);
    if (n <= 0) return false;
    p += n;
    bytes -= static_cast<std::size_t>(n);
  }
  return true;
}

bool write_all(int pipe, const void* from, std::size_t bytes) {
  const auto* p = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t n = write(pipe, p, bytes);
    if (n <= 0) return false;
    p += n;
    bytes -= static_cast<std::size_t>(n);
  }
  return true;
}

/// The child: runs jobs until one fails, and never returns.
[[noreturn]] void work(std::size_t first, std::size_t count,
                       const std::function<Result(std::size_t)>& job, int pipe) {
  bool good = true;
  for (std::size_t i = first; good && i < count; ++i) {
    alarm(kSecondsPerJob);
    const Result result = job(i);
    const Header header{result.outcome, result.text.size()};
    good = write_all(pipe, &header, sizeof header) &&
           write_all(pipe, result.text.data(), result.text.size()) &&
           result.outcome != Result::Outcome::failed;
  }
  _exit(0);
}

std::string cause_of_death(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
    return str("still running after ", kSecondsPerJob, " s");
  if (WIFSIGNALED(status)) return str("crashed: ", strsignal(WTERMSIG(status)));
  return str("the process ended with status ", WEXITSTATUS(status));
}

}  // namespace

void run_isolated(std::size_t count, const std::function<Result(std::size_t)>& job,
                  const std::function<void(std::size_t, const Result&)>& report) {
  for (std::size_t next = 0; next < count;) {
    std::fflush(nullptr);
    int ends[2];
    ensure(pipe(ends) == 0, "cannot make a pipe");
    const pid_t child = fork();
    ensure(child >= 0, "cannot start a process");
    if (child == 0) {
      close(ends[0]);
      work(next, count, job, ends[1]);
    }
    close(ends[1]);
    bool failed = false;
    Header header;
    while (next < count && !failed && read_all(ends[0], &header, sizeof header)) {
      Result result{header.outcome, std::string(header.length, ' ')};
      if (!read_all(ends[0], result.text.data(), header.length)) break;
      failed = result.outcome == Result::Outcome::failed;
      report(next++, result);
    }
    close(ends[0]);
    const std::string cause = cause_of_death(child);
    if (!failed && next < count) report(next++, {Result::Outcome::failed, cause});
  }
}

}  // namespace doppio::conformance
