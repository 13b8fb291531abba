#include <algorithm>
#include <filesystem>

#include "data/lmdb.hpp"
#include "data/lmdb_env.hpp"
#include "doppio/error.hpp"

namespace doppio {

struct LmdbWriter::State {
  LmdbEnv env;
  MDB_dbi dbi = 0;
  std::uint64_t map_bytes = 16 << 20;  // to begin with
};

LmdbWriter::LmdbWriter(const std::string& path, IfThere if_there)
    : BatchedWriter(path, if_there), state_(new State) {
  const std::uint64_t there = is_lmdb(path) ? std::filesystem::file_size(lmdb_data_file(path)) : 0;
  if (there > 0) check_lmdb_header(path);
  state_->map_bytes = std::max(state_->map_bytes, 2 * there);
  state_->env = open_lmdb_env(path, 0, state_->map_bytes);
  const LmdbTxn txn = begin_lmdb(state_->env.get(), 0, path);
  check_lmdb(mdb_dbi_open(txn.get(), nullptr, 0, &state_->dbi), path, "create");
}

LmdbWriter::~LmdbWriter() = default;

std::string LmdbWriter::last_key() {
  const LmdbTxn txn = begin_lmdb(state_->env.get(), MDB_RDONLY, path_);
  const LmdbCursor cursor = open_lmdb_cursor(txn.get(), state_->dbi, path_);
  MDB_val key{};
  const int status = mdb_cursor_get(cursor.get(), &key, nullptr, MDB_LAST);
  if (status == MDB_NOTFOUND) return {};
  check_lmdb(status, path_, "read");
  return {static_cast<const char*>(key.mv_data), key.mv_size};
}

void LmdbWriter::write(const Batch& batch) {
  int status = try_write(batch);
  while (status == MDB_MAP_FULL) {
    state_->map_bytes *= 2;
    check_lmdb(mdb_env_set_mapsize(state_->env.get(), state_->map_bytes), path_,
               str("map ", state_->map_bytes >> 20, " MB of"));
    status = try_write(batch);
  }
  check_lmdb(status, path_, "write");
}

/// Writes the batch in one transaction; on failure nothing of it is in the database.
int LmdbWriter::try_write(const Batch& batch) {
  LmdbTxn txn = begin_lmdb(state_->env.get(), 0, path_);
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
