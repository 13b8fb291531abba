#pragma once
#include <google/protobuf/descriptor.h>

#include <string>
#include <string_view>
#include <vector>

#include "io/text_tokens.hpp"

namespace doppio {

/// The number of different fields of `type` that a text has at its outermost level.
int known_fields(std::string_view text, const google::protobuf::Descriptor& type);

/// Names of the fields of `type`.
std::vector<std::string> field_names(const google::protobuf::Descriptor& type);

/// Names of the values of `type`.
std::vector<std::string> value_names(const google::protobuf::EnumDescriptor& type);

/// What a field takes, for messages: "an integer", "one of MAX, AVE".
std::string wanted(const google::protobuf::FieldDescriptor& field);

/// Says why `field` does not take `value`, which begins with a minus sign before it if `minus`.
std::string explain_wrong_kind(const google::protobuf::FieldDescriptor& field,
                               const TextToken& value, bool minus);

}  // namespace doppio
