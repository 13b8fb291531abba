#include "data/lmdb_env.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "doppio/error.hpp"

namespace doppio {

namespace {

/// What network and read-only file systems answer where LMDB asks for its lock file.
bool lock_file_refused(int status) {
  return status == EACCES || status == EPERM || status == EROFS || status == ENOSYS ||
         status == ENOLCK || status == EOPNOTSUPP;
}

}  // namespace

void check_lmdb(int status, const std::string& path, std::string_view doing) {
  require(status == MDB_SUCCESS, "cannot ", doing, " the database ", path, ": ",
          mdb_strerror(status));
}

std::string lmdb_data_file(const std::string& path) { return path + "/data.mdb"; }

LmdbEnv open_lmdb_env(const std::string& path, unsigned flags, std::uint64_t map_bytes) {
  int status = MDB_SUCCESS;
  for (const unsigned lock : {0u, unsigned{MDB_NOLOCK}}) {
    MDB_env* created = nullptr;
    check_lmdb(mdb_env_create(&created), path, "open");
    LmdbEnv env(created);
    check_lmdb(mdb_env_set_mapsize(env.get(), map_bytes), path, "map");
    status = mdb_env_open(env.get(), path.c_str(), flags | lock | MDB_NOTLS, 0664);
    if (status == MDB_SUCCESS) return env;
    if (!lock_file_refused(status)) break;
  }
  check_lmdb(status, path, "open");
  return nullptr;
}

LmdbTxn begin_lmdb(MDB_env* env, unsigned flags, const std::string& path) {
  MDB_txn* txn = nullptr;
  check_lmdb(mdb_txn_begin(env, nullptr, flags, &txn), path, "read");
  return LmdbTxn(txn);
}

LmdbCursor open_lmdb_cursor(MDB_txn* txn, MDB_dbi dbi, const std::string& path) {
  MDB_cursor* cursor = nullptr;
  check_lmdb(mdb_cursor_open(txn, dbi, &cursor), path, "read");
  return LmdbCursor(cursor);
}

void check_lmdb_header(const std::string& path) {
  constexpr std::size_t kMagicAt = 16, kPageSizeAt = 40;
  std::ifstream in(lmdb_data_file(path), std::ios::binary);
  require(in.good(), "cannot read ", lmdb_data_file(path), ": permission denied?");
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
        lmdb_data_file(path), " is not an LMDB database, or it is damaged");
  }
}

}  // namespace doppio
