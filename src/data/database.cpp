#include "data/database.hpp"

#include <filesystem>

#include "data/leveldb.hpp"
#include "data/lmdb.hpp"

namespace doppio {

namespace fs = std::filesystem;

Backend backend_of(const std::string& name) {
  require(name == "lmdb" || name == "leveldb", "there is no backend '", name, "'",
          did_you_mean(name, {"lmdb", "leveldb"}), "; lmdb and leveldb are known");
  return name == "lmdb" ? Backend::lmdb : Backend::leveldb;
}

Backend find_backend(const std::string& path) {
  if (is_lmdb(path)) return Backend::lmdb;
  require(is_leveldb(path), missing_database(path));
  return Backend::leveldb;
}

bool has_database(const std::string& path) { return is_lmdb(path) || is_leveldb(path); }

std::unique_ptr<Database> open_database(const std::string& path) {
  if (find_backend(path) == Backend::lmdb) return std::make_unique<LmdbReader>(path);
  return std::make_unique<LevelDbReader>(path);
}

std::string missing_database(const std::string& path) {
  const std::string message = "no database at " + path;
  if (fs::is_regular_file(path))
    return message + ": that is a file; give the folder that holds the database";
  // Databases of the known sets lie in data/SET/, beside the script that makes them.
  const fs::path given = path, folder = given.has_filename() ? given : given.parent_path();
  const fs::path script = folder.parent_path() / "get.sh";
  if (fs::is_regular_file(script)) return message + "; make it with " + script.string();
  if (fs::path(path).is_relative())
    return message + " (seen from " + fs::current_path().string() + ")";
  return message;
}

std::unique_ptr<DatabaseWriter> make_database(const std::string& path, Backend backend,
                                              IfThere if_there) {
  require(if_there != IfThere::append || !has_database(path) || find_backend(path) == backend, path,
          ": what is there was made with the other backend; resume with that one");
  if (backend == Backend::lmdb) return std::make_unique<LmdbWriter>(path, if_there);
  return std::make_unique<LevelDbWriter>(path, if_there);
}

}  // namespace doppio
