#include "tools/conversion_flags.hpp"

#include <gflags/gflags.h>

#include <random>

#include "tools/flags.hpp"

DEFINE_bool(shuffle, false, "store the images in random order");
DEFINE_int32(resize_height, 0, "height of all images, in pixels");
DEFINE_int32(resize_width, 0, "width of all images, in pixels");
DEFINE_string(encode_type, "", "type of the stored image files, such as png or jpg");
DEFINE_string(on_error, "fail", "what to do with images that cannot be read: fail or skip");

namespace doppio {

void apply_conversion_flags(const Arguments& given, ImageConversionOptions& options) {
  if (FLAGS_on_error != "fail" && FLAGS_on_error != "skip")
    throw UsageError("--on_error=" + FLAGS_on_error + ": expected fail or skip");
  options.root = given.operands[0];
  options.database = given.operands[2];
  options.overwrite = FLAGS_overwrite;
  options.gray = FLAGS_gray;
  options.shuffle = FLAGS_shuffle;
  options.seed = FLAGS_seed < 0 ? std::random_device()() : static_cast<std::uint64_t>(FLAGS_seed);
  options.backend = FLAGS_backend;
  options.resize_height = FLAGS_resize_height;
  options.resize_width = FLAGS_resize_width;
  options.encode_type = FLAGS_encode_type;
  options.on_error = FLAGS_on_error == "skip" ? OnError::skip : OnError::fail;
  options.threads = FLAGS_threads;
}

}  // namespace doppio
