#include "data/lmdb.hpp"

#include <lmdb.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include "doppio/error.hpp"

namespace doppio {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kBatchRecords = 1000;
constexpr std::uint64_t kBatchBytes = 64 << 20;
constexpr std::uint64_t kFirstMap = 16 << 20;

void check(int status, const std::string& path, std::string_view doing) {
  require(status == MDB_SUCCESS, "cannot ", doing, " the database ", path, ": ",
          mdb_strerror(status));
}

struct CloseEnv {
  void operator()(MDB_env* env) const { mdb_env_close(env); }
};
struct AbortTxn {
  void operator()(MDB_txn* txn) const { mdb_txn_abort(txn); }
};
struct CloseCursor {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};
using Env = std::unique_ptr<MDB_env, CloseEnv>;
using Txn = std::unique_ptr<MDB_txn, AbortTxn>;
using Cursor = std::unique_ptr<MDB_cursor, CloseCursor>;

std::string data_file(const std::string& path) { return path + "/data.mdb"; }

/// What network and read-only file systems answer where LMDB asks for its lock file.
bool lock_file_refused(int status) {
  return status == EACCES || status == EPERM || status == EROFS || status == ENOSYS ||
         status == ENOLCK || status == EOPNOTSUPP;
}

Env open_env(const std::string& path, unsigned flags, std::uint64_t map_bytes) {
  int status = MDB_SUCCESS;
  for (const unsigned lock : {0u, unsigned{MDB_NOLOCK}}) {
    MDB_env* created = nullptr;
    check(mdb_env_create(&created), path, "open");
    Env env(created);
    check(mdb_env_set_mapsize(env.get(), map_bytes), path, "map");
    status = mdb_env_open(env.get(), path.c_str(), flags | lock | MDB_NOTLS, 0664);
    if (status == MDB_SUCCESS) return env;
    if (!lock_file_refused(status)) break;
  }
  check(status, path, "open");
  return nullptr;
}

Txn begin(MDB_env* env, unsigned flags, const std::string& path) {
  MDB_txn* txn = nullptr;
  check(mdb_txn_begin(env, nullptr, flags, &txn), path, "read");
  return Txn(txn);
}

/// liblmdb divides by the page size that a file states before it looks at it.
void check_header(const std::string& path) {
  constexpr std::size_t kMagicAt = 16, kPageSizeAt = 40;
  std::ifstream in(data_file(path), std::ios::binary);
  require(in.good(), "cannot read ", data_file(path), ": permission denied?");
  std::uint32_t page_size = 0;
  for (int meta = 0; meta < 2; ++meta) {
    std::array<char, kPageSizeAt + sizeof page_size> head{};
    in.seekg(meta * static_cast<std::streamoff>(page_size));
    in.read(head.data(), head.size());
    std::uint32_t magic = 0;
    std::memcpy(&magic, head.data() + kMagicAt, sizeof magic);
    std::memcpy(&page_size, head.data() + kPageSizeAt, sizeof page_size);
    const bool power_of_two = (page_size & (page_size - 1)) == 0;
    require(
        in.good() && magic == 0xBEEFC0DE && page_size >= 512 && page_size <= 65536 && power_of_two,
        data_file(path), " is not an LMDB database, or it is damaged");
  }
}

/// LMDB forbids a process to open one database twice, yet a train and a test net may read the same.
class SharedEnv {
 public:
  static std::shared_ptr<SharedEnv> open(const std::string& path) {
    static std::mutex mutex;
    static std::map<std::pair<dev_t, ino_t>, std::weak_ptr<SharedEnv>> opened;
    struct stat file {};
    require(is_lmdb(path) && stat(data_file(path).c_str(), &file) == 0, missing_database(path));
    const std::lock_guard lock(mutex);
    std::weak_ptr<SharedEnv>& known = opened[{file.st_dev, file.st_ino}];
    std::shared_ptr<SharedEnv> env = known.lock();
    if (!env) known = env = std::make_shared<SharedEnv>(path, file.st_size);
    return env;
  }

  SharedEnv(const std::string& path, std::int64_t file_bytes) {
    check_header(path);
    // The map that a database asks for may be a terabyte; reading takes no more than the file has.
    env_ = open_env(path, MDB_RDONLY, static_cast<std::uint64_t>(file_bytes));
    MDB_envinfo info;
    MDB_stat stat;
    check(mdb_env_info(env_.get(), &info), path, "open");
    check(mdb_env_stat(env_.get(), &stat), path, "open");
    const auto pages = static_cast<std::uint64_t>(file_bytes) / stat.ms_psize;
    require(info.me_last_pgno < pages, "the database ", path, " is truncated: data.mdb has ",
            file_bytes, " bytes and should have ", (info.me_last_pgno + 1) * stat.ms_psize);
  }

  MDB_env* get() const { return env_.get(); }

 private:
  Env env_;
};

}  // namespace

struct LmdbReader::State {
  std::shared_ptr<SharedEnv> env;
  Txn txn;
  Cursor cursor;
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
    check(mdb_cursor_get(cursor.get(), &key, nullptr, where), path, "read");
  }

  Record current(const std::string& path) {
    MDB_val key{}, value{};
    check(mdb_cursor_get(cursor.get(), &key, &value, MDB_GET_CURRENT), path, "read");
    require(value.mv_size <= file_bytes && key.mv_size <= file_bytes, "the database ", path,
            " is damaged: a record claims ", value.mv_size, " bytes");
    return {{static_cast<const char*>(key.mv_data), key.mv_size},
            {static_cast<const char*>(value.mv_data), value.mv_size}};
  }
};

