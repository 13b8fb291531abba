#pragma once
#include <memory>
#include <string>

#include "data/database_writer.hpp"

namespace doppio {

/// Reads an LMDB database. Where LMDB's lock file cannot be written it does without.
class LmdbReader final : public Database {
 public:
  /// `path` is the folder that holds data.mdb. Throws: Error if there is no database, if it is
  /// empty, truncated, or no LMDB database.
  explicit LmdbReader(const std::string& path);
  ~LmdbReader() override;

  void seek(std::uint64_t k) override;
  Record next() override;
  Index size() override { return size_; }
  Index known_size() const override { return size_; }
  Record at(Index k) override;

 private:
  struct State;
  std::string path_;
  std::unique_ptr<State> state_;
  Index size_ = 0;
  Index position_ = 0;  // of the record that next() returns
};

/// True if the folder `path` holds an LMDB database (whole or not).
bool is_lmdb(const std::string& path);

/// Writes an LMDB database, whose map grows as needed.
class LmdbWriter final : public BatchedWriter {
 public:
  explicit LmdbWriter(const std::string& path, IfThere if_there = IfThere::fail);
  ~LmdbWriter() override;

  std::string last_key() override;

 private:
  void write(const Batch& batch) override;
  void close() override;
  int try_write(const Batch& batch);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace doppio
