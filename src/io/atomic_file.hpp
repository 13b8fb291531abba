#pragma once
#include <functional>
#include <ostream>
#include <string>

namespace doppio {

/// Writes `path` so that the name always holds a whole file: the old one until the new one is safe
/// on disk, and the new one from then on, whatever fails or is killed in between.
///
/// `write` gets a stream into a temporary file in the same folder, which is then flushed, synced
/// and renamed; the folder is synced last. After a failure the temporary file is gone and the old
/// file untouched. A file PATH.partial-NUMBER that a killed process left is removed when `path` is
/// next written. Throws: Error with the path and the system's reason.
void write_file_atomically(const std::string& path,
                           const std::function<void(std::ostream&)>& write);

/// As above for libraries that open files themselves: `write` gets the temporary file's name.
void write_named_file_atomically(const std::string& path,
                                 const std::function<void(const std::string&)>& write);

/// Checks that files whose path begins with `prefix` can be created, by creating and removing one.
/// Also removes temporary files that killed processes left. Throws: Error with the folder, the
/// system's reason and what to do.
void require_writable(const std::string& prefix);

/// The steps of an atomic write, in order.
enum class FileStep { open, write, sync, rename, sync_folder };

/// For tests: `before` is called before every step of every atomic write and returns 0 to continue
/// or an errno to fail with; a failing write step still writes half of its bytes. An empty function
/// removes the hook.
void set_file_step_hook(std::function<int(FileStep)> before);

}  // namespace doppio
