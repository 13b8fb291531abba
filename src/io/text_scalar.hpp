#pragma once
#include <google/protobuf/message.h>

#include "io/text_tokens.hpp"

namespace doppio {

/// Result of read_scalar(), which does not skip a value of the wrong kind, except its minus sign.
enum class ScalarResult { taken, wrong_kind, wrong_kind_after_minus };

/// Reads the current value into the scalar `field` of `message`: sets it, or adds to it if it is
/// repeated. Accepts what protobuf's own parser accepts. Throws: Error, as TextTokens::next().
ScalarResult read_scalar(TextTokens& tokens, const google::protobuf::FieldDescriptor& field,
                         google::protobuf::Message& message);

}  // namespace doppio
