#pragma once
#include <string>

#include "data/storage/database.hpp"
#include "io/descriptor.hpp"

namespace doppio {

/// Returns why the database in the folder `path` cannot be read: it is missing or not finished.
/// Returns "" otherwise.
std::string why_unreadable(const std::string& path);

/// The database that a conversion to `path` would continue.
struct Begun {
  std::string folder;     // may not exist
  bool finished = false;  // whether it is the complete database at `path`
};
Begun begun_database(const std::string& path, IfThere if_there);

/// The folder PATH.partial in which a database is created. It contains a file UNFINISHED that makes
/// readers reject it. The complete database is moved to PATH, atomically if the file system can
/// exchange folders, and the old one is removed last. So PATH contains the old or a complete new
/// database at any time. Only folders that contain databases are modified.
class PartialFolder {
 public:
  /// Creates the folder and its parents, or continues an existing one. A complete database to be
  /// continued is renamed to PATH.partial. Throws: Error if other files are in the way, or if
  /// another process creates the same database.
  PartialFolder(const std::string& path, IfThere if_there);
  /// Removes the folder unless keep() was called.
  ~PartialFolder();
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;

  /// Folder in which to create the database.
  const std::string& path() const { return partial_; }
  /// Marks the folder as containing committed records.
  void keep() { kept_ = true; }
  /// Moves the complete database to its destination.
  void finish();
  /// Removes the database, which must be closed.
  void discard();

 private:
  bool replaces() const {
    return if_there_ == IfThere::replace || if_there_ == IfThere::append_and_replace;
  }
  bool continues() const {
    return if_there_ == IfThere::append || if_there_ == IfThere::append_and_replace;
  }
  void check_destination() const;
  void check_begun(bool there) const;
  void make();
  std::string exchange() const;
  [[noreturn]] void fail_to_move(int error) const;

  const std::string path_, partial_;
  const IfThere if_there_;
  Descriptor lock_;
  bool moved_here_ = false;  // whether it is a complete database that is being continued
  bool kept_ = false;
  bool whole_ = false;
};

}  // namespace doppio
