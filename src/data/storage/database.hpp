#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/with_context.hpp"
#include "doppio/shape.hpp"

namespace doppio {

/// One record of a database. The views stay valid as long as a copy of `owner`.
struct Record {
  std::string_view key, value;
  std::shared_ptr<const void> owner = nullptr;
};

/// "database DB, record 'KEY'".
std::string record_name(const std::string& database, std::string_view key);

/// For with_context(): puts the database and the record's key in front of the message.
inline auto record_context(const std::string& database, const Record& record) {
  return name_context([&] { return record_name(database, record.key); });
}

/// A database that is open for reading, at least one record in the order of their keys. Reading
/// never writes to its folder, not even a lock file. Nobody may change it meanwhile, but it may be
/// replaced (by another folder of that name) or removed. For use by one thread at a time.
class Database {
 public:
  virtual ~Database() = default;

  /// Makes the record next that comes `k` records after the first, counted round and round.
  /// Fast if it lies shortly after the one returned last.
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
/// is none, or how to finish it if a conversion was interrupted.
Backend find_backend(const std::string& path);

/// True if the folder `path` holds a database (whole or not).
bool has_database(const std::string& path);

/// Opens whichever database the folder `path` holds. Throws: Error if there is none, or if it is
/// empty or damaged.
std::unique_ptr<Database> open_database(const std::string& path);

/// Why there is no database at `path`, and how to make it.
std::string missing_database(const std::string& path);

/// The largest key of the database in `folder`, finished or not; empty if there is none.
std::string last_key(const std::string& folder);

/// What becomes of a database that is there already.
enum class IfThere {
  fail,
  replace,             ///< it stays until the new one is whole
  append,              ///< it, or what an interrupted conversion left, gets more records
  append_and_replace,  ///< what an interrupted conversion left gets more records and replaces it
};

/// A database that is being made, in a folder of its own beside its destination (PartialFolder).
/// Records are written in batches: after a failure that folder holds all complete batches.
class DatabaseWriter {
 public:
  /// The destructor drops the records that were not committed yet, and the folder if none was.
  virtual ~DatabaseWriter() = default;

  /// Adds a record. Throws: Error if the key is empty, too long or there already, or if the disk is
  /// full.
  virtual void put(std::string_view key, std::string_view value) = 0;
  /// Commits what is left, closes the database and moves it to its destination.
  virtual void finish() = 0;
  /// Commits what is left and closes the database, which IfThere::append continues.
  virtual void suspend() = 0;
  /// Closes and removes the database, for when making it has failed.
  virtual void discard() = 0;

  /// Longest key that every backend takes, in bytes.
  static constexpr std::size_t kMaxKey = 511;
};

/// Makes an empty database that will lie in the folder `path`, or continues one. Throws: Error if
/// what is there already forbids it.
std::unique_ptr<DatabaseWriter> make_database(const std::string& path, Backend backend,
                                              IfThere if_there = IfThere::fail);

}  // namespace doppio
