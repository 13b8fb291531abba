#include "data/storage/database_list.hpp"

#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "doppio/error.hpp"

namespace doppio {

namespace {

namespace fs = std::filesystem;

/// Several databases in a row. The least recently used ones are closed.
class DatabaseList final : public Database {
 public:
  explicit DatabaseList(const std::vector<std::string>& paths);

  void seek(std::uint64_t k) override;
  Record next() override;
  Index size() override;
  Index known_size() const override;
  Record at(Index k) override;

 private:
  SingleDatabase& use(std::size_t i);
  Record named(std::size_t i, Record record) const {
    record.database = paths_[i];
    return record;
  }

  const std::vector<std::string> paths_;
  std::vector<std::unique_ptr<SingleDatabase>> databases_;
  std::size_t max_open_;
  std::vector<std::size_t> open_;  // indices, the most recently used first
  std::size_t current_ = 0;        // the database of the next record
  std::uint64_t position_ = 0;     // of the next record in that database
};

DatabaseList::DatabaseList(const std::vector<std::string>& paths) : paths_(paths) {
  const bool lmdb_only = std::all_of(paths.begin(), paths.end(), [](const std::string& path) {
    return find_backend(path) == Backend::lmdb;
  });
  max_open_ = lmdb_only ? 16 : 4;  // an LMDB database needs 2 files, LevelDB up to kFewFiles
  for (std::size_t i = 0; i < paths.size(); ++i) {
    databases_.push_back(open_database(paths[i], kFewFiles));
    use(i);
  }
}

/// Returns a database that is about to be read, and closes another one if too many are open.
SingleDatabase& DatabaseList::use(std::size_t i) {
  const auto found = std::find(open_.begin(), open_.end(), i);
  if (found != open_.end()) {
    std::rotate(open_.begin(), found, found + 1);
  } else {
    if (open_.size() == max_open_) {
      databases_[open_.back()]->close();
      open_.pop_back();
    }
    open_.insert(open_.begin(), i);
  }
  return *databases_[i];
}

void DatabaseList::seek(std::uint64_t k) {
  for (std::size_t i = 0;; i = (i + 1) % databases_.size()) {
    if (const auto total = static_cast<std::uint64_t>(known_size()); i == 0 && total > 0)
      k %= total;
    // Seeking beyond the last record of a LevelDB database that has not been counted counts it.
    if (databases_[i]->known_size() == 0) use(i).seek(k);
    const auto size = static_cast<std::uint64_t>(databases_[i]->known_size());
    if (size == 0 || k < size) {
      current_ = i;
      position_ = k;
      return;
    }
    k -= size;
  }
}

Record DatabaseList::next() {
  const std::size_t i = current_;
  SingleDatabase& database = use(i);
  database.seek(position_);
  Record record = named(i, database.next());
  if (++position_ == static_cast<std::uint64_t>(database.known_size())) {
    current_ = (i + 1) % databases_.size();
    position_ = 0;
  }
  return record;
}

Index DatabaseList::size() {
  for (std::size_t i = 0; i < databases_.size(); ++i)
    if (databases_[i]->known_size() == 0) use(i).size();
  return known_size();
}

Index DatabaseList::known_size() const {
  Index total = 0;
  for (const auto& database : databases_) {
    const Index size = database->known_size();
    if (size == 0) return 0;
    total += size;
  }
  return total;
}

Record DatabaseList::at(Index k) {
  ensure(0 <= k && k < size(), "a place lies within the databases");
  std::size_t i = 0;
  for (; k >= databases_[i]->known_size(); ++i) k -= databases_[i]->known_size();
  return named(i, use(i).at(k));
}

}  // namespace

bool has_wildcards(const std::string& source) {
  std::error_code unknown;
  return source.find_first_of("*?") != source.npos && !fs::exists(source, unknown);
}

std::vector<std::string> database_paths(const std::string& source) {
  if (!has_wildcards(source)) return {source};
  std::string pattern;
  for (const char c : source) {
    if (c == '[' || c == ']' || c == '\\') pattern += '\\';  // which glob() would interpret
    pattern += c;
  }
  std::vector<std::string> paths;
  glob_t found{};
  if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0)
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  std::error_code unknown;
  std::erase_if(paths, [&](const std::string& path) { return !fs::is_directory(path, unknown); });
  std::sort(paths.begin(), paths.end());  // glob() would sort by the locale
  return paths;
}

std::unique_ptr<Database> open_databases(const std::vector<std::string>& paths) {
  ensure(!paths.empty(), "there is a database to open");
  if (paths.size() == 1) return open_database(paths[0]);
  return std::make_unique<DatabaseList>(paths);
}

}  // namespace doppio
