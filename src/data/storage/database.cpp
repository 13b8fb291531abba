#include "data/storage/database.hpp"

#include <filesystem>

#include "core/printable.hpp"
#include "data/storage/database_folder.hpp"
#include "data/storage/database_list.hpp"
#include "data/storage/leveldb.hpp"
#include "data/storage/lmdb.hpp"

namespace doppio {

namespace fs = std::filesystem;

std::string record_name(std::string_view database, std::string_view key) {
  return str("database ", printable(database), ", record '", printable(key), "'");
}

Backend backend_of(const std::string& name) {
  require(name == "lmdb" || name == "leveldb", "there is no backend '", name, "'",
          did_you_mean(name, {"lmdb", "leveldb"}), "; lmdb and leveldb are known");
  return name == "lmdb" ? Backend::lmdb : Backend::leveldb;
}

Backend find_backend(const std::string& path) {
  const std::string problem = why_unreadable(path);
  require(problem.empty(), problem);
  return is_lmdb(path) ? Backend::lmdb : Backend::leveldb;
}

bool has_database(const std::string& path) { return is_lmdb(path) || is_leveldb(path); }

std::unique_ptr<SingleDatabase> open_database(const std::string& path, int max_files) {
  if (find_backend(path) == Backend::lmdb) return std::make_unique<LmdbReader>(path);
  return std::make_unique<LevelDbReader>(path, max_files);
}

std::string missing_database(const std::string& path) {
  std::error_code unknown;
  const bool pattern = has_wildcards(path);
  std::string message = (pattern ? "no folder matches " : "no database at ") + printable(path);
  if (fs::is_regular_file(path, unknown))
    return message + ": that is a file; give the folder that holds the database";
  // Databases of the included data sets are in data/SET/, next to the script that creates them.
  const fs::path given = path, folder = given.has_filename() ? given : given.parent_path();
  const fs::path script = folder.parent_path() / "get.sh";
  if (!pattern && fs::is_regular_file(script, unknown))
    return message + "; make it with " + script.string();
  if (given.is_relative())
    return message + " (seen from " + fs::current_path(unknown).string() + ")";
  return message;
}

std::string last_key(const std::string& folder) {
  if (is_lmdb(folder)) return last_lmdb_key(folder);
  return is_leveldb(folder) ? last_leveldb_key(folder) : "";
}

std::unique_ptr<DatabaseWriter> make_database(const std::string& path, Backend backend,
                                              IfThere if_there) {
  if (if_there == IfThere::append || if_there == IfThere::append_and_replace) {
    const std::string begun = begun_database(path, if_there).folder;
    const Backend other = backend == Backend::lmdb ? Backend::leveldb : Backend::lmdb;
    require(!(other == Backend::lmdb ? is_lmdb(begun) : is_leveldb(begun)), printable(begun),
            ": what is there was made with the other backend; resume with that one");
  }
  if (backend == Backend::lmdb) return std::make_unique<LmdbWriter>(path, if_there);
  return std::make_unique<LevelDbWriter>(path, if_there);
}

}  // namespace doppio
