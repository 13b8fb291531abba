#include "data/database_writer.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

namespace doppio {

namespace fs = std::filesystem;

namespace {

/// True for the files that LMDB and LevelDB make.
bool is_database_file(const std::string& name) {
  constexpr std::array kNames = {"data.mdb", "lock.mdb", "CURRENT", "LOCK", "LOG", "LOG.old"};
  if (std::find(kNames.begin(), kNames.end(), name) != kNames.end()) return true;
  const bool numbered = !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) != 0;
  const bool numbered_kind = name.ends_with(".ldb") || name.ends_with(".sst") ||
                             name.ends_with(".log") || name.ends_with(".dbtmp");
  return name.starts_with("MANIFEST-") || (numbered && numbered_kind);
}

void remove_files(const std::string& path, std::error_code& failed) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, failed))
    if (is_database_file(entry.path().filename())) files.push_back(entry.path());
  for (const fs::path& file : files)
    if (!failed) fs::remove(file, failed);
}

/// Creates the folder of a database, or sees to one that is there.
void prepare_folder(const std::string& path, IfThere if_there) {
  std::error_code failed;
  if (fs::exists(path)) {
    require(if_there != IfThere::fail, path,
            " exists already; remove it, give another name, or ask to overwrite or resume");
    require(fs::is_directory(path), path, " is a file, not the folder of a database");
    if (if_there == IfThere::replace) remove_files(path, failed);
  } else {
    fs::create_directory(path, failed);
  }
  require(!failed, "cannot create the database ", path, ": ", failed.message());
}

}  // namespace

BatchedWriter::BatchedWriter(const std::string& path, IfThere if_there) : path_(path) {
  prepare_folder(path, if_there);
}

void BatchedWriter::put(std::string_view key, std::string_view value) {
  constexpr std::size_t kBatchRecords = 1000;
  constexpr std::uint64_t kBatchBytes = 64 << 20;
  require(!key.empty() && key.size() <= kMaxKey, "the database ", path_, " takes keys of 1 to ",
          kMaxKey, " bytes; '", key.substr(0, 40), "' has ", key.size());
  batch_.emplace_back(key, value);
  batch_bytes_ += key.size() + value.size();
  if (batch_.size() >= kBatchRecords || batch_bytes_ >= kBatchBytes) commit();
}

void BatchedWriter::commit() {
  constexpr std::uint64_t kPage = 4096;
  require_space(path_, batch_bytes_ + batch_.size() * kPage);
  write(batch_);
  batch_.clear();
  batch_bytes_ = 0;
}

void BatchedWriter::finish() {
  commit();
  close();
}

void BatchedWriter::discard() {
  close();
  std::error_code failed;
  remove_files(path_, failed);
  fs::remove(path_, failed);  // fails, rightly, if there are other files in it
}

void require_space(const std::string& folder, std::uint64_t bytes) {
  std::error_code unknown;
  const auto free_bytes = static_cast<std::uint64_t>(fs::space(folder, unknown).available);
  require(unknown || bytes <= free_bytes, "no room on the disk of ", folder, ": ", bytes,
          " bytes are to be written, ", free_bytes, " are free, ", bytes - free_bytes,
          " are missing");
}

}  // namespace doppio
