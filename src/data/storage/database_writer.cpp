#include "data/storage/database_writer.hpp"

#include <filesystem>
#include <system_error>

#include "core/printable.hpp"

namespace doppio {

BatchedWriter::BatchedWriter(const std::string& path, IfThere if_there)
    : path_(path), folder_(path, if_there) {}

void BatchedWriter::put(std::string_view key, std::string_view value) {
  constexpr std::size_t kBatchRecords = 1000;
  constexpr std::uint64_t kBatchBytes = 64 << 20;
  require(!key.empty() && key.size() <= kMaxKey, "the database ", printable(path_),
          " takes keys of 1 to ", kMaxKey, " bytes; '", printable(key, 40), "' has ", key.size());
  batch_.emplace_back(key, value);
  batch_bytes_ += key.size() + value.size();
  if (batch_.size() >= kBatchRecords || batch_bytes_ >= kBatchBytes) commit();
}

void BatchedWriter::commit() {
  constexpr std::uint64_t kPage = 4096;
  if (batch_.empty()) return;
  require_space(folder(), batch_bytes_ + batch_.size() * kPage);
  write(batch_);
  folder_.keep();
  batch_.clear();
  batch_bytes_ = 0;
}

void BatchedWriter::suspend() {
  commit();
  close();
}

void BatchedWriter::finish() {
  suspend();
  folder_.finish();
}

void BatchedWriter::discard() {
  close();
  folder_.discard();
}

void require_space(const std::string& folder, std::uint64_t bytes) {
  std::error_code unknown;
  const auto free_bytes =
      static_cast<std::uint64_t>(std::filesystem::space(folder, unknown).available);
  require(unknown || bytes <= free_bytes, "no room on the disk of ", printable(folder), ": ", bytes,
          " bytes are to be written, ", free_bytes, " are free, ", bytes - free_bytes,
          " are missing");
}

}  // namespace doppio
