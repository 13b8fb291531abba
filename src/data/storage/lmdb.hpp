#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/storage/database_writer.hpp"
#include "data/storage/lmdb_file.hpp"

namespace doppio {

/// Reads an LMDB database, without a lock file.
class LmdbReader final : public SingleDatabase {
 public:
  /// `path` is the folder that contains data.mdb. Throws: Error if there is no database, or if it
  /// is empty, truncated, or not in LMDB's format.
  explicit LmdbReader(const std::string& path);

  void seek(std::uint64_t k) override;
  Record next() override;
  Index size() override { return known_size(); }
  Index known_size() const override { return static_cast<Index>(file_.records().entries); }
  Record at(Index k) override;
  Record find(std::string_view key) override;
  void close() override;

 private:
  void open();
  void step();
  void find_leaves();

  Descriptor lock_;
  LmdbFile file_;
  LmdbWalk walk_;
  Index leaf_begin_ = 0;               // position of the first record in the walk's current leaf
  Index position_ = 0;                 // position of the next record
  std::vector<std::uint64_t> leaves_;  // for at(): page number of each leaf
  std::vector<Index> begins_;
};

/// Returns true if the folder `path` contains an LMDB database, complete or not.
bool is_lmdb(const std::string& path);

/// last_key() for an LMDB database.
std::string last_lmdb_key(const std::string& folder);

/// Writes an LMDB database. Its memory map grows as needed.
class LmdbWriter final : public BatchedWriter {
 public:
  explicit LmdbWriter(const std::string& path, IfThere if_there = IfThere::fail);
  ~LmdbWriter() override;

 private:
  void write(const Batch& batch) override;
  void close() override;
  int try_write(const Batch& batch);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace doppio
