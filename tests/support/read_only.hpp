#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <string>

namespace doppio {

/// Runs `action` in a child process that may not write to `path`; true if it returned true.
inline bool without_write_permission(const std::string& path, const std::function<bool()>& action) {
  namespace fs = std::filesystem;
  fs::permissions(path, fs::perms(0555));
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0) _exit(2);
    bool ok = false;
    try {
      ok = action();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());
    }
    _exit(ok ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  fs::permissions(path, fs::perms(0755));
  return status == 0;
}

}  // namespace doppio
