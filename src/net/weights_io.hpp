#pragma once
#include <google/protobuf/message.h>

#include <string>

#include "doppio.pb.h"

namespace doppio {

/// Parses a binary protobuf file. Returns false if it is not one of this type, or cut short.
/// Throws: Error if it cannot be opened.
bool parse_binary_file(const std::string& file, google::protobuf::Message& out);

/// Writes a binary protobuf file that is whole or not there. Throws: Error.
void write_message(const std::string& file, const google::protobuf::Message& message);

/// The net in a .caffemodel of any generation, upgraded to today's form. Throws: Error.
NetParameter read_weights(const std::string& file);

}  // namespace doppio
