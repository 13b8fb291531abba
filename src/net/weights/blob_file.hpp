#pragma once
#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/tensor.hpp"
#include "io/regular_file.hpp"

namespace doppio {

/// A binary protobuf file with blobs, such as a .caffemodel, whose values stay in the file until
/// they are asked for: so hundreds of megabytes go into tensors without a copy in between.
///
/// Of nets and layers only names, types and blobs are read. These have the same numbers in all
/// forks of Caffe, while other numbers mean different things in different forks.
class BlobFile {
 public:
  /// Throws: Error if `file` cannot be opened, or is no regular file.
  explicit BlobFile(const std::string& file) : name_(file), file_(file) {}

  /// Parses the file, but for the long `data` of its blobs: a blob gets an unknown field instead
  /// that says where they are. Returns false if the file is not of this type, or cut short.
  bool parse(google::protobuf::Message& out);

  /// As read_blob(), for a blob (or a copy of one) that parse() made.
  void read(const BlobProto& blob, Tensor& tensor) const;

 private:
  struct Range {
    std::uint64_t at, end;
  };
  struct Field {
    std::uint64_t tag, first;  // first: where the field begins
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
  std::vector<unsigned char> window_;  // a piece of the file, from window_at_ on
  std::uint64_t window_at_ = 0;
};

}  // namespace doppio
