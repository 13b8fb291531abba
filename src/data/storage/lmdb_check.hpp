#pragma once
#include "data/storage/lmdb_file.hpp"

namespace doppio {

/// Looks at every page of a database except those of values, before liblmdb writes to it.
/// Throws: Error if anything in it could mislead liblmdb, which trusts it.
void check_lmdb_pages(const LmdbFile& file);

}  // namespace doppio
