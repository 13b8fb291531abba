#pragma once
#include <google/protobuf/message.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/text_schema.hpp"
#include "io/text_tokens.hpp"

namespace doppio {

/// Source locations of a message's fields by path: "name", "bottom[1]",
/// "convolution_param.kernel_size[0]". The path of a repeated field without index maps to its first
/// value.
using FieldPlaces = std::map<std::string, Location>;

/// A field that its message does not have.
struct UnknownField {
  std::string name;
  Location where;
};

/// Explains mistakes with knowledge beyond the schema. This base class knows only the schema.
class TextAdvice {
 public:
  virtual ~TextAdvice() = default;

  /// Returns an error for each `unknown` field of `message`, which is fully parsed; none for fields
  /// that may be ignored. `type_at`: location of the message's field `type`, if it has one.
  virtual std::vector<Error> unknown_fields(const google::protobuf::Message& message,
                                            const std::vector<UnknownField>& unknown,
                                            const Location& type_at);

  /// Returns the message for a value of the wrong kind for `field`: nullopt for the default one, ""
  /// if the mistake was already explained.
  virtual std::optional<std::string> wrong_kind(const google::protobuf::FieldDescriptor& field,
                                                const TextToken& value);
};

/// Parses protobuf's text format into `out`, which may lack required fields. Accepts what
/// protobuf's own parser accepts, except extensions. Throws: one Error with every unknown field,
/// value of the wrong kind and duplicate field, up to the first syntax error.
FieldPlaces parse_text_format(std::string_view text, const std::string& file,
                              google::protobuf::Message& out, TextAdvice& advice);

/// Parses `text`, a single value, into `field` of `out`: sets it, or adds to it if it is repeated.
/// Returns false if it is invalid for the field.
bool parse_field_value(std::string_view text, const google::protobuf::FieldDescriptor& field,
                       google::protobuf::Message& out);

}  // namespace doppio
