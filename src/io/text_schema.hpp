#pragma once
#include <google/protobuf/descriptor.h>

#include <string>
#include <string_view>
#include <vector>

#include "io/text_tokens.hpp"

namespace doppio {

/// Number of different fields of `type` at the top level of a text.
int known_fields(std::string_view text, const google::protobuf::Descriptor& type);

/// Names of the fields of `type`.
std::vector<std::string> field_names(const google::protobuf::Descriptor& type);

/// Names of the values of `type`.
std::vector<std::string> value_names(const google::protobuf::EnumDescriptor& type);

/// Describes the values of a field, for messages: "an integer", "one of MAX, AVE".
std::string wanted(const google::protobuf::FieldDescriptor& field);

/// Explains why `value`, preceded by a minus sign if `minus`, is invalid for `field`.
std::string explain_wrong_kind(const google::protobuf::FieldDescriptor& field,
                               const TextToken& value, bool minus);

}  // namespace doppio
