#pragma once
#include <string>

#include "io/descriptor.hpp"

namespace doppio {

// Locks on the folders of databases, held as long as the result lives. They need no right to write,
// and do nothing where the file system has no locks.

/// Marks the database in `path` as being read, so that nobody of us writes to it. Throws: Error if
/// it is being written.
Descriptor lock_for_reading(const std::string& path);

/// Marks the database that is made in `folder`, to lie at `path`. Throws: Error if it is being
/// written or read.
Descriptor lock_for_writing(const std::string& folder, const std::string& path);

/// Held by one process at a time while it looks at, makes or moves the databases in `folder`. Waits
/// five seconds at most for others.
Descriptor lock_databases_in(const std::string& folder);

}  // namespace doppio
