#include "data/storage/lmdb.hpp"

#include <algorithm>
#include <filesystem>

#include "core/printable.hpp"
#include "data/storage/database_lock.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

std::string require_lmdb(const std::string& path) {
  require(is_lmdb(path), missing_database(path));
  return path;
}

}  // namespace

LmdbReader::LmdbReader(const std::string& path)
    : lock_(lock_for_reading(require_lmdb(path))), file_(path), walk_(file_, file_.records()) {
  require(walk_.first(), "the database ", printable(path), " has no records");
}

void LmdbReader::close() {
  file_.close();
  lock_ = Descriptor();
}

/// Opens the file again if it is closed.
void LmdbReader::open() {
  if (file_.is_open()) return;
  lock_ = lock_for_reading(file_.path());
  file_.reopen();
}

/// Moves the walk to the next leaf, and from the last one to the first.
void LmdbReader::step() {
  leaf_begin_ += static_cast<Index>(walk_.leaf().size());
  const bool more = walk_.next();
  if (more ? leaf_begin_ >= size() : leaf_begin_ != size())
    file_.report_damage(str("it does not hold the ", size(), " records that it claims"));
  if (!more) {
    walk_.first();
    leaf_begin_ = 0;
  }
  file_.require_unchanged();
}

void LmdbReader::seek(std::uint64_t k) {
  position_ = static_cast<Index>(k % static_cast<std::uint64_t>(size()));
}

Record LmdbReader::next() {
  open();
  if (position_ < leaf_begin_) {
    walk_.first();
    leaf_begin_ = 0;
  }
  while (position_ >= leaf_begin_ + static_cast<Index>(walk_.leaf().size())) step();
  Record record = file_.record(walk_.leaf(), static_cast<std::size_t>(position_ - leaf_begin_));
  position_ = (position_ + 1) % size();
  return record;
}

/// Finds the first position of each leaf by a pass over all leaves that reads no values.
void LmdbReader::find_leaves() {
  LmdbWalk walk(file_, file_.records());
  Index begin = 0;
  for (bool more = walk.first(); more && begin < size(); more = walk.next()) {
    leaves_.push_back(walk.leaf().number);
    begins_.push_back(begin);
    begin += static_cast<Index>(walk.leaf().size());
  }
  if (begin != size() || walk.next())
    file_.report_damage(str("it does not hold the ", size(), " records that it claims"));
}

Record LmdbReader::at(Index k) {
  ensure(0 <= k && k < size(), "a place lies within the database");
  open();
  if (leaves_.empty()) find_leaves();
  const auto i = std::upper_bound(begins_.begin(), begins_.end(), k) - begins_.begin() - 1;
  const auto leaf = static_cast<std::size_t>(i);
  const LmdbPage page = file_.page(file_.records(), leaves_[leaf], file_.records().depth - 1);
  const auto place = static_cast<std::size_t>(k - begins_[leaf]);
  file_.require_unchanged();
  if (place >= page.size()) file_.report_damage("a page has lost records");
  return file_.record(page, place);
}

Record LmdbReader::find(std::string_view key) {
  open();
  LmdbWalk walk(file_, file_.records());
  walk.find(key);
  std::size_t i = 0;
  while (i < walk.leaf().size() && walk.leaf().node(i).key < key) ++i;
  if (i == walk.leaf().size()) {
    i = 0;
    if (!walk.next()) {
      walk.last();
      i = walk.leaf().size() - 1;
    }
  }
  file_.require_unchanged();
  return file_.record(walk.leaf(), i);
}

bool is_lmdb(const std::string& path) {
  std::error_code unknown;
  return std::filesystem::is_regular_file(lmdb_data_file(path), unknown);
}

std::string last_lmdb_key(const std::string& folder) {
  std::error_code unknown;  // an immediately killed conversion leaves an empty file
  if (std::filesystem::file_size(lmdb_data_file(folder), unknown) == 0) return {};
  const LmdbFile file(folder);
  LmdbWalk walk(file, file.records());
  if (!walk.last()) return {};
  return std::string(walk.leaf().node(walk.leaf().size() - 1).key);
}

}  // namespace doppio
