#pragma once
#include <google/protobuf/message.h>

#include <cstdint>
#include <string>

#include "doppio.pb.h"

namespace doppio {

/// Parses a binary protobuf file. Returns false if it is not one of this type, or cut short.
/// Throws: Error if it cannot be opened.
bool parse_binary_file(const std::string& file, google::protobuf::Message& out);

/// Throws: Error that names `file` if protobuf could not read so much again.
void require_protobuf_size(const std::string& file, std::uint64_t bytes);

/// Writes a binary protobuf file that is whole or not there. Throws: Error.
void write_message(const std::string& file, const google::protobuf::Message& message);

}  // namespace doppio
