#pragma once
#include <lmdb.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace doppio {

// What reading and writing an LMDB database have in common.

/// Throws: Error with LMDB's reason unless `status` is success.
void check_lmdb(int status, const std::string& path, std::string_view doing);

struct CloseEnv {
  void operator()(MDB_env* env) const { mdb_env_close(env); }
};
struct AbortTxn {
  void operator()(MDB_txn* txn) const { mdb_txn_abort(txn); }
};
struct CloseCursor {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};
using LmdbEnv = std::unique_ptr<MDB_env, CloseEnv>;
using LmdbTxn = std::unique_ptr<MDB_txn, AbortTxn>;
using LmdbCursor = std::unique_ptr<MDB_cursor, CloseCursor>;

/// "PATH/data.mdb".
std::string lmdb_data_file(const std::string& path);

/// Opens the environment, without a lock where that is refused. Throws: Error.
LmdbEnv open_lmdb_env(const std::string& path, unsigned flags, std::uint64_t map_bytes);

/// Throws: Error unless data.mdb begins as an LMDB database does: liblmdb divides by the page size
/// that a file states before it looks at it.
void check_lmdb_header(const std::string& path);

LmdbTxn begin_lmdb(MDB_env* env, unsigned flags, const std::string& path);
LmdbCursor open_lmdb_cursor(MDB_txn* txn, MDB_dbi dbi, const std::string& path);

}  // namespace doppio
