#pragma once
#include <string>
#include <vector>

#include "support/scratch_folder.hpp"
#include "tools/run_command.hpp"

namespace doppio {

/// A folder with a solver, a net and two databases of coloured noise with four classes and 8 x 8
/// pixels. The net has random crops, mirroring and dropout.
class TrainingFolder {
 public:
  TrainingFolder();

  std::string operator/(const std::string& name) const { return folder_ / name; }
  std::string write(const std::string& name, const std::string& contents) const {
    return folder_.write(name, contents);
  }
  /// Writes the net with `from`, which must occur, replaced by `to`. Returns the path.
  std::string write_net(const std::string& from, const std::string& to) const;

  /// Returns `doppio train` on solver.prototxt with additional arguments.
  std::vector<std::string> train(const std::vector<std::string>& more = {}) const;
  /// Returns the names in the folder that contain `part`.
  std::vector<std::string> files_with(const std::string& part) const;

 private:
  ScratchFolder folder_;
  std::string net_;
};

/// Creates a database of `labels.size()` records of 3 x 8 x 8 random bytes that depend on `seed`.
void write_database(const std::string& path, const std::vector<int>& labels, unsigned seed);

}  // namespace doppio
