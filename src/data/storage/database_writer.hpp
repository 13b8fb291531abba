#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/printable.hpp"
#include "data/storage/database.hpp"
#include "data/storage/database_folder.hpp"

namespace doppio {

/// Common part of the writers: the folder, and batches of records.
class BatchedWriter : public DatabaseWriter {
 public:
  void put(std::string_view key, std::string_view value) final;
  void finish() final;
  void suspend() final;
  void discard() final;

 protected:
  using Batch = std::vector<std::pair<std::string, std::string>>;

  BatchedWriter(const std::string& path, IfThere if_there);
  /// Writes and syncs the whole batch. Throws: Error, in which case nothing is written.
  virtual void write(const Batch& batch) = 0;
  virtual void close() = 0;
  /// Throws: Error about a duplicate key.
  [[noreturn]] void report_duplicate(std::string_view key) const {
    throw Error(
        str("the database ", printable(path_), " has a record '", printable(key), "' already"));
  }

  /// Folder of the database files.
  const std::string& folder() const { return folder_.path(); }

  const std::string path_;  // for messages

 private:
  void commit();

  PartialFolder folder_;
  Batch batch_;
  std::uint64_t batch_bytes_ = 0;
};

/// Throws: Error with the missing amount if the file system of `folder` has less than `bytes` free.
void require_space(const std::string& folder, std::uint64_t bytes);

}  // namespace doppio
