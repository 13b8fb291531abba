#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/storage/database.hpp"

namespace doppio {

/// Returns true if `source` contains * or ? and there is no file of that name.
bool has_wildcards(const std::string& source);

/// Returns `source` itself, or the folders that match its wildcards * and ?, sorted by their bytes
/// (so "a-10" precedes "a-2"). Files that match are ignored. Returns none if nothing matches. Does
/// not check that the folders contain databases.
std::vector<std::string> database_paths(const std::string& source);

/// Opens one or more databases that form one: the records of the first, then those of the second,
/// and so on. All are checked at once, but only some keep their files open. Records have the path
/// of their own database. Throws: Error as open_database(), for any of them.
std::unique_ptr<Database> open_databases(const std::vector<std::string>& paths);

/// Returns a short text that is the same for copies of the databases, in whatever folders, and very
/// likely differs for others: a hash of about 16 records, spread over the keys (at least 3 of each
/// database), and the number of records unless counting would read all keys, as it does for
/// LevelDB. Example: "60000 records, sample 91bd3ad3cbf1c2ab".
std::string database_fingerprint(const std::vector<std::string>& paths);

}  // namespace doppio
