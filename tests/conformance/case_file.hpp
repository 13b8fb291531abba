#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/net.hpp"

namespace doppio::conformance {

/// A folder of numbers to reproduce, and how.
struct Case {
  enum class Kind { layer, data, solver };
  std::filesystem::path folder;  // absolute
  std::string name;              // the folder, relative to where the search began
  Kind kind = Kind::layer;
};

/// What a case.txt says. An absent file name is empty.
struct Manifest {
  struct Input {
    std::string blob, file, grad_file;
  };
  struct Output {
    std::string blob, file, grad_file;
    float loss_weight = 0;
  };
  struct Param {
    std::string layer;
    std::size_t index = 0;
    std::string grad_file, after_file;
  };
  struct Intermediate {
    std::string blob, file;
  };
  struct Batch {
    int pass = 0;
    std::string blob, file;
  };

  Phase phase = TEST;
  int forward_passes = 1;
  bool backward = false;
  std::string weights;
  double loss = 0;
  std::vector<Input> inputs;
  std::vector<Output> outputs;
  std::vector<Param> params;
  std::vector<Intermediate> intermediates;
  std::vector<Batch> batches;
};

/// Every case in `folder`, at any depth, whose name contains `filter`, in order of name.
/// Throws: Error if `folder` is not a folder.
std::vector<Case> find_cases(const std::filesystem::path& folder, const std::string& filter);

/// Throws: Error with file and line for a record that it does not know.
Manifest read_manifest(const std::filesystem::path& file);

}  // namespace doppio::conformance
