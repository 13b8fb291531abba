#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/storage/database_writer.hpp"
#include "data/storage/lmdb_file.hpp"

namespace doppio {

/// Reads an LMDB database, without a lock file.
class LmdbReader final : public Database {
 public:
  /// `path` is the folder that holds data.mdb. Throws: Error if there is no database, if it is
  /// empty, truncated, or no LMDB database.
  explicit LmdbReader(const std::string& path);

  void seek(std::uint64_t k) override;
  Record next() override;
  Index size() override { return known_size(); }
  Index known_size() const override { return static_cast<Index>(file_.records().entries); }
  Record at(Index k) override;

 private:
  void step();
  void find_leaves();

  const Descriptor lock_;
  const LmdbFile file_;
  LmdbWalk walk_;
  Index leaf_begin_ = 0;               // place of the first record in the leaf that the walk is at
  Index position_ = 0;                 // of the record that next() returns
  std::vector<std::uint64_t> leaves_;  // for at(): their pages, and the places where they begin
  std::vector<Index> begins_;
};

/// True if the folder `path` holds an LMDB database (whole or not).
bool is_lmdb(const std::string& path);

/// As last_key(), of an LMDB database.
std::string last_lmdb_key(const std::string& folder);

/// Writes an LMDB database, whose map grows as needed.
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
