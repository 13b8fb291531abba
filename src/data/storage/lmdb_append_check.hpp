#pragma once
#include "data/storage/lmdb_file.hpp"

namespace doppio {

/// Checks every page of a database except pages of values, before liblmdb writes to it. liblmdb
/// does not validate what it reads. Throws: Error if a page could make it misbehave.
void check_lmdb_pages(const LmdbFile& file);

}  // namespace doppio
