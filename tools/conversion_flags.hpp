#pragma once
#include "data/convert/image_records.hpp"
#include "tools/command.hpp"

namespace doppio {

/// Sets `options` as the flags say that all conversions of image files share. The operands are the
/// root, a list of some kind, and the database. --encoded is left to the command. Throws:
/// UsageError for an invalid --on_error.
void apply_conversion_flags(const Arguments& given, ImageConversionOptions& options);

}  // namespace doppio
