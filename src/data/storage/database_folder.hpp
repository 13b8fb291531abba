#pragma once
#include <string>

#include "data/storage/database.hpp"
#include "io/descriptor.hpp"

namespace doppio {

/// What keeps a reader from the database in the folder `path`: that there is none, or that it is
/// not finished; empty if nothing does.
std::string why_unreadable(const std::string& path);

/// What a conversion to `path` would continue.
struct Begun {
  std::string folder;     // need not exist
  bool finished = false;  // it is the database at `path`
};
Begun begun_database(const std::string& path, IfThere if_there);

/// The folder in which a database is made: PATH.partial, with a file in it, UNFINISHED, that
/// readers heed. Once the database is whole the folder is moved to PATH, in one step where the
/// system can exchange folders; what was there is removed last. So PATH holds what it did before,
/// or a whole database, whatever fails or is killed. Only folders that hold databases are ever
/// touched.
class PartialFolder {
 public:
  /// Makes the folder (and those above it), or continues the one that is there. A finished database
  /// that is to be continued becomes PATH.partial. Throws: Error if something is in the way, or if
  /// another process makes the same database.
  PartialFolder(const std::string& path, IfThere if_there);
  /// Leaves no trace of a folder that keep() was not called for.
  ~PartialFolder();
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;

  /// Where the database is to be made.
  const std::string& path() const { return partial_; }
  /// From now on it holds records that are worth keeping.
  void keep() { kept_ = true; }
  /// Gives the finished database its name.
  void finish();
  /// Removes it, which must be closed.
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
  bool moved_here_ = false;  // a finished database that is being continued
  bool kept_ = false;
  bool whole_ = false;
};

}  // namespace doppio
