#pragma once
#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/tensor.hpp"
#include "io/regular_file.hpp"

namespace doppio {

/// A binary protobuf file with blobs, such as a .caffemodel. The values stay in the file until
/// read() copies them into a tensor, so large weights are never held in memory twice.
///
/// Only names, types and blobs of nets and layers are parsed. All forks of Caffe use the same field
/// numbers for these, but not for other fields.
class BlobFile {
 public:
  /// Throws: Error if `file` cannot be opened or is not a regular file.
  explicit BlobFile(const std::string& file) : name_(file), file_(file) {}

  /// Parses the file except for long `data` of blobs, whose position is stored in an unknown field
  /// of the blob. Returns false if the file is not of this type, or truncated.
  bool parse(google::protobuf::Message& out);

  /// Like read_blob(), for a blob (or a copy of one) that parse() made.
  void read(const BlobProto& blob, Tensor& tensor) const;

 private:
  struct Range {
    std::uint64_t at, end;
  };
  struct Field {
    std::uint64_t tag, first;  // first: offset of the field's first byte
    Range content;             // of a length-delimited field
    bool delimited;
  };

  bool next_field(Range& rest, Field& field);
  bool varint(Range& rest, std::uint64_t& value);
  bool append(Range range, std::string& out) const;
  bool skim(const google::protobuf::Descriptor& type, Range message, std::string& out);
  bool hollow_blob(Range message, std::string& out);

  std::string name_;
  RegularFile file_;
  std::vector<unsigned char> window_;  // a part of the file, from window_at_ on
  std::uint64_t window_at_ = 0;
};

}  // namespace doppio
