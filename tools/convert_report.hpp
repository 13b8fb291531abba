#pragma once
#include <string>
#include <vector>

#include "data/convert/stored_images.hpp"

namespace doppio {

/// Returns the log lines about images that a conversion has stored in `seconds`: how many of each
/// label, their sizes, bytes and speed. Empty if there are none. `resumed` is the number of images
/// that earlier runs have processed; `stored` does not include them.
std::vector<std::string> conversion_report(const StoredImages& stored, double seconds,
                                           Index resumed = 0);

/// Returns warnings about labels that a classifier cannot use: negative ones, and numbers below the
/// largest that no image has. The latter only if `resumed` is 0, because earlier runs may have
/// stored such images.
std::vector<std::string> label_warnings(const StoredImages& stored, Index resumed = 0);

/// Logs both.
void log_conversion(const StoredImages& stored, double seconds, Index resumed = 0);

}  // namespace doppio
