#include "io/text_scalar.hpp"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace doppio {

namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

std::string lower(std::string_view word) {
  std::string out(word);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

/// Parses a decimal, octal or hexadecimal integer; nullopt if it needs more than 64 bits.
std::optional<std::uint64_t> integer(std::string_view text) {
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    base = text[1] == 'x' || text[1] == 'X' ? 16 : 8;
    text.remove_prefix(base == 16 ? 2 : 1);
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc()) return {};
  return value;
}

/// Parses a decimal number; infinite if it is too large.
double real(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range)
    return text.find("e-") == text.npos && text.find("E-") == text.npos
               ? std::numeric_limits<double>::infinity()
               : 0;
  return value;
}

class ScalarReader {
 public:
  ScalarReader(TextTokens& tokens, const Field& field, pb::Message& message)
      : tokens_(tokens), field_(field), message_(message) {}

  ScalarResult read() {
    if (value()) return ScalarResult::taken;
    return minus_ ? ScalarResult::wrong_kind_after_minus : ScalarResult::wrong_kind;
  }

 private:
  /// Returns false if the value is invalid for the field.
  bool value() {
    switch (field_.cpp_type()) {
      case Field::CPPTYPE_STRING:
        return text_value();
      case Field::CPPTYPE_ENUM:
        return enum_value();
      case Field::CPPTYPE_BOOL:
        return bool_value();
      case Field::CPPTYPE_FLOAT:
      case Field::CPPTYPE_DOUBLE:
        return real_value();
      default:
        return integer_value();
    }
  }

  /// Sets the field, or adds to it if it is repeated.
  template <class Function, class Value>
  bool put(Function set, Function add, const Value& v) {
    tokens_.next();
    (message_.GetReflection()->*(field_.is_repeated() ? add : set))(&message_, &field_, v);
    return true;
  }

  bool text_value() {
    if (tokens_.now().kind != TextToken::string) return false;
    std::string text = tokens_.now().value;
    for (tokens_.next(); tokens_.now().kind == TextToken::string; tokens_.next())
      text += tokens_.now().value;  // "a" "b" is "ab"
    const pb::Reflection& r = *message_.GetReflection();
    if (field_.is_repeated())
      r.AddString(&message_, &field_, text);
    else
      r.SetString(&message_, &field_, text);
    return true;
  }

  bool enum_value() {
    const pb::EnumDescriptor& type = *field_.enum_type();
    minus_ = tokens_.take("-");
    const pb::EnumValueDescriptor* found = nullptr;
    if (tokens_.now().kind == TextToken::word && !minus_)
      found = type.FindValueByName(std::string(tokens_.now().text));
    else if (const auto number = integer_up_to(std::numeric_limits<int>::max()))
      found = type.FindValueByNumber(static_cast<int>(minus_ ? -*number : *number));
    if (!found) return false;
    return put(&pb::Reflection::SetEnum, &pb::Reflection::AddEnum, found);
  }

  bool bool_value() {
    const auto is_any = [&](std::initializer_list<std::string_view> words) {
      return std::any_of(words.begin(), words.end(), [&](auto w) { return tokens_.now().is(w); });
    };
    const auto number = integer_up_to(1);
    const bool yes = is_any({"true", "True", "t"}) || number == 1;
    if (!yes && !is_any({"false", "False", "f"}) && number != 0) return false;
    return put(&pb::Reflection::SetBool, &pb::Reflection::AddBool, yes);
  }

  bool real_value() {
    minus_ = tokens_.take("-");
    const TextToken& token = tokens_.now();
    const std::string word = token.kind == TextToken::word ? lower(token.text) : "";
    const bool decimal =
        token.kind == TextToken::real ||
        (token.kind == TextToken::integer && (token.text.size() == 1 || token.text[0] != '0'));
    double v = 0;
    if (decimal)
      v = real(token.text);
    else if (word == "inf" || word == "infinity")
      v = std::numeric_limits<double>::infinity();
    else if (word == "nan")
      v = std::numeric_limits<double>::quiet_NaN();
    else
      return false;
    if (minus_) v = -v;
    if (field_.cpp_type() == Field::CPPTYPE_FLOAT)
      return put(&pb::Reflection::SetFloat, &pb::Reflection::AddFloat, static_cast<float>(v));
    return put(&pb::Reflection::SetDouble, &pb::Reflection::AddDouble, v);
  }

  bool integer_value() {
    const auto type = field_.cpp_type();
    const bool is_signed = type == Field::CPPTYPE_INT32 || type == Field::CPPTYPE_INT64;
    minus_ = tokens_.take("-");
    if (minus_ && !is_signed) return false;
    const std::uint64_t most = type == Field::CPPTYPE_INT32    ? std::uint64_t{1} << 31
                               : type == Field::CPPTYPE_UINT32 ? ~std::uint32_t{0}
                               : type == Field::CPPTYPE_INT64  ? std::uint64_t{1} << 63
                                                               : ~std::uint64_t{0};
    const auto v = integer_up_to(is_signed && !minus_ ? most - 1 : most);
    if (!v) return false;
    const auto s = static_cast<std::int64_t>(minus_ ? 0 - *v : *v);
    using R = pb::Reflection;
    if (type == Field::CPPTYPE_INT32)
      return put(&R::SetInt32, &R::AddInt32, static_cast<std::int32_t>(s));
    if (type == Field::CPPTYPE_INT64) return put(&R::SetInt64, &R::AddInt64, s);
    if (type == Field::CPPTYPE_UINT32)
      return put(&R::SetUInt32, &R::AddUInt32, static_cast<std::uint32_t>(*v));
    return put(&R::SetUInt64, &R::AddUInt64, *v);
  }

  std::optional<std::uint64_t> integer_up_to(std::uint64_t most) const {
    const auto v =
        tokens_.now().kind == TextToken::integer ? integer(tokens_.now().text) : std::nullopt;
    return v && *v <= most ? v : std::nullopt;
  }

  TextTokens& tokens_;
  const Field& field_;
  pb::Message& message_;
  bool minus_ = false;  // before the value
};

}  // namespace

ScalarResult read_scalar(TextTokens& tokens, const Field& field, pb::Message& message) {
  return ScalarReader(tokens, field, message).read();
}

}  // namespace doppio
