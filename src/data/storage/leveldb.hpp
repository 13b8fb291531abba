#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/storage/database_writer.hpp"

namespace doppio {

/// Reads a LevelDB database without writing to its folder, which LevelDB itself would do. Counting
/// the records reads all keys and, as they lie beside the values, all of the database.
class LevelDbReader final : public Database {
 public:
  /// `path` is the folder that holds the file CURRENT. Throws: Error if there is no database, if it
  /// is empty, damaged, or being written to.
  explicit LevelDbReader(const std::string& path);
  ~LevelDbReader() override;

  void seek(std::uint64_t k) override;
  Record next() override;
  Index size() override;
  Index known_size() const override;
  Record at(Index k) override;

 private:
  const std::vector<std::string>& keys();

  struct State;
  std::string path_;
  const Descriptor lock_;
  std::unique_ptr<State> state_;
};

/// True if the folder `path` holds a LevelDB database (whole or not).
bool is_leveldb(const std::string& path);

/// As last_key(), of a LevelDB database.
std::string last_leveldb_key(const std::string& folder);

/// Writes a LevelDB database, with Caffe's settings.
class LevelDbWriter final : public BatchedWriter {
 public:
  explicit LevelDbWriter(const std::string& path, IfThere if_there = IfThere::fail);
  ~LevelDbWriter() override;

 private:
  void write(const Batch& batch) override;
  void close() override;

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace doppio
