#pragma once
#include <google/protobuf/text_format.h>

#include <string>

#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

/// Parses a SolverParameter from `text`.
inline SolverParameter solver_param(const std::string& text) {
  SolverParameter param;
  ensure(google::protobuf::TextFormat::ParseFromString(text, &param), "the test's text parses");
  return param;
}

}  // namespace doppio
