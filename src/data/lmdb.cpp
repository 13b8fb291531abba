#include "data/lmdb.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "data/lmdb_env.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace fs = std::filesystem;

namespace {

/// LMDB forbids a process to open one database twice, yet a train and a test net may read the same.
class SharedEnv {
 public:
  static std::shared_ptr<SharedEnv> open(const std::string& path) {
    static std::mutex mutex;
    static std::map<std::pair<dev_t, ino_t>, std::weak_ptr<SharedEnv>> opened;
    struct stat file {};
    require(is_lmdb(path) && stat(lmdb_data_file(path).c_str(), &file) == 0,
            missing_database(path));
    const std::lock_guard lock(mutex);
    std::weak_ptr<SharedEnv>& known = opened[{file.st_dev, file.st_ino}];
    std::shared_ptr<SharedEnv> env = known.lock();
    if (!env) known = env = std::make_shared<SharedEnv>(path, file.st_size);
    return env;
  }

  SharedEnv(const std::string& path, std::int64_t file_bytes) {
    check_lmdb_header(path);
    // The map that a database asks for may be a terabyte; reading takes no more than the file has.
    env_ = open_lmdb_env(path, MDB_RDONLY, static_cast<std::uint64_t>(file_bytes));
    MDB_envinfo info;
    MDB_stat stat;
    check_lmdb(mdb_env_info(env_.get(), &info), path, "open");
    check_lmdb(mdb_env_stat(env_.get(), &stat), path, "open");
    const auto pages = static_cast<std::uint64_t>(file_bytes) / stat.ms_psize;
    require(info.me_last_pgno < pages, "the database ", path, " is truncated: data.mdb has ",
            file_bytes, " bytes and should have ", (info.me_last_pgno + 1) * stat.ms_psize);
  }

  MDB_env* get() const { return env_.get(); }

 private:
  LmdbEnv env_;
};

}  // namespace

struct LmdbReader::State {
  std::shared_ptr<SharedEnv> env;
  LmdbTxn txn;
  MDB_dbi dbi = 0;
  LmdbCursor cursor;
  std::vector<std::pair<std::string_view, std::string_view>> places;  // of all records, if wanted
  std::uint64_t file_bytes = 0;
  Index at = -1;                                // the record that the cursor stands on
  std::uintptr_t seen_begin = 0, seen_end = 0;  // where the last records lie in the map
  std::uint64_t seen_bytes = 0;

  /// Takes what was read before out of this process's memory from time to time; the system may keep
  /// it cached. Without this a large database would come to fill the memory that is reported.
  void let_go_before(const Record& record) {
    constexpr std::uint64_t kOften = 16 << 20;
    const auto begin = reinterpret_cast<std::uintptr_t>(record.value.data());
    if (seen_bytes >= kOften) {
      const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
      const std::uintptr_t first = seen_begin / page * page;
      madvise(reinterpret_cast<void*>(first), seen_end - first, MADV_DONTNEED);
      seen_bytes = 0;
    }
    seen_begin = seen_bytes == 0 ? begin : std::min(seen_begin, begin);
    seen_end = seen_bytes == 0 ? begin + record.value.size()
                               : std::max(seen_end, begin + record.value.size());
    seen_bytes += record.value.size();
  }

  /// Moves without touching the value's pages.
  void move(MDB_cursor_op where, const std::string& path) {
    MDB_val key{};
    check_lmdb(mdb_cursor_get(cursor.get(), &key, nullptr, where), path, "read");
  }

  Record current(MDB_cursor* on, const std::string& path) const {
    MDB_val key{}, value{};
    check_lmdb(mdb_cursor_get(on, &key, &value, MDB_GET_CURRENT), path, "read");
    require(value.mv_size <= file_bytes && key.mv_size <= file_bytes, "the database ", path,
            " is damaged: a record claims ", value.mv_size, " bytes");
    return {{static_cast<const char*>(key.mv_data), key.mv_size},
            {static_cast<const char*>(value.mv_data), value.mv_size}};
  }

  /// Notes where all records lie; touches the pages of their keys alone.
  void find_places(Index size, const std::string& path) {
    const LmdbCursor walk = open_lmdb_cursor(txn.get(), dbi, path);
    places.reserve(static_cast<std::size_t>(size));
    for (Index k = 0; k < size; ++k) {
      MDB_val key{};
      check_lmdb(mdb_cursor_get(walk.get(), &key, nullptr, k == 0 ? MDB_FIRST : MDB_NEXT), path,
                 "read");
      const Record record = current(walk.get(), path);
      places.push_back({record.key, record.value});
    }
  }
};

LmdbReader::LmdbReader(const std::string& path) : path_(path), state_(new State) {
  state_->env = SharedEnv::open(path);
  state_->file_bytes = fs::file_size(lmdb_data_file(path));
  state_->txn = begin_lmdb(state_->env->get(), MDB_RDONLY, path);
  check_lmdb(mdb_dbi_open(state_->txn.get(), nullptr, 0, &state_->dbi), path, "open");
  MDB_stat stat;
  check_lmdb(mdb_stat(state_->txn.get(), state_->dbi, &stat), path, "read");
  require(stat.ms_entries > 0, "the database ", path, " has no records");
  require(stat.ms_entries < state_->file_bytes, "the database ", path, " is damaged: it claims ",
          stat.ms_entries, " records");
  size_ = static_cast<Index>(stat.ms_entries);
  state_->cursor = open_lmdb_cursor(state_->txn.get(), state_->dbi, path);
}

LmdbReader::~LmdbReader() = default;

void LmdbReader::seek(std::uint64_t k) {
  position_ = static_cast<Index>(k % static_cast<std::uint64_t>(size_));
}

Record LmdbReader::next() {
  Index& at = state_->at;
  if (at < 0 || at > position_) {
    state_->move(MDB_FIRST, path_);
    at = 0;
  }
  for (; at < position_; ++at) state_->move(MDB_NEXT, path_);
  const Record record = state_->current(state_->cursor.get(), path_);
  state_->let_go_before(record);
  position_ = (position_ + 1) % size_;
  return record;
}

Record LmdbReader::at(Index k) {
  ensure(0 <= k && k < size_, "a place lies within the database");
  if (state_->places.empty()) state_->find_places(size_, path_);
  const auto& [key, value] = state_->places[static_cast<std::size_t>(k)];
  const Record record{key, value};
  state_->let_go_before(record);
  return record;
}

bool is_lmdb(const std::string& path) { return fs::is_regular_file(lmdb_data_file(path)); }

}  // namespace doppio
