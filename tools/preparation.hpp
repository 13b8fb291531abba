#pragma once
#include "net/format/source_map.hpp"
#include "tools/image_input.hpp"

namespace doppio {

/// Returns how to prepare images for the Input layer of `net`: as its transform_param says, whose
/// mean_file is relative to the folder of the prototxt. The flags --mean, --mean_value, --scale,
/// --resize and --views override it. Warns if neither says what to subtract. Throws: UsageError for
/// invalid flags, Error for a field of transform_param that does not fit, at its line.
ImagePreparation preparation_for(const SourcedNet& net);

}  // namespace doppio
