#pragma once
#include <string>

#include "io/descriptor.hpp"

namespace doppio {

// Locks on database folders, held while the result lives. They need no write permission, and do
// nothing on file systems without locks.

/// Locks the database in `path` for reading. Throws: Error if Doppio is writing to it.
Descriptor lock_for_reading(const std::string& path);

/// Locks a database that is created in `folder`, for the destination `path`. Throws: Error if it is
/// being written or read.
Descriptor lock_for_writing(const std::string& folder, const std::string& path);

/// Serializes processes that check, create or move databases in `folder`. Waits at most five
/// seconds for other processes.
Descriptor lock_databases_in(const std::string& folder);

}  // namespace doppio
