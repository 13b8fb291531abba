#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "net/format/source_map.hpp"

namespace doppio {

/// Whether it is known which messages layers of `type` read: those whose message is called like
/// the type, and a list of others. Types from elsewhere may read what they like.
bool has_known_params(const std::string& type);

/// Whether layers of `type`, for which has_known_params(), read the field `param` of a layer.
bool reads_param(const std::string& type, std::string_view param);

/// A warning for each message that layers of a type have and do not read, such as
/// convolution_param in a ReLU layer: a line with the place of the first.
std::vector<std::string> unused_params(const SourcedNet& source);

}  // namespace doppio
