#pragma once
#include <google/protobuf/message.h>

#include <cstdint>
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/net.hpp"

namespace doppio {

/// Parses a binary protobuf file. Returns false if it is not of this type, or truncated. Throws:
/// Error if it cannot be opened, or its checksum is wrong.
bool parse_binary_file(const std::string& file, google::protobuf::Message& out);

/// Net::copy_weights() for a file that check_file() has already accepted.
std::vector<CopiedLayer> copy_checked_weights(Net& net, const std::string& file);

/// Fills a layer's parameters with the `blobs` of the layer in the prototxt `file`. Throws: Error
/// if their number or shapes differ.
void load_blobs(const LayerParameter& stored, Layer& layer, const std::string& file);

/// Throws: Error that names `file` if it would exceed the size that protobuf can read.
void require_protobuf_size(const std::string& file, std::uint64_t bytes);

/// Writes a binary protobuf file atomically, with a checksum. Throws: Error.
void write_message(const std::string& file, const google::protobuf::Message& message);

}  // namespace doppio
