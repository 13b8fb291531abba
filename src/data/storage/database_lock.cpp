#include "data/storage/database_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "core/printable.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

Descriptor open_folder(const std::string& folder) {
  return Descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/// Locks a folder if the file system supports it. Returns false if another process holds the lock.
bool lock(const Descriptor& folder, int how) {
  return folder.get() < 0 || ::flock(folder.get(), how | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

}  // namespace

Descriptor lock_for_reading(const std::string& path) {
  Descriptor folder = open_folder(path);
  require(lock(folder, LOCK_SH), "the database ", printable(path),
          " is being written by another process; wait until it has ended");
  return folder;
}

Descriptor lock_for_writing(const std::string& folder, const std::string& path) {
  Descriptor opened = open_folder(folder);
  require(lock(opened, LOCK_EX), "the database ", printable(path),
          " is in use: another process makes or reads it; wait until it has ended");
  return opened;
}

Descriptor lock_databases_in(const std::string& folder) {
  constexpr int kTries = 100;
  Descriptor opened = open_folder(folder);
  for (int i = 0; i < kTries && !lock(opened, LOCK_EX); ++i) ::usleep(50'000);
  return opened;
}

}  // namespace doppio
