#include "data/jpeg.hpp"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <opencv2/core.hpp>
// jpeglib.h needs the line above.
#include <jpeglib.h>

#include "data/image_file.hpp"
#include "doppio/error.hpp"

#ifndef JCS_EXTENSIONS
#error "Doppio needs libjpeg-turbo; this jpeglib.h is another libjpeg's"
#endif

namespace doppio {

namespace {

/// libjpeg ends with error_exit() where it cannot go on, which must not return.
struct Errors {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> message;
};

[[noreturn]] void leave(j_common_ptr info) {
  auto* const errors = reinterpret_cast<Errors*>(info->err);
  (*info->err->format_message)(info, errors->message.data());
  std::longjmp(errors->jump, 1);
}

struct Decompressor {
  Decompressor() {
    info.err = jpeg_std_error(&errors.manager);
    errors.manager.error_exit = leave;
    errors.manager.emit_message = [](j_common_ptr, int) {};  // warnings, which would be printed
  }
  ~Decompressor() { jpeg_destroy_decompress(&info); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  /// False if libjpeg gave up. Nothing in here may need a destructor: leave() jumps past it.
  bool decode(std::string_view bytes, int channels, unsigned shrink, cv::Mat& out) {
    if (setjmp(errors.jump) != 0) return false;
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&info, TRUE);
    if (static_cast<Index>(info.image_width) * static_cast<Index>(info.image_height) > kMaxPixels) {
      std::snprintf(errors.message.data(), errors.message.size(), "it has more than %lld pixels",
                    static_cast<long long>(kMaxPixels));
      return false;
    }
    info.out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_EXT_BGR;
    info.scale_num = 1;
    info.scale_denom = shrink;
    jpeg_start_decompress(&info);
    out.create(static_cast<int>(info.output_height), static_cast<int>(info.output_width),
               CV_8UC(channels));
    constexpr JDIMENSION kRows = 16;
    while (info.output_scanline < info.output_height) {
      JSAMPROW rows[kRows];
      const JDIMENSION n = std::min(kRows, info.output_height - info.output_scanline);
      for (JDIMENSION i = 0; i < n; ++i)
        rows[i] = out.ptr(static_cast<int>(info.output_scanline + i));
      jpeg_read_scanlines(&info, rows, n);
    }
    jpeg_finish_decompress(&info);
    return true;
  }

  jpeg_decompress_struct info{};
  Errors errors{};
};

}  // namespace

cv::Mat decode_jpeg(std::string_view bytes, int channels, int shrink) {
  Decompressor decompressor;
  cv::Mat out;
  bool ok = false;
  try {
    ok = decompressor.decode(bytes, channels, static_cast<unsigned>(shrink), out);
  } catch (const cv::Exception& e) {
    throw Error(str("cannot decode the image: ", e.err));
  }
  require(ok, "cannot decode the image: ", decompressor.errors.message.data());
  return out;
}

}  // namespace doppio
