#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/naming.hpp"
#include "doppio/shape.hpp"

namespace doppio {

/// One record of a database. The views stay valid as long as the database is open and, if there is
/// an `owner`, as long as a copy of that.
struct Record {
  std::string_view key, value;
  std::shared_ptr<const std::pair<std::string, std::string>> owner = nullptr;
};

/// "database DB, record 'KEY'".
inline std::string record_name(const std::string& database, std::string_view key) {
  return str("database ", database, ", record '", key, "'");
}

/// Runs `action` and adds the database and the record's key to the message of its Error.
template <class F>
void naming_record(const std::string& database, const Record& record, F action) {
  naming([&] { return record_name(database, record.key); }, action);
}

/// A database that is open for reading, at least one record in the order of their keys. Reading
/// never writes to its folder, not even a lock, where the system forbids it; so nobody may change a
/// database meanwhile. For use by one thread at a time.
class Database {
 public:
  virtual ~Database() = default;

  /// Makes the record next that comes `k` records after the first, counted round and round.
  /// Fast if it lies shortly behind the one returned last.
  virtual void seek(std::uint64_t k) = 0;
  /// Returns the next record and moves on; after the last comes the first.
  virtual Record next() = 0;

  /// Number of records. Reads all keys if it must.
  virtual Index size() = 0;
  /// The same, or 0 if all keys would have to be read.
  virtual Index known_size() const = 0;
  /// The record in place `k`, 0 <= k < size(), whatever next() returns. The first call reads all
  /// keys.
  virtual Record at(Index k) = 0;
};

/// The databases that Caffe knows.
enum class Backend { lmdb, leveldb };

/// Throws: Error if `name` is neither "lmdb" nor "leveldb".
Backend backend_of(const std::string& name);

/// What kind of database the folder `path` holds. Throws: Error that says how to make it if there
/// is none.
Backend find_backend(const std::string& path);

/// True if the folder `path` holds a database (whole or not).
bool has_database(const std::string& path);

/// Opens whichever database the folder `path` holds. Throws: Error if there is none, or if it is
/// empty or damaged.
std::unique_ptr<Database> open_database(const std::string& path);

/// Why there is no database at `path`, and how to make it.
std::string missing_database(const std::string& path);

/// What becomes of a database that is there already.
enum class IfThere { fail, replace, append };

/// A database that is being made. Records are written in batches: after a failure the database
/// holds all complete batches.
class DatabaseWriter {
 public:
  /// The destructor drops the records that were not committed yet; see finish().
  virtual ~DatabaseWriter() = default;

  /// Adds a record. Throws: Error if the key is empty, too long or there already, or if the disk is
  /// full.
  virtual void put(std::string_view key, std::string_view value) = 0;
  /// Commits what is left and closes the database.
  virtual void finish() = 0;
  /// Closes and removes the database, for when making it has failed.
  virtual void discard() = 0;
  /// The largest key that is committed; empty if there is no record.
  virtual std::string last_key() = 0;

  /// Longest key that every backend takes, in bytes.
  static constexpr std::size_t kMaxKey = 511;
};

/// Creates the folder `path` with an empty database in it, or opens the one that is there.
/// Throws: Error if it exists and `if_there` is fail.
std::unique_ptr<DatabaseWriter> make_database(const std::string& path, Backend backend,
                                              IfThere if_there = IfThere::fail);

}  // namespace doppio
