#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "net/format/source_map.hpp"

namespace doppio {

/// Returns whether it is known which messages `type` reads: that with its name, or those in a list
/// of exceptions. Types without either may read any message.
bool has_known_params(const std::string& type);

/// Returns whether layers of `type` read the field `param`. Requires has_known_params(type).
bool reads_param(const std::string& type, std::string_view param);

/// Returns a warning for each parameter message that layers of a type set but do not read, such as
/// convolution_param in a ReLU layer. Each is one line with the location of the first occurrence.
std::vector<std::string> unused_params(const SourcedNet& source);

}  // namespace doppio
