#pragma once
#include <string>
#include <vector>

#include "spec.pb.h"

namespace doppio::specs {

/// A spec and the file that holds it.
struct NamedSpec {
  std::string name;  ///< <file stem>_<spec name>
  Spec spec;
  std::string error;  ///< why the file could not be used; `spec` is empty then
};

/// All specs of tests/specs/*.prototxt in order of file name.
std::vector<NamedSpec> read_specs();

}  // namespace doppio::specs
