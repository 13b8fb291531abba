#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/storage/database_writer.hpp"

namespace doppio {

/// Reads a LevelDB database without writing to its folder, which LevelDB normally does. Counting
/// the records reads the whole database, because keys are stored next to their values.
class LevelDbReader final : public SingleDatabase {
 public:
  /// `path` is the folder that contains the file CURRENT. Throws: Error if there is no database, or
  /// if it is empty, damaged, or being written to. At most `max_files` files are open at a time.
  explicit LevelDbReader(const std::string& path, int max_files = kManyFiles);
  ~LevelDbReader() override;

  void seek(std::uint64_t k) override;
  Record next() override;
  Index size() override;
  Index known_size() const override;
  Record at(Index k) override;
  Record find(std::string_view key) override;
  void close() override;

 private:
  void open();
  Record record(std::string key, std::string value) const;
  const std::vector<std::string>& keys();

  struct State;
  const std::string path_;
  const int max_files_;
  Descriptor lock_;
  std::unique_ptr<State> state_;
};

/// Returns true if the folder `path` contains a LevelDB database, complete or not.
bool is_leveldb(const std::string& path);

/// last_key() for a LevelDB database.
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
