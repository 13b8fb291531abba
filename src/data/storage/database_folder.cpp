#include "data/storage/database_folder.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "core/printable.hpp"
#include "data/storage/database_lock.hpp"
#include "data/storage/leveldb.hpp"
#include "data/storage/lmdb.hpp"
#include "data/storage/lmdb_file.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace fs = std::filesystem;

namespace {

constexpr const char* kMark = "UNFINISHED";
constexpr const char* kMarkText =
    "The database in this folder is being made, or its conversion was interrupted.\n"
    "`doppio convert imageset --resume` with the same arguments continues it.\n";
constexpr const char* kRemedy =
    "`doppio convert imageset --resume` with the same arguments continues it, --overwrite starts "
    "over";

std::string marked(const std::string& folder) { return folder + "/" + kMark; }

bool exists(const std::string& path) {
  std::error_code unknown;
  return fs::exists(fs::symlink_status(path, unknown));
}

/// Returns true unless `path` is missing or an empty folder.
bool occupied(const std::string& path) {
  std::error_code unknown;
  if (!exists(path)) return false;
  return !fs::is_directory(path, unknown) || !fs::is_empty(path, unknown);
}

/// Returns true for names of files of LMDB, LevelDB and Doppio.
bool is_database_file(const std::string& name) {
  constexpr std::array kNames = {"data.mdb", "lock.mdb", "CURRENT", "LOCK",
                                 "LOG",      "LOG.old",  kMark};
  if (std::find(kNames.begin(), kNames.end(), name) != kNames.end()) return true;
  const bool numbered = !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) != 0;
  const bool numbered_kind = name.ends_with(".ldb") || name.ends_with(".sst") ||
                             name.ends_with(".log") || name.ends_with(".dbtmp");
  return name.starts_with("MANIFEST-") || (numbered && numbered_kind);
}

std::vector<fs::path> files_of(const std::string& folder, std::error_code& failed) {
  std::vector<fs::path> files;
  for (fs::directory_iterator file(folder, failed), end; !failed && file != end;
       file.increment(failed))
    files.push_back(file->path());
  return files;
}

/// Throws: Error if the folder contains any file that is not a database's.
void require_database_only(const std::string& folder) {
  std::error_code failed, unknown;
  const std::vector<fs::path> files = files_of(folder, failed);
  require(!failed, "cannot list the folder ", printable(folder), ": ", failed.message());
  for (const fs::path& file : files) {
    require(
        is_database_file(file.filename()) && fs::is_regular_file(fs::symlink_status(file, unknown)),
        printable(folder), " holds '", printable(file.filename().string()),
        "', which is no part of a database: nothing is overwritten there; give another name");
  }
}

/// Throws: Error unless --overwrite may replace `path`.
void require_replaceable(const std::string& path) {
  std::error_code unknown;
  require(fs::is_directory(path, unknown), printable(path),
          " is a file, not the folder of a database");
  require_database_only(path);
  const bool lmdb = is_lmdb(path) && looks_like_lmdb(path);
  require(lmdb || is_leveldb(path) || exists(marked(path)), printable(path),
          " holds no database: nothing is overwritten there; give another name");
}

/// Removes a database and its folder. Other files and their folder remain.
void remove_database(const std::string& folder) {
  std::error_code failed;
  std::vector<fs::path> files = files_of(folder, failed);
  // Files that require_replaceable() recognises go last, in case the removal is interrupted.
  std::stable_partition(files.begin(), files.end(), [](const fs::path& file) {
    const std::string name = file.filename();
    return name != "data.mdb" && name != "CURRENT" && name != kMark;
  });
  for (const fs::path& file : files)
    if (is_database_file(file.filename())) fs::remove(file, failed);
  fs::remove(folder, failed);  // fails intentionally if there are other files
}

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path();
  return folder.empty() ? "." : folder;
}

[[noreturn]] void fail(const char* what, const std::string& path, int error) {
  throw Error(str("cannot ", what, " ", printable(path), ": ", std::strerror(error)));
}

void sync_folder(const std::string& folder) {
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0 || (::fsync(opened.get()) != 0 && errno != EINVAL))
    fail("sync", folder, errno);
}

