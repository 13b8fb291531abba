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

/// Where each field of a message stands, by path: "name", "bottom[1]",
/// "convolution_param.kernel_size[0]". A repeated field has the place of its first value under its
/// path without index, too.
using FieldPlaces = std::map<std::string, Location>;

/// A field that its message does not have.
struct UnknownField {
  std::string name;
  Location where;
};

/// Explains mistakes by what the schema does not say. This one knows the schema only.
class TextAdvice {
 public:
  virtual ~TextAdvice() = default;

  /// Returns an error for each of the `unknown` fields of `message`, which has been read to its
  /// end and began at `where`; no error for those that may be ignored. `type_at`: place of the
  /// message's field `type`, if it has one.
  virtual std::vector<Error> unknown_fields(const google::protobuf::Message& message,
                                            const std::vector<UnknownField>& unknown,
                                            const Location& type_at);

  /// Returns the message for a value of another kind than `field` takes: none for the general one,
  /// an empty one if the mistake has been explained before.
  virtual std::optional<std::string> wrong_kind(const google::protobuf::FieldDescriptor& field,
                                                const TextToken& value);
};

/// Parses protobuf's text format into `out`, which may lack required fields; accepts what
/// protobuf's own parser accepts, but for extensions.
/// Throws: one Error with every unknown field, value of the wrong kind and field given twice, up to
/// the first mistake in the grammar.
FieldPlaces parse_text_format(std::string_view text, const std::string& file,
                              google::protobuf::Message& out, TextAdvice& advice);

/// Parses `text`, a single value, into `field` of `out`: sets it, or adds to it if it is repeated.
/// Returns false if the field does not take it.
bool parse_field_value(std::string_view text, const google::protobuf::FieldDescriptor& field,
                       google::protobuf::Message& out);

}  // namespace doppio
