#include <fcntl.h>
#include <lmdb.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "core/printable.hpp"
#include "data/storage/lmdb.hpp"
#include "data/storage/lmdb_append_check.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

struct CloseEnv {
  void operator()(MDB_env* env) const { mdb_env_close(env); }
};
struct AbortTxn {
  void operator()(MDB_txn* txn) const { mdb_txn_abort(txn); }
};
using Env = std::unique_ptr<MDB_env, CloseEnv>;
using Txn = std::unique_ptr<MDB_txn, AbortTxn>;

void check(int status, const std::string& path, std::string_view doing) {
  require(status == MDB_SUCCESS, "cannot ", doing, " the database ", printable(path), ": ",
          mdb_strerror(status));
}

Txn begin(MDB_env* env, const std::string& path) {
  MDB_txn* txn = nullptr;
  check(mdb_txn_begin(env, nullptr, 0, &txn), path, "write");
  return Txn(txn);
}

/// Allocates the blocks of the lock file. liblmdb creates a sparse file and writes to it through a
/// memory map, which raises SIGBUS if the disk is full.
void reserve_lock_file(const std::string& folder) {
  constexpr off_t kBytes = 8192;  // size that liblmdb uses for 126 readers
  const Descriptor file(::open((folder + "/lock.mdb").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0664));
  int error = file.get() < 0 ? errno : 0;
  if (error == 0) error = ::posix_fallocate(file.get(), 0, kBytes);
  require(error == 0, "cannot write ", printable(folder), "/lock.mdb: ", std::strerror(error));
}

}  // namespace

struct LmdbWriter::State {
  Env env;
  MDB_dbi dbi = 0;
  std::uint64_t map_bytes = 16 << 20;  // initial size
};

LmdbWriter::LmdbWriter(const std::string& path, IfThere if_there)
    : BatchedWriter(path, if_there), state_(new State) {
  std::error_code none;
  if (std::filesystem::file_size(lmdb_data_file(folder()), none) > 0 && !none) {
    const LmdbFile there(folder());
    check_lmdb_pages(there);
    state_->map_bytes = std::max(state_->map_bytes, 2 * there.bytes());
  }
  reserve_lock_file(folder());
  MDB_env* created = nullptr;
  check(mdb_env_create(&created), path, "create");
  state_->env.reset(created);
  check(mdb_env_set_mapsize(created, state_->map_bytes), path, "map");
  check(mdb_env_open(created, folder().c_str(), MDB_NOTLS, 0664), path, "create");
  const Txn txn = begin(created, path);
  check(mdb_dbi_open(txn.get(), nullptr, 0, &state_->dbi), path, "create");
}

LmdbWriter::~LmdbWriter() = default;

void LmdbWriter::write(const Batch& batch) {
  int status = try_write(batch);
  while (status == MDB_MAP_FULL) {
    state_->map_bytes *= 2;
    check(mdb_env_set_mapsize(state_->env.get(), state_->map_bytes), path_,
          str("map ", state_->map_bytes >> 20, " MB of"));
    status = try_write(batch);
  }
  check(status, path_, "write");
}

/// Writes the batch in one transaction. On failure the database is unchanged.
int LmdbWriter::try_write(const Batch& batch) {
  Txn txn = begin(state_->env.get(), path_);
  for (const auto& [key, value] : batch) {
    MDB_val k{key.size(), const_cast<char*>(key.data())};
    MDB_val v{value.size(), const_cast<char*>(value.data())};
    const int status = mdb_put(txn.get(), state_->dbi, &k, &v, MDB_NOOVERWRITE);
    if (status == MDB_KEYEXIST) report_duplicate(key);
    if (status != MDB_SUCCESS) return status;
  }
  return mdb_txn_commit(txn.release());
}

void LmdbWriter::close() { state_->env.reset(); }

}  // namespace doppio
