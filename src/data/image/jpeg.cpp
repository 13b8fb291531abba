#include "data/image/jpeg.hpp"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <opencv2/core.hpp>
// jpeglib.h needs the line above.
#include <jerror.h>
#include <jpeglib.h>

#include "data/image/image_file.hpp"
#include "doppio/error.hpp"

#ifndef JCS_EXTENSIONS
#error "Doppio needs libjpeg-turbo; this jpeglib.h is another libjpeg's"
#endif

namespace doppio {

namespace {

/// libjpeg calls error_exit() on fatal errors. The function must not return.
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

/// Treats warnings as errors, because libjpeg fills missing pixels with gray. Harmless ones are
/// exceptions, such as "extraneous bytes before marker", which files of many cameras cause.
void warn(j_common_ptr info, int level) {
  if (level >= 0) return;  // trace message
  switch (info->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_TOO_MUCH_DATA:
      return;
    default:
      leave(info);
  }
}

struct Decompressor {
  Decompressor() {
    info.err = jpeg_std_error(&errors.manager);
    errors.manager.error_exit = leave;
    errors.manager.emit_message = warn;
  }
  ~Decompressor() { jpeg_destroy_decompress(&info); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  /// Decodes to one or three channels, or to CMYK if stored so. Returns false if the file is
  /// damaged. Must not have objects with destructors, since leave() uses longjmp.
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
    const int made = info.num_components == 4 ? 4 : channels;
    info.out_color_space = made == 4 ? JCS_CMYK : made == 1 ? JCS_GRAYSCALE : JCS_EXT_BGR;
    info.scale_num = 1;
    info.scale_denom = shrink;
    jpeg_start_decompress(&info);
    out.create(static_cast<int>(info.output_height), static_cast<int>(info.output_width),
               CV_8UC(made));
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

/// Converts CMYK to gray or B, G, R like OpenCV. Values are stored inverted, as Adobe does.
cv::Mat from_cmyk(const cv::Mat& cmyk, int channels) {
  constexpr int kBits = 14, kRed = 4899, kGreen = 9617, kBlue = (1 << kBits) - kRed - kGreen;
  cv::Mat out(cmyk.rows, cmyk.cols, CV_8UC(channels));
  for (int h = 0; h < cmyk.rows; ++h) {
    const unsigned char* in = cmyk.ptr(h);
    unsigned char* pixel = out.ptr(h);
    for (int w = 0; w < cmyk.cols; ++w, in += 4, pixel += channels) {
      const int black = in[3];
      const auto light = [&](int ink) { return black - ((255 - ink) * black >> 8); };
      const int red = light(in[0]), green = light(in[1]), blue = light(in[2]);
      if (channels == 1) {
        const int gray = (red * kRed + green * kGreen + blue * kBlue + (1 << (kBits - 1))) >> kBits;
        pixel[0] = static_cast<unsigned char>(gray);
      } else {
        pixel[0] = static_cast<unsigned char>(blue);
        pixel[1] = static_cast<unsigned char>(green);
        pixel[2] = static_cast<unsigned char>(red);
      }
    }
  }
  return out;
}

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
  return out.channels() == 4 ? from_cmyk(out, channels) : out;
}

}  // namespace doppio
