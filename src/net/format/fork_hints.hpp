#pragma once
#include <string_view>

namespace doppio {

/// Fields of Caffe's forks that say how their own programs should compute (element types, choice
/// of cuDNN's algorithms, caches) and change nothing but how results are rounded: why `field` of
/// `message` may be passed over, or empty if it may not. Source: the schemas of NVCaffe and Intel's
/// Caffe.
std::string_view why_passed_over(std::string_view message, std::string_view field);

}  // namespace doppio
