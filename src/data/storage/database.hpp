#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/with_context.hpp"
#include "doppio/shape.hpp"

namespace doppio {

/// One record of a database. `key` and `value` are valid as long as a copy of `owner` exists.
struct Record {
  std::string_view key, value;
  std::shared_ptr<const void> owner = nullptr;
  std::string_view database = {};  // path, for messages; valid as long as the Database
};

/// Returns "database DB, record 'KEY'".
std::string record_name(std::string_view database, std::string_view key);

/// For with_context(): prefixes the message by the database and the record's key.
inline auto record_context(const Record& record) {
  return name_context([&] { return record_name(record.database, record.key); });
}

/// A non-empty series of records that is open for reading: a database, or several that form one.
/// Reading never writes to a folder, not even a lock file. Not thread-safe.
class Database {
 public:
  virtual ~Database() = default;

  /// Moves to the record that is `k` modulo size() records after the first. Fast if it is shortly
  /// after the one returned last.
  virtual void seek(std::uint64_t k) = 0;
  /// Returns the next record and advances. The first record follows the last.
  virtual Record next() = 0;

  /// Number of records. Reads all keys if necessary.
  virtual Index size() = 0;
  /// Same as size(), or 0 if that would have to read all keys.
  virtual Index known_size() const = 0;
  /// Returns the record at position `k`, 0 <= k < size(), without changing next(). The first call
  /// reads all keys.
  virtual Record at(Index k) = 0;
};

/// The database in one folder, in the order of its keys. It must not be modified meanwhile. While
/// its files are open, it may be replaced (by another folder of that name) or removed.
class SingleDatabase : public Database {
 public:
  /// Returns the first record whose key is at least `key`, or else the last record, without
  /// changing next().
  virtual Record find(std::string_view key) = 0;
  /// Closes all files until the next call that reads, which throws Error if the database has been
  /// changed since.
  virtual void close() = 0;
};

/// Database formats of Caffe.
enum class Backend { lmdb, leveldb };

/// Parses "lmdb" or "leveldb". Throws: Error for another `name`.
Backend backend_of(const std::string& name);

/// Returns the format of the database in the folder `path`. Throws: Error that says how to create
/// the database if there is none, or how to finish it if a conversion was interrupted.
Backend find_backend(const std::string& path);

/// Returns true if the folder `path` contains a database, complete or not.
bool has_database(const std::string& path);

/// Maximum number of files that a LevelDB database keeps open.
inline constexpr int kManyFiles = 500, kFewFiles = 74;  // LevelDB ignores smaller limits

/// Opens the database in the folder `path`, of either format. Throws: Error if there is none, or if
/// it is empty or damaged.
std::unique_ptr<SingleDatabase> open_database(const std::string& path, int max_files = kManyFiles);

/// Returns an error message for a missing database at `path`, with how to create it.
std::string missing_database(const std::string& path);

/// Returns the largest key of the database in `folder`, complete or not, or "" if it has none.
std::string last_key(const std::string& folder);

/// How to handle an existing database.
enum class IfThere {
  fail,
  replace,             ///< keep it until the new one is complete
  append,              ///< add records to it, or to the result of an interrupted conversion
  append_and_replace,  ///< add records to an interrupted conversion, which then replaces it
};

/// A database that is being created in a temporary folder beside its destination (PartialFolder).
/// Records are written in batches. After a failure the folder contains all complete batches.
class DatabaseWriter {
 public:
  /// Drops the records that are not committed, and the folder if no record is.
  virtual ~DatabaseWriter() = default;

  /// Adds a record. Throws: Error if the key is empty, too long or a duplicate, or if the disk is
  /// full.
  virtual void put(std::string_view key, std::string_view value) = 0;
  /// Commits all records, closes the database and moves it to its destination.
  virtual void finish() = 0;
  /// Commits all records and closes the database. IfThere::append can continue it.
  virtual void suspend() = 0;
  /// Closes and removes the database, for use after a failure.
  virtual void discard() = 0;

  /// Maximum length of a key in every backend, in bytes.
  static constexpr std::size_t kMaxKey = 511;
};

/// Creates an empty database for the folder `path`, or continues one. Throws: Error if `if_there`
/// does not allow for an existing one.
std::unique_ptr<DatabaseWriter> make_database(const std::string& path, Backend backend,
                                              IfThere if_there = IfThere::fail);

}  // namespace doppio
