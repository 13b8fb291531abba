#include "net/weights/blob_file.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>

#include "doppio/error.hpp"
#include "net/format/blob_io.hpp"
#include "net/format/wire.hpp"

namespace doppio {

namespace {

// Fields of a BlobProto whose `data` stay in the file: their offset and size in bytes.
constexpr int kPlace = 100000, kBytes = 100001;
constexpr std::uint64_t kLong = 1024;  // size in bytes from which data stay in the file

void put_number(int field, std::uint64_t value, std::string& out) {
  wire::put_varint(wire::tag(field, wire::kVarint), out);
  wire::put_varint(value, out);
}

/// Returns false for fields of nets and layers whose meaning depends on the fork. Weights do not
/// need them.
bool is_common(const google::protobuf::Descriptor& type, int field) {
  const auto one_of = [field](std::initializer_list<int> numbers) {
    return std::find(numbers.begin(), numbers.end(), field) != numbers.end();
  };
  if (&type == NetParameter::descriptor())
    return one_of({NetParameter::kNameFieldNumber, NetParameter::kLayersFieldNumber,
                   NetParameter::kLayerFieldNumber});
  if (&type == LayerParameter::descriptor())
    return one_of({LayerParameter::kNameFieldNumber, LayerParameter::kTypeFieldNumber,
                   LayerParameter::kBlobsFieldNumber});
  if (&type == V1LayerParameter::descriptor())
    return one_of({V1LayerParameter::kLayerFieldNumber, V1LayerParameter::kBottomFieldNumber,
                   V1LayerParameter::kTopFieldNumber, V1LayerParameter::kNameFieldNumber,
                   V1LayerParameter::kTypeFieldNumber, V1LayerParameter::kBlobsFieldNumber});
  if (&type == V0LayerParameter::descriptor())
    return one_of({V0LayerParameter::kNameFieldNumber, V0LayerParameter::kTypeFieldNumber,
                   V0LayerParameter::kBlobsFieldNumber});
  return true;
}

}  // namespace

bool BlobFile::parse(google::protobuf::Message& out) {
  std::string skimmed;
  return file_.size() > 0 && skim(*out.GetDescriptor(), {0, file_.size()}, skimmed) &&
         out.ParsePartialFromString(skimmed);
}

void BlobFile::read(const BlobProto& blob, Tensor& tensor) const {
  const auto& fields = blob.GetReflection()->GetUnknownFields(blob);
  std::uint64_t place = 0, bytes = 0;
  for (int i = 0; i < fields.field_count(); ++i) {
    if (fields.field(i).number() == kPlace) place = fields.field(i).varint();
    if (fields.field(i).number() == kBytes) bytes = fields.field(i).varint();
  }
  if (bytes == 0) return read_blob(blob, tensor);
  require_count(static_cast<Index>(bytes / sizeof(float)), tensor);
  require(file_.read_at(place, tensor.write_host(), bytes) == bytes, "cannot be read from ", name_,
          ", which was cut short in the meantime");
}

bool BlobFile::varint(Range& rest, std::uint64_t& value) {
  constexpr std::size_t kWindow = 4096;
  value = 0;
  for (int shift = 0; shift < 64 && rest.at < rest.end; shift += 7) {
    if (rest.at < window_at_ || rest.at >= window_at_ + window_.size()) {
      window_.resize(kWindow);
      window_at_ = rest.at;
      window_.resize(file_.read_at(rest.at, window_.data(), kWindow));
      if (window_.empty()) return false;
    }
    const unsigned char byte = window_[rest.at++ - window_at_];
    value |= std::uint64_t{byte & 127u} << shift;
    if (byte < 128) return true;
  }
  return false;
}

/// Reads the tag and range of the next field and skips its content.
bool BlobFile::next_field(Range& rest, Field& field) {
  field.first = rest.at;
  std::uint64_t length = 0;
  if (!varint(rest, field.tag)) return false;
  const std::uint64_t type = field.tag & 7;
  field.delimited = type == wire::kDelimited;
  if (type == wire::kVarint) return varint(rest, length);
  if (type == wire::kFixed64) length = 8;
  if (type == wire::kFixed32) length = 4;
  if (field.delimited && !varint(rest, length)) return false;
  if (length > rest.end - rest.at || (length == 0 && !field.delimited)) return false;
  field.content = {rest.at, rest.at + length};
  rest.at += length;
  return true;
}

bool BlobFile::append(Range range, std::string& out) const {
  const std::size_t old = out.size(), bytes = range.end - range.at;
  out.resize(old + bytes);
  return file_.read_at(range.at, out.data() + old, bytes) == bytes;
}

/// Appends the message, with long blob data replaced by their offsets. The recursion is bounded by
/// the schema, in which no message contains itself.
bool BlobFile::skim(const google::protobuf::Descriptor& type, Range message, std::string& out) {
  for (Range rest = message; rest.at < rest.end;) {
    Field field;
    if (!next_field(rest, field)) return false;
    if (!is_common(type, static_cast<int>(field.tag >> 3))) continue;
    const auto* known = type.FindFieldByNumber(static_cast<int>(field.tag >> 3));
    const auto* inner = known && field.delimited ? known->message_type() : nullptr;
    if (!inner) {
      if (!append({field.first, rest.at}, out)) return false;
      continue;
    }
    std::string content;
    if (inner == BlobProto::descriptor() ? !hollow_blob(field.content, content)
                                         : !skim(*inner, field.content, content))
      return false;
    out += wire::head(known->number(), content.size()) + content;
  }
  return true;
}

/// Appends the blob. Its data are left out if they are long and contiguous.
bool BlobFile::hollow_blob(Range message, std::string& out) {
  constexpr std::uint64_t kData = wire::tag(BlobProto::kDataFieldNumber, wire::kDelimited);
  int pieces = 0;
  Field field;
  for (Range rest = message; rest.at < rest.end;) {
    if (!next_field(rest, field)) return false;
    pieces += field.tag >> 3 == BlobProto::kDataFieldNumber;
  }
  for (Range rest = message; rest.at < rest.end;) {
    if (!next_field(rest, field)) return false;
    const std::uint64_t bytes = field.content.end - field.content.at;
    const bool stays = field.tag == kData && pieces == 1 && bytes >= kLong;
    if (stays && bytes % sizeof(float) != 0) return false;
    if (stays) {
      put_number(kPlace, field.content.at, out);
      put_number(kBytes, bytes, out);
    } else if (field.tag >> 3 != kPlace && field.tag >> 3 != kBytes &&
               !append({field.first, rest.at}, out)) {
      return false;
    }
  }
  return true;
}

}  // namespace doppio