void mark(const std::string& folder) {
  if (exists(marked(folder))) return;
  const Descriptor file(::open(marked(folder).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  const auto length = static_cast<ssize_t>(std::strlen(kMarkText));
  int error = 0;
  if (file.get() < 0 ||
      ::write(file.get(), kMarkText, static_cast<std::size_t>(length)) != length ||
      (::fsync(file.get()) != 0 && errno != EINVAL))
    error = errno != 0 ? errno : ENOSPC;
  if (error == 0) return sync_folder(folder);
  ::unlink(marked(folder).c_str());
  fail("write", marked(folder), error);
}

void unmark(const std::string& folder) {
  if (::unlink(marked(folder).c_str()) != 0 && errno != ENOENT)
    fail("remove", marked(folder), errno);
  sync_folder(folder);
}

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

/// Returns the folder to move for `path`: the target if it is a symbolic link.
std::string resolved(const std::string& path) {
  std::error_code unknown, failed;
  fs::path folder = without_slash(path);
  const std::string name = folder.filename();
  if (fs::is_symlink(folder, unknown) || name.empty() || name == "." || name == "..")
    folder = fs::canonical(folder, failed);
  require(!failed, "cannot find ", printable(path), ": ", failed.message());
  return folder;
}

}  // namespace

std::string why_unreadable(const std::string& path) {
  const std::string partial = without_slash(path) + ".partial";
  const bool there = has_database(path);
  if (there ? exists(marked(path)) : exists(marked(partial)))
    return str("the database ", printable(there ? path : partial),
               " is not finished: its conversion is still running or was interrupted; ", kRemedy);
  return there ? "" : missing_database(path);
}

Begun begun_database(const std::string& path, IfThere if_there) {
  const std::string folder = resolved(path), partial = folder + ".partial";
  const bool finished =
      if_there == IfThere::append && !occupied(partial) && why_unreadable(folder).empty();
  return {if_there != IfThere::append || occupied(partial) ? partial : folder, finished};
}

PartialFolder::PartialFolder(const std::string& path, IfThere if_there)
    : path_(resolved(path)), partial_(path_ + ".partial"), if_there_(if_there) {
  std::error_code failed;
  fs::create_directories(folder_of(path_), failed);
  require(!failed, "cannot create the folder ", printable(folder_of(path_)), ": ",
          failed.message());
  const Descriptor parent = lock_databases_in(folder_of(path_));
  const bool there = occupied(path_), begun = occupied(partial_);
  if (begun) lock_ = lock_for_writing(partial_, path_);
  if (there) check_destination();
  if (begun) check_begun(there);

  if (begun && continues()) {
    mark(partial_);
    kept_ = true;
  } else if (there && continues() && !replaces()) {
    lock_ = lock_for_writing(path_, path_);
    mark(path_);
    if (::rename(path_.c_str(), partial_.c_str()) != 0) {
      const int error = errno;
      unmark(path_);
      fail("rename", path_, error);
    }
    moved_here_ = true;
  } else {
    if (begun) remove_database(partial_);
    make();
  }
}

PartialFolder::~PartialFolder() {
  if (kept_) return;
  try {
    if (!moved_here_) {
      remove_database(partial_);
    } else if (::rename(partial_.c_str(), path_.c_str()) == 0) {
      unmark(path_);
    }
  } catch (const Error&) {  // the folder stays marked as unfinished and can be continued
  }
}

/// Throws: Error unless the options allow for an existing database at the destination.
void PartialFolder::check_destination() const {
  std::error_code unknown;
  require(replaces() || continues(), printable(path_),
          " exists already; remove it, give another name, or ask to overwrite or resume");
  require(fs::is_directory(path_, unknown), printable(path_),
          " is a file, not the folder of a database");
  if (replaces()) require_replaceable(path_);
}

/// Throws: Error unless the options allow for the result of an interrupted conversion.
void PartialFolder::check_begun(bool there) const {
  require_replaceable(partial_);
  require(replaces() || continues(), printable(partial_), " contains an interrupted conversion; ",
          kRemedy);
  if (!continues() || !there) return;
  require(replaces(), printable(path_), " exists already, and ", printable(partial_),
          " contains an interrupted conversion; with --overwrite that is finished and then "
          "replaces it");
  require(exists(marked(partial_)), printable(partial_), " contains a finished database: ",
          "--overwrite was interrupted while it exchanged it with ", printable(path_),
          "; keep the one that you want under this name and remove the other");
}

/// Creates a new folder.
void PartialFolder::make() {
  if (::mkdir(partial_.c_str(), 0777) != 0 && errno != EEXIST) fail("create", partial_, errno);
  try {
    lock_ = lock_for_writing(partial_, path_);
    mark(partial_);
  } catch (...) {
    remove_database(partial_);
    throw;
  }
}

void PartialFolder::finish() {
  kept_ = whole_ = true;
  const Descriptor parent = lock_databases_in(folder_of(path_));
  const bool there = occupied(path_);
  require(!there || replaces(), printable(path_), " was made by another process in the meantime; ",
          printable(partial_), " holds the new database");
  if (there) require_replaceable(path_);
  unmark(partial_);
  lock_ = Descriptor();
  const std::string old = there ? exchange() : "";
  if (!there && ::rename(partial_.c_str(), path_.c_str()) != 0) fail_to_move(errno);
  sync_folder(folder_of(path_));
  if (there) remove_database(old);
}

/// Moves the new database to the old one's path. Returns the new path of the old one.
std::string PartialFolder::exchange() const {
  if (::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) == 0)
    return partial_;
  // Not supported by some file systems, such as NFS. If the process is killed between the two
  // renames, both databases remain and --resume completes the second rename.
  std::string old = path_ + ".replaced";
  if (exists(old)) remove_database(old);
  if (::rename(path_.c_str(), old.c_str()) != 0) fail_to_move(errno);
  if (::rename(partial_.c_str(), path_.c_str()) == 0) return old;
  const int error = errno;
  ::rename(old.c_str(), path_.c_str());
  fail_to_move(error);
}

void PartialFolder::fail_to_move(int error) const {
  throw Error(str("the database is whole, but ", printable(partial_), " cannot be renamed to ",
                  printable(path_), ": ", std::strerror(error)));
}

void PartialFolder::discard() {
  if (!whole_) remove_database(partial_);
  kept_ = true;
}

}  // namespace doppio
