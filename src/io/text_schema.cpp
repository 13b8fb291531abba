#include "io/text_schema.hpp"

#include <set>

#include "core/printable.hpp"
#include "io/text_reader.hpp"

namespace doppio {

namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

std::string joined(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  return list;
}

}  // namespace

int known_fields(std::string_view text, const pb::Descriptor& type) {
  std::set<std::string> names;
  try {
    int depth = 0;
    bool after_colon = false;
    for (TextTokens tokens(text, ""); tokens.now().kind != TextToken::end; tokens.next()) {
      const TextToken& token = tokens.now();
      if (token.is("{") || token.is("<") || token.is("[")) ++depth;
      if (token.is("}") || token.is(">") || token.is("]")) --depth;
      if (token.kind == TextToken::word && depth == 0 && !after_colon &&
          type.FindFieldByName(std::string(token.text)))
        names.insert(std::string(token.text));
      after_colon = token.is(":");
    }
  } catch (const Error&) {  // fields after a mistake do not count
  }
  return static_cast<int>(names.size());
}

std::vector<std::string> field_names(const pb::Descriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) names.emplace_back(type.field(i)->name());
  return names;
}

std::vector<std::string> value_names(const pb::EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) names.emplace_back(type.value(i)->name());
  return names;
}

std::string wanted(const Field& field) {
  switch (field.cpp_type()) {
    case Field::CPPTYPE_MESSAGE:
      return str("{ fields of ", field.message_type()->name(), " }");
    case Field::CPPTYPE_ENUM:
      return "one of " + joined(value_names(*field.enum_type()));
    case Field::CPPTYPE_STRING:
      return "text in quotes";
    case Field::CPPTYPE_BOOL:
      return "true or false";
    case Field::CPPTYPE_FLOAT:
    case Field::CPPTYPE_DOUBLE:
      return "a number";
    case Field::CPPTYPE_UINT32:
    case Field::CPPTYPE_UINT64:
      return "an integer of at least 0";
    default:
      return "an integer";
  }
}

std::string explain_wrong_kind(const Field& field, const TextToken& v, bool minus) {
  const bool text = field.cpp_type() == Field::CPPTYPE_STRING;
  if (field.enum_type() && v.kind == TextToken::word && !minus)
    return str(in_quotes(v.text), " is not a value of ", field.name(),
               did_you_mean(v.text, value_names(*field.enum_type())), "; it takes ",
               joined(value_names(*field.enum_type())));
  if (text && v.kind == TextToken::word)
    return str("'", field.name(), "' takes text in quotes: ", field.name(), ": \"",
               printable(v.text, 60), "\"");
  const bool is_integer = !text && !field.message_type() && !field.enum_type() &&
                          field.cpp_type() != Field::CPPTYPE_BOOL &&
                          field.cpp_type() != Field::CPPTYPE_FLOAT &&
                          field.cpp_type() != Field::CPPTYPE_DOUBLE;
  if (is_integer && v.kind == TextToken::integer && !minus)
    return str(shown(v), " is too large for '", field.name(), "'");
  const std::string what = v.is("{") || v.is("<") ? "{ }"
                           : v.is("[")            ? "a list"
                           : minus                ? in_quotes(str("-", v.text))
                                                  : shown(v);
  const bool unquote = !text && !field.message_type() && v.kind == TextToken::string;
  return str("'", field.name(), "' takes ", wanted(field), ", not ", what,
             unquote ? "; leave the quotes out" : "");
}

}  // namespace doppio
