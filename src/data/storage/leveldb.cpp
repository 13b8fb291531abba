#include "data/storage/leveldb.hpp"

#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "core/printable.hpp"
#include "data/storage/database_lock.hpp"
#include "data/storage/read_only_env.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

void check(const leveldb::Status& status, const std::string& path, std::string_view doing) {
  require(status.ok(), "cannot ", doing, " the database ", printable(path), ": ",
          printable(status.ToString(), 500));
}

std::unique_ptr<leveldb::DB> open_with(const leveldb::Options& options, const std::string& path) {
  leveldb::DB* db = nullptr;
  check(leveldb::DB::Open(options, path, &db), path, "open");
  return std::unique_ptr<leveldb::DB>(db);
}

leveldb::ReadOptions checked_reading() {
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  return options;
}

/// Opens a database in an environment that never writes to its folder.
std::unique_ptr<leveldb::DB> open_for_reading(ReadOnlyEnv& env, const std::string& path,
                                              int max_files = kManyFiles) {
  leveldb::Options options;
  options.env = &env;
  options.paranoid_checks = true;
  options.reuse_logs = true;            // keeps the log's records in memory, without a table
  options.write_buffer_size = 1 << 30;  // capacity for them
  options.max_open_files = max_files;
  auto db = open_with(options, path);
  env.close();
  return db;
}

std::string last_key(leveldb::DB& db, const std::string& path) {
  const std::unique_ptr<leveldb::Iterator> walk(db.NewIterator(checked_reading()));
  walk->SeekToLast();
  check(walk->status(), path, "read");
  return walk->Valid() ? walk->key().ToString() : "";
}

}  // namespace

struct LevelDbReader::State {
  /// The open files. Members are destroyed in reverse order.
  struct Files {
    Files(const std::string& path, int max_files)
        : env(path),
          db(open_for_reading(env, path, max_files)),
          walk(db->NewIterator(checked_reading())) {}

    ReadOnlyEnv env;
    std::unique_ptr<leveldb::DB> db;
    std::unique_ptr<leveldb::Iterator> walk;
  };

  std::unique_ptr<Files> files;  // null while they are closed
  std::string key, last_key;     // of the current and the last record while they are closed
  std::uint64_t position = 0;    // of the current record
  std::uint64_t size = 0;        // 0: unknown
  std::vector<std::string> keys;

  void to_first(const std::string& path) {
    files->walk->SeekToFirst();
    check(files->walk->status(), path, "read");
    require(files->walk->Valid(), "the database ", printable(path), " has no records");
    position = 0;
  }

  void step(const std::string& path) {
    files->walk->Next();
    check(files->walk->status(), path, "read");
    ++position;
    if (files->walk->Valid()) return;
    if (size == 0) size = position;
    to_first(path);
  }
};

LevelDbReader::LevelDbReader(const std::string& path, int max_files)
    : path_(path), max_files_(max_files), lock_(lock_for_reading(path)), state_(new State) {
  require(is_leveldb(path), missing_database(path));
  state_->files = std::make_unique<State::Files>(path, max_files);
  state_->to_first(path);
}

LevelDbReader::~LevelDbReader() = default;

bool is_leveldb(const std::string& path) {
  std::error_code unknown;
  return std::filesystem::is_regular_file(path + "/CURRENT", unknown);
}

std::string last_leveldb_key(const std::string& folder) {
  ReadOnlyEnv env(folder);
  return last_key(*open_for_reading(env, folder), folder);
}

void LevelDbReader::close() {
  if (!state_->files) return;
  if (!state_->files->walk->Valid()) state_->to_first(path_);  // the last step failed
  state_->key = state_->files->walk->key().ToString();
  if (state_->last_key.empty()) state_->last_key = last_key(*state_->files->db, path_);
  state_->files.reset();
  lock_ = Descriptor();
}

