#include "io/file_kind.hpp"

#include <algorithm>
#include <cstdint>

#include "doppio/error.hpp"

namespace doppio {

namespace {

using namespace std::string_view_literals;

struct Signature {
  std::size_t at;
  std::string_view bytes;
  std::string_view kind;
};

constexpr Signature kSignatures[] = {
    {0, "\xFF\xD8\xFF"sv, "a JPEG image"},
    {0, "\x89PNG\r\n\x1A\n"sv, "a PNG image"},
    {0, "GIF8"sv, "a GIF image"},
    {0, "II*\0"sv, "a TIFF image"},
    {0, "MM\0*"sv, "a TIFF image"},
    {8, "WEBPVP8"sv, "a WebP image"},
    {4, "jP  \r\n\x87\n"sv, "a JPEG 2000 image"},
    {4, "ftyphei"sv, "a HEIF image"},
    {4, "ftypmif1"sv, "a HEIF image"},
    {4, "ftypavif"sv, "an AVIF image"},
    {4, "ftyp"sv, "a video"},
    {0, "%PDF"sv, "a PDF document"},
    {0, "\x89HDF\r\n\x1A\n"sv, "an HDF5 file"},
    {16, "\xDE\xC0\xEF\xBE"sv, "an LMDB database's data.mdb"},
    {0, "\0\0\x08\x01"sv, "an idx file of labels"},
    {0, "\0\0\x08\x03"sv, "an idx file of images"},
    {0, "\x93NUMPY"sv, "a NumPy array"},
    {0, "PK\x03\x04"sv, "a zip archive"},
    {0, "\x1F\x8B"sv, "a gzip archive"},
};

/// Returns the numbers and wire types of the first fields of a protobuf message, as in "1v 2v 5l ":
/// v for varint, l for length-delimited, f for fixed size. Empty if it is no protobuf message.
std::string leading_fields(std::string_view bytes) {
  constexpr std::size_t kMaxFields = 8;
  std::size_t at = 0;
  const auto varint = [&](std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && at < bytes.size(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes[at++]);
      value |= std::uint64_t{byte & 127u} << shift;
      if (byte < 128) return true;
    }
    return false;
  };
  std::string fields;
  for (std::size_t i = 0; i < kMaxFields && at < bytes.size(); ++i) {
    std::uint64_t tag = 0, value = 0;
    if (!varint(tag) || tag < 8) return i == 0 ? "" : fields;
    const std::uint64_t type = tag & 7;
    if (type > 2 && type != 5) return "";
    if ((type == 0 || type == 2) && !varint(value)) return fields;
    fields += str(tag >> 3, type == 0 ? 'v' : type == 2 ? 'l' : 'f', ' ');
    const std::uint64_t skipped = type == 2 ? value : type == 1 ? 8 : type == 5 ? 4 : 0;
    if (skipped > bytes.size() - at) break;  // beyond the head
    at += static_cast<std::size_t>(skipped);
  }
  return fields;
}

/// Describes the protobuf message that begins with `bytes`.
std::string_view kind_of_message(std::string_view bytes) {
  constexpr std::string_view kChecked = "\xC2\xDE\x1F\0"sv;  // see net/format/checked_file.hpp
  if (bytes.starts_with(kChecked)) bytes.remove_prefix(kChecked.size());
  const std::string fields = leading_fields(bytes);
  const auto begins = [&](std::string_view with) { return fields.starts_with(with); };
  const auto holds = [&](std::string_view part) { return fields.find(part) != fields.npos; };
  // A name, followed by current layers, V1 layers or inputs.
  if (begins("100l ") || (begins("1l ") && (holds(" 100l ") || holds(" 2l ") || holds(" 3l "))))
    return "weights or another binary net";
  if (begins("1v 2l ") || begins("1v 3l ")) return "a solver's state";
  if (begins("1v 2v 3v 4v 5l ") || begins("5l 7l ") || begins("7l 5l "))
    return "a mean image or another blob";
  if (begins("1v 2v 3v 4l ") || begins("4l 5v ") || begins("4l 7v ")) return "a Datum record";
  return {};
}

std::string_view kind_of_text(std::string_view text) {
  const auto holds = [&](std::string_view part) { return text.find(part) != text.npos; };
  if (holds("layer {") || holds("layers {") || holds("layer{") || holds("layers{"))
    return "a net's prototxt";
  if (holds("base_lr:") || holds("max_iter:") || holds("snapshot_prefix:"))
    return "a solver's prototxt";
  return "a text file";
}

}  // namespace

bool is_text(std::string_view bytes) {
  return std::none_of(bytes.begin(), bytes.end(), [](char c) {
    constexpr char kDosEnd = '\x1A';
    const bool blank = c >= '\t' && c <= '\r';
    return (c >= 0 && c < ' ' && !blank && c != kDosEnd) || c == '\x7F';
  });
}

std::string_view kind_of_file(std::string_view head) {
  head = head.substr(0, kHeadBytes);
  if (head.empty()) return "an empty file";
  if (head.starts_with("BM") && head.substr(6, 4) == "\0\0\0\0"sv) return "a BMP image";
  for (const Signature& s : kSignatures)
    if (head.size() > s.at && head.substr(s.at).starts_with(s.bytes)) return s.kind;
  return is_text(head) ? kind_of_text(head) : kind_of_message(head);
}

std::string kind_hint(std::string_view head) {
  const std::string_view kind = kind_of_file(head);
  return kind.empty() ? "" : str("; it is ", kind);
}

}  // namespace doppio
