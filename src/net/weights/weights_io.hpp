#pragma once
#include <google/protobuf/message.h>

#include <cstdint>
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/net.hpp"

namespace doppio {

/// Parses a binary protobuf file. Returns false if it is not one of this type, or cut short.
/// Throws: Error if it cannot be opened, or differs from the checksum in it.
bool parse_binary_file(const std::string& file, google::protobuf::Message& out);

/// Net::copy_weights() of a file that check_file() has passed already.
std::vector<CopiedLayer> copy_checked_weights(Net& net, const std::string& file);

/// Fills a layer's parameters with the weights that the prototxt `file` gives it itself. Throws:
/// Error if their number or shapes differ.
void load_blobs(const LayerParameter& stored, Layer& layer, const std::string& file);

/// Throws: Error that names `file` if protobuf could not read so much again.
void require_protobuf_size(const std::string& file, std::uint64_t bytes);

/// Writes a binary protobuf file that is whole or not there, with a checksum. Throws: Error.
void write_message(const std::string& file, const google::protobuf::Message& message);

}  // namespace doppio