/// Opens the files again if they are closed.
void LevelDbReader::open() {
  if (state_->files) return;
  lock_ = lock_for_reading(path_);
  auto files = std::make_unique<State::Files>(path_, max_files_);
  files->walk->Seek(state_->key);
  check(files->walk->status(), path_, "read");
  require(files->walk->Valid() && files->walk->key() == state_->key &&
              last_key(*files->db, path_) == state_->last_key,
          "the database ", printable(path_),
          " was changed while it was being read; start again once it is whole");
  state_->files = std::move(files);
}

Record LevelDbReader::record(std::string key, std::string value) const {
  auto owner =
      std::make_shared<const std::pair<std::string, std::string>>(std::move(key), std::move(value));
  return {owner->first, owner->second, owner, path_};
}

void LevelDbReader::seek(std::uint64_t k) {
  open();
  for (;; state_->step(path_)) {
    if (state_->size > 0) k %= state_->size;
    if (k < state_->position) state_->to_first(path_);
    if (k == state_->position) return;
  }
}

Record LevelDbReader::next() {
  open();
  const leveldb::Iterator& walk = *state_->files->walk;
  Record current = record(walk.key().ToString(), walk.value().ToString());
  state_->step(path_);
  return current;
}

Index LevelDbReader::known_size() const { return static_cast<Index>(state_->size); }

const std::vector<std::string>& LevelDbReader::keys() {
  if (!state_->keys.empty()) return state_->keys;
  open();
  const std::unique_ptr<leveldb::Iterator> walk(state_->files->db->NewIterator(checked_reading()));
  for (walk->SeekToFirst(); walk->Valid(); walk->Next())
    state_->keys.push_back(walk->key().ToString());
  check(walk->status(), path_, "read");
  state_->size = state_->keys.size();
  return state_->keys;
}

Index LevelDbReader::size() {
  return static_cast<Index>(state_->size > 0 ? state_->size : keys().size());
}

Record LevelDbReader::at(Index k) {
  ensure(0 <= k && k < size(), "a place lies within the database");
  const std::string& key = keys()[static_cast<std::size_t>(k)];
  open();
  std::string value;
  check(state_->files->db->Get(checked_reading(), key, &value), path_, "read");
  return record(key, std::move(value));
}

Record LevelDbReader::find(std::string_view key) {
  open();
  const std::unique_ptr<leveldb::Iterator> walk(state_->files->db->NewIterator(checked_reading()));
  walk->Seek(leveldb::Slice(key.data(), key.size()));
  if (!walk->Valid()) walk->SeekToLast();
  check(walk->status(), path_, "read");
  require(walk->Valid(), "the database ", printable(path_), " has no records");
  return record(walk->key().ToString(), walk->value().ToString());
}

struct LevelDbWriter::State {
  std::unique_ptr<leveldb::DB> db;
  std::string last_key;  // largest key written so far
};

LevelDbWriter::LevelDbWriter(const std::string& path, IfThere if_there)
    : BatchedWriter(path, if_there), state_(new State) {
  leveldb::Options options;
  options.create_if_missing = true;
  options.paranoid_checks = true;
  options.block_size = 64 << 10;
  options.write_buffer_size = 64 << 20;
  options.max_open_files = 100;
  state_->db = open_with(options, folder());
  state_->last_key = last_key(*state_->db, path);
}

LevelDbWriter::~LevelDbWriter() = default;

void LevelDbWriter::write(const Batch& batch) {
  leveldb::WriteBatch changes;
  std::set<std::string_view> keys;
  for (const auto& [key, value] : batch) {
    std::string stored;  // no look-up is needed while keys ascend, as they usually do
    const bool there =
        key <= state_->last_key && state_->db->Get(checked_reading(), key, &stored).ok();
    if (there || !keys.insert(key).second) report_duplicate(key);
    changes.Put(key, value);
  }
  leveldb::WriteOptions options;
  options.sync = true;
  check(state_->db->Write(options, &changes), path_, "write");
  if (!keys.empty()) state_->last_key = std::max(state_->last_key, std::string(*keys.rbegin()));
}

void LevelDbWriter::close() { state_->db.reset(); }

}  // namespace doppio