LmdbReader::LmdbReader(const std::string& path) : path_(path), state_(new State) {
  state_->env = SharedEnv::open(path);
  state_->file_bytes = fs::file_size(data_file(path));
  state_->txn = begin(state_->env->get(), MDB_RDONLY, path);
  MDB_dbi dbi = 0;
  check(mdb_dbi_open(state_->txn.get(), nullptr, 0, &dbi), path, "open");
  MDB_stat stat;
  check(mdb_stat(state_->txn.get(), dbi, &stat), path, "read");
  require(stat.ms_entries > 0, "the database ", path, " has no records");
  require(stat.ms_entries < state_->file_bytes, "the database ", path, " is damaged: it claims ",
          stat.ms_entries, " records");
  size_ = static_cast<Index>(stat.ms_entries);
  MDB_cursor* cursor = nullptr;
  check(mdb_cursor_open(state_->txn.get(), dbi, &cursor), path, "read");
  state_->cursor.reset(cursor);
}

LmdbReader::~LmdbReader() = default;

void LmdbReader::seek(Index k) {
  ensure(0 <= k && k < size_, "a seek stays within the database");
  position_ = k;
}

Record LmdbReader::next() {
  Index& at = state_->at;
  if (at < 0 || at > position_) {
    state_->move(MDB_FIRST, path_);
    at = 0;
  }
  for (; at < position_; ++at) state_->move(MDB_NEXT, path_);
  const Record record = state_->current(path_);
  state_->let_go_before(record);
  position_ = (position_ + 1) % size_;
  return record;
}

bool is_lmdb(const std::string& path) { return fs::is_regular_file(data_file(path)); }

std::string missing_database(const std::string& path) {
  const std::string message = "no database at " + path;
  if (fs::is_regular_file(path))
    return message + ": that is a file; give the folder that holds data.mdb";
  // Databases of the known sets lie in data/SET/, beside the script that makes them.
  const fs::path given = path, folder = given.has_filename() ? given : given.parent_path();
  const fs::path script = folder.parent_path() / "get.sh";
  if (fs::is_regular_file(script)) return message + "; make it with " + script.string();
  if (fs::path(path).is_relative())
    return message + " (seen from " + fs::current_path().string() + ")";
  return message;
}

namespace {

void remove_files(const std::string& path, std::error_code& failed) {
  for (const char* file : {"/data.mdb", "/lock.mdb"})
    if (!failed) fs::remove(path + file, failed);
}

}  // namespace

struct LmdbWriter::State {
  Env env;
  MDB_dbi dbi = 0;
  std::uint64_t map_bytes = kFirstMap;
};

LmdbWriter::LmdbWriter(const std::string& path, bool overwrite) : path_(path), state_(new State) {
  std::error_code failed;
  if (fs::exists(path)) {
    require(overwrite, path, " exists already; remove it, give another name, or ask to overwrite");
    require(fs::is_directory(path), path, " is a file, not the folder of a database");
    remove_files(path, failed);
  } else {
    fs::create_directory(path, failed);
  }
  require(!failed, "cannot create the database ", path, ": ", failed.message());
  state_->env = open_env(path, 0, state_->map_bytes);
  const Txn txn = begin(state_->env.get(), 0, path);
  check(mdb_dbi_open(txn.get(), nullptr, 0, &state_->dbi), path, "create");
}

LmdbWriter::~LmdbWriter() = default;

void LmdbWriter::put(std::string_view key, std::string_view value) {
  require(!key.empty() && key.size() <= kMaxKey, "the database ", path_, " takes keys of 1 to ",
          kMaxKey, " bytes; '", key.substr(0, 40), "' has ", key.size());
  batch_.emplace_back(key, value);
  batch_bytes_ += key.size() + value.size();
  if (batch_.size() >= kBatchRecords || batch_bytes_ >= kBatchBytes) commit();
}

void LmdbWriter::finish() {
  commit();
  state_->env.reset();
}

void LmdbWriter::discard() {
  state_->env.reset();
  std::error_code failed;
  remove_files(path_, failed);
  fs::remove(path_, failed);  // fails, rightly, if there are other files in it
}

void LmdbWriter::commit() {
  constexpr std::uint64_t kPage = 4096;
  require_space(path_, batch_bytes_ + batch_.size() * kPage);
  int status = try_commit();
  while (status == MDB_MAP_FULL) {
    state_->map_bytes *= 2;
    check(mdb_env_set_mapsize(state_->env.get(), state_->map_bytes), path_,
          str("map ", state_->map_bytes >> 20, " MB of"));
    status = try_commit();
  }
  check(status, path_, "write");
  batch_.clear();
  batch_bytes_ = 0;
}

/// Writes the batch in one transaction; on failure nothing of it is in the database.
int LmdbWriter::try_commit() {
  Txn txn = begin(state_->env.get(), 0, path_);
  for (const auto& [key, value] : batch_) {
    MDB_val k{key.size(), const_cast<char*>(key.data())};
    MDB_val v{value.size(), const_cast<char*>(value.data())};
    const int status = mdb_put(txn.get(), state_->dbi, &k, &v, MDB_NOOVERWRITE);
    require(status != MDB_KEYEXIST, "the database ", path_, " has a record '", key, "' already");
    if (status != MDB_SUCCESS) return status;
  }
  return mdb_txn_commit(txn.release());
}

void require_space(const std::string& folder, std::uint64_t bytes) {
  std::error_code unknown;
  const auto free_bytes = static_cast<std::uint64_t>(fs::space(folder, unknown).available);
  require(unknown || bytes <= free_bytes, "no room on the disk of ", folder, ": ", bytes,
          " bytes are to be written, ", free_bytes, " are free, ", bytes - free_bytes,
          " are missing");
}

}  // namespace doppio
