#pragma once
#include <google/protobuf/message.h>

#include "io/text_tokens.hpp"

namespace doppio {

/// What became of a scalar value. One of a kind that its field does not take is still to be
/// skipped, but for its minus sign.
enum class ScalarResult { taken, wrong_kind, wrong_kind_after_minus };

/// Reads the value at hand into the scalar `field` of `message`: sets it, or adds to it if it is
/// repeated. Accepts what protobuf's own parser accepts. Throws: Error, as TextTokens::next().
ScalarResult read_scalar(TextTokens& tokens, const google::protobuf::FieldDescriptor& field,
                         google::protobuf::Message& message);

}  // namespace doppio
