#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "doppio/error.hpp"
#include "doppio/shape.hpp"

namespace doppio {

/// One record of a database: views into it, valid as long as the reader lives.
struct Record {
  std::string_view key, value;
};

/// Runs `action` and adds the database and the record's key to the message of its Error.
template <class F>
void naming_record(const std::string& database, const Record& record, F action) {
  try {
    action();
  } catch (const Error& e) {
    throw Error(str("database ", database, ", record '", record.key, "': ", e.message()), e.where(),
                e.field());
  }
}

/// Walks through an LMDB database in key order, round and round. Never writes: it works on
/// read-only file systems and without permission to write, and then does without LMDB's lock file,
/// so nobody may change such a database meanwhile.
class LmdbReader {
 public:
  /// `path` is the folder that holds data.mdb. Throws: Error if there is no database, if it is
  /// empty, truncated, or no LMDB database.
  explicit LmdbReader(const std::string& path);
  ~LmdbReader();
  LmdbReader(const LmdbReader&) = delete;
  LmdbReader& operator=(const LmdbReader&) = delete;

  const std::string& path() const { return path_; }
  /// Number of records, at least 1.
  Index size() const { return size_; }
  /// Number of the record that next() returns, 0 .. size()-1.
  Index position() const { return position_; }

  /// Makes record `k`, 0 <= k < size(), the next one. The next() after it steps over the records
  /// between, or over those before `k` if it lies behind.
  void seek(Index k);
  /// Returns the record at position() and moves on; after the last record comes the first.
  Record next();

 private:
  struct State;
  std::string path_;
  std::unique_ptr<State> state_;
  Index size_ = 0;
  Index position_ = 0;
};

/// True if the folder `path` holds an LMDB database (whole or not).
bool is_lmdb(const std::string& path);

/// Why there is no database at `path`, and how to make it.
std::string missing_database(const std::string& path);

/// Makes a new LMDB database. Records are written in batches: after a failure the database holds
/// all complete batches.
class LmdbWriter {
 public:
  /// Creates the folder `path`. Throws: Error if it exists, unless `overwrite` allows to replace
  /// the database in it.
  explicit LmdbWriter(const std::string& path, bool overwrite = false);
  /// Drops the records that were not committed yet; see finish().
  ~LmdbWriter();
  LmdbWriter(const LmdbWriter&) = delete;
  LmdbWriter& operator=(const LmdbWriter&) = delete;

  /// Adds a record; the map grows as needed. Throws: Error if the key is empty, too long or there
  /// already, or if the disk is full.
  void put(std::string_view key, std::string_view value);
  /// Commits what is left and closes the database.
  void finish();
  /// Closes and removes the database, for when making it has failed.
  void discard();

  /// Longest key that LMDB takes, in bytes.
  static constexpr std::size_t kMaxKey = 511;

 private:
  void commit();
  int try_commit();

  struct State;
  std::string path_;
  std::unique_ptr<State> state_;
  std::vector<std::pair<std::string, std::string>> batch_;
  std::uint64_t batch_bytes_ = 0;
};

/// Throws: Error if the file system of `folder` has less than `bytes` free; says how much is
/// missing.
void require_space(const std::string& folder, std::uint64_t bytes);

}  // namespace doppio
