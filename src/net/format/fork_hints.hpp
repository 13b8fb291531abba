#pragma once
#include <string_view>

namespace doppio {

/// Returns why `field` of `message` may be ignored, or an empty string if it may not. Some fields
/// of Caffe's forks only choose how the fork computes (element types, cuDNN algorithms, caches) and
/// change nothing but rounding. Source: the schemas of NVCaffe and Intel's Caffe.
std::string_view why_passed_over(std::string_view message, std::string_view field);

}  // namespace doppio
