#include "io/text_format.hpp"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "core/printable.hpp"

namespace doppio {

namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

/// After a mistake in the grammar nothing that follows can be trusted.
struct Stop {};

// Not `quoted`, which would be ambiguous with std::quoted for a std::string.
std::string in_quotes(std::string_view text) { return "'" + printable(text, 60) + "'"; }

std::string shown(const TextToken& token) {
  if (token.kind == TextToken::end) return "the end of the file";
  return token.kind == TextToken::string ? printable(token.text, 60) : in_quotes(token.text);
}

std::string lower(std::string_view word) {
  std::string out(word);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

std::string joined(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  return list;
}

bool is_message(const Field& field) { return field.cpp_type() == Field::CPPTYPE_MESSAGE; }

/// An integer, decimal, octal or hexadecimal; none if it needs more than 64 bits.
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

/// A number as written, decimal; infinite if it is too large.
double real(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range)
    return text.find("e-") == text.npos && text.find("E-") == text.npos
               ? std::numeric_limits<double>::infinity()
               : 0;
  return value;
}

class Parser {
 public:
  Parser(std::string file, TextAdvice& advice) : file_(std::move(file)), advice_(advice) {}

  FieldPlaces parse(std::string_view text, pb::Message& out) {
    run(text, [&] { fields(out, "", ""); });
    return std::move(places_);
  }

  void parse_value(std::string_view text, const Field& field, pb::Message& out) {
    run(text, [&] {
      value(out, field, std::string(field.name()));
      if (now().kind != TextToken::end) fail("there is more than one value: ", shown(now()));
    });
  }

 private:
  /// A message that is being read.
  struct Open {
    std::string_view name;
    std::string_view brace;
    Location where;
    const pb::Descriptor* type;
  };

  /// Runs `action` on the tokens of `text`. Throws: one Error with all that was wrong.
  template <class Action>
  void run(std::string_view text, Action action) {
    try {
      tokens_.emplace(text, file_);
      action();
    } catch (const Stop&) {
    } catch (const Error& e) {  // of the tokens
      errors_.push_back(e);
    }
    throw_errors();
  }

  const TextToken& now() const { return tokens_->now(); }
  Location here() const { return tokens_->where(); }
  void next() { tokens_->next(); }
  bool take(std::string_view sign) {
    if (!now().is(sign)) return false;
    next();
    return true;
  }

  template <class... Parts>
  void problem(const Location& where, const Parts&... parts) {
    errors_.push_back(Error(str(parts...), where));
  }
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) {
    problem(here(), parts...);
    throw Stop();
  }

  void throw_errors() {
    std::stable_sort(errors_.begin(), errors_.end(), [](const Error& a, const Error& b) {
      return std::pair(a.where().line, a.where().column) <
             std::pair(b.where().line, b.where().column);
    });
    Problems problems;
    for (const Error& e : errors_) problems.add(e);
    problems.throw_if_any();
  }

  /// The fields of a message up to its closing brace, or to the end of the text.
  void fields(pb::Message& message, const std::string& prefix, std::string_view brace) {
    std::vector<UnknownField> unknown;
    const auto explain = [&] {
      if (unknown.empty()) return;
      const auto type = places_.find(prefix + "type");
      const Location type_at = type == places_.end() ? Location() : type->second;
      for (Error& e : advice_.unknown_fields(message, unknown, type_at))
        errors_.push_back(std::move(e));
    };
    try {
      while (!closes(brace)) field(message, prefix, unknown);
    } catch (...) {
      explain();
      throw;
    }
    explain();
  }

  /// Whether the message that began with `brace` ends here.
  bool closes(std::string_view brace) {
    if (now().kind == TextToken::end) {
      if (brace.empty()) return true;
      const Open& open = open_.back();
      problem(open.where, "'", open.name, " ", open.brace, "' has no closing '",
              closing(open.brace), "' before the end of the file");
      throw Stop();
    }
    if (!brace.empty() && take(closing(brace))) return true;
    if (!now().is("}") && !now().is(">")) return false;
    if (brace.empty()) fail(shown(now()), " closes nothing; there is one too many, here or before");
    fail("'", open_.back().name, " ", brace, "' of line ", open_.back().where.line,
         " is closed by '", closing(brace), "', not by ", shown(now()));
  }

  static std::string_view closing(std::string_view brace) {
    return brace == "{" ? "}" : brace == "<" ? ">" : "]";
  }

  void field(pb::Message& message, const std::string& prefix, std::vector<UnknownField>& unknown) {
    const Location where = here();
    const std::string name(field_name(*message.GetDescriptor()));
    const Field* known = message.GetDescriptor()->FindFieldByName(name);
    const bool braced = now().is("{") || now().is("<");
    if (!known) {
      if (braced) check_enclosing(name, where, *message.GetDescriptor());
      skip_field(name);
      unknown.push_back({name, where});
    } else if (!known->is_repeated() && !places_.emplace(prefix + name, where).second) {
      problem(where, in_quotes(name), " is given twice, first in line ",
              places_.at(prefix + name).line, "; leave one of them out");
      skip_field(name);
    } else {
      known_field(message, *known, where, prefix + name);
    }
    comma_ = now().is(",");
    if (!take(";")) take(",");
  }

  /// Takes the name of a field. Throws: Stop if there is none.
  std::string_view field_name(const pb::Descriptor& type) {
    const TextToken token = now();
    if (token.kind == TextToken::word) {
      next();
      return token.text;
    }
    if (token.kind == TextToken::string)
      fail("a field of ", type.name(), " is expected, not ", shown(token),
           "; names of fields have no quotes");
    if (comma_ && token.kind == TextToken::integer)
      fail("a field of ", type.name(), " is expected, not ", shown(token),
           "; decimals are written with a point, and lists as [1, 2]");
    fail("a field of ", type.name(), " is expected, not ", shown(token),
         token.is("[") ? "; extensions are not read" : "");
  }

  /// Throws: Stop if an enclosing message has the field `name` with fields of its own, since then a
  /// brace is missing rather than a field unknown.
  void check_enclosing(const std::string& name, const Location& where, const pb::Descriptor& type) {
    for (std::size_t i = open_.size(); i-- > 0;) {
      const pb::Descriptor* outer = i == 0 ? root_ : open_[i - 1].type;
      const Field* known = outer ? outer->FindFieldByName(name) : nullptr;
      if (!known || !is_message(*known)) continue;
      problem(where, in_quotes(name), " is a field of ", outer->name(), ", not of ", type.name(),
              "; is the '", closing(open_[i].brace), "' missing that closes '", open_[i].name, " ",
              open_[i].brace, "' of line ", open_[i].where.line, "?");
      throw Stop();
    }
  }

  void known_field(pb::Message& message, const Field& field, const Location& where,
                   const std::string& path) {
    const bool colon = take(":");
    const bool braced = now().is("{") || now().is("<");
    if (!colon && !(is_message(field) && (braced || now().is("[")))) missing_colon(field);
    if (!field.is_repeated()) return value(message, field, path);
    int count = message.GetReflection()->FieldSize(message, &field);
    const auto add = [&](const Location& at) {
      places_.emplace(path, at);
      const std::string indexed = str(path, "[", count, "]");
      places_[indexed] = at;
      value(message, field, indexed);
      count = message.GetReflection()->FieldSize(message, &field);
    };
    if (!now().is("[")) return add(where);
    next();
    if (take("]")) return;
    for (;;) {
      add(here());
      if (take("]")) return;
      if (!take(","))
        fail("the list of '", field.name(), "' continues with , or ends with ], not ",
             shown(now()));
    }
  }

  /// For a field without ':'.
  void missing_colon(const Field& field) {
    if (is_message(field))
      fail("'", field.name(), "' takes ", wanted(field), ", not ", shown(now()));
    if (now().is("{") || now().is("<")) return;  // a value of the wrong kind
    if (now().is("=")) fail("a field and its value are separated by ':', not by '='");
    fail("after '", field.name(), "' ':' and ", wanted(field), " are expected, not ", shown(now()));
  }

  /// One value of a field.
  void value(pb::Message& message, const Field& field, const std::string& path) {
    value_at_ = here();
    if (is_message(field)) {
      if (!now().is("{") && !now().is("<")) return wrong_kind(field);
      const std::string_view brace = now().text;
      check_depth(open_.size() + 1);
      if (open_.empty()) root_ = message.GetDescriptor();
      open_.push_back({field.name(), brace, here(), field.message_type()});
      next();
      const pb::Reflection& r = *message.GetReflection();
      fields(field.is_repeated() ? *r.AddMessage(&message, &field)
                                 : *r.MutableMessage(&message, &field),
             path + ".", brace);
      open_.pop_back();
      return;
    }
    switch (field.cpp_type()) {
      case Field::CPPTYPE_STRING:
        return text_value(message, field);
      case Field::CPPTYPE_ENUM:
        return enum_value(message, field);
      case Field::CPPTYPE_BOOL:
        return bool_value(message, field);
      case Field::CPPTYPE_FLOAT:
      case Field::CPPTYPE_DOUBLE:
        return real_value(message, field);
      default:
        return integer_value(message, field);
    }
  }

  /// Sets the field, or adds to it if it is repeated.
  template <class Function, class Value>
  void put(pb::Message& message, const Field& field, Function set, Function add, const Value& v) {
    next();
    (message.GetReflection()->*(field.is_repeated() ? add : set))(&message, &field, v);
  }

  void text_value(pb::Message& message, const Field& field) {
    if (now().kind != TextToken::string) return wrong_kind(field);
    std::string text = now().value;
    for (next(); now().kind == TextToken::string; next()) text += now().value;  // "a" "b" is "ab"
    const pb::Reflection& r = *message.GetReflection();
    if (field.is_repeated())
      r.AddString(&message, &field, text);
    else
      r.SetString(&message, &field, text);
  }

  void enum_value(pb::Message& message, const Field& field) {
    const pb::EnumDescriptor& type = *field.enum_type();
    const bool minus = take("-");
    const pb::EnumValueDescriptor* found = nullptr;
    if (now().kind == TextToken::word && !minus)
      found = type.FindValueByName(std::string(now().text));
    else if (const auto number = integer_up_to(std::numeric_limits<int>::max()))
      found = type.FindValueByNumber(static_cast<int>(minus ? -*number : *number));
    if (!found) return wrong_kind(field, minus);
    put(message, field, &pb::Reflection::SetEnum, &pb::Reflection::AddEnum, found);
  }

  void bool_value(pb::Message& message, const Field& field) {
    const auto is_any = [&](std::initializer_list<std::string_view> words) {
      return std::any_of(words.begin(), words.end(), [&](auto w) { return now().is(w); });
    };
    const auto number = integer_up_to(1);
    const bool yes = is_any({"true", "True", "t"}) || number == 1;
    if (!yes && !is_any({"false", "False", "f"}) && number != 0) return wrong_kind(field);
    put(message, field, &pb::Reflection::SetBool, &pb::Reflection::AddBool, yes);
  }

  void real_value(pb::Message& message, const Field& field) {
    const bool minus = take("-");
    const TextToken& token = now();
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
      return wrong_kind(field, minus);
    if (minus) v = -v;
    if (field.cpp_type() == Field::CPPTYPE_FLOAT)
      put(message, field, &pb::Reflection::SetFloat, &pb::Reflection::AddFloat,
          static_cast<float>(v));
    else
      put(message, field, &pb::Reflection::SetDouble, &pb::Reflection::AddDouble, v);
  }

  void integer_value(pb::Message& message, const Field& field) {
    const auto type = field.cpp_type();
    const bool is_signed = type == Field::CPPTYPE_INT32 || type == Field::CPPTYPE_INT64;
    const bool minus = take("-");
    if (minus && !is_signed) return wrong_kind(field, minus);
    const std::uint64_t most = type == Field::CPPTYPE_INT32    ? std::uint64_t{1} << 31
                               : type == Field::CPPTYPE_UINT32 ? ~std::uint32_t{0}
                               : type == Field::CPPTYPE_INT64  ? std::uint64_t{1} << 63
                                                               : ~std::uint64_t{0};
    const auto v = integer_up_to(is_signed && !minus ? most - 1 : most);
    if (!v) return wrong_kind(field, minus);
    const auto s = static_cast<std::int64_t>(minus ? 0 - *v : *v);
    using R = pb::Reflection;
    if (type == Field::CPPTYPE_INT32)
      put(message, field, &R::SetInt32, &R::AddInt32, static_cast<std::int32_t>(s));
    else if (type == Field::CPPTYPE_INT64)
      put(message, field, &R::SetInt64, &R::AddInt64, s);
    else if (type == Field::CPPTYPE_UINT32)
      put(message, field, &R::SetUInt32, &R::AddUInt32, static_cast<std::uint32_t>(*v));
    else
      put(message, field, &R::SetUInt64, &R::AddUInt64, *v);
  }

  std::optional<std::uint64_t> integer_up_to(std::uint64_t most) const {
    const auto v = now().kind == TextToken::integer ? integer(now().text) : std::nullopt;
    return v && *v <= most ? v : std::nullopt;
  }

  /// Reports the value at hand, which `field` does not take, and skips it.
  void wrong_kind(const Field& field, bool minus = false) {
    const TextToken& v = now();
    const bool opens = v.is("{") || v.is("<") || v.is("[");
    if (v.kind == TextToken::end || (v.kind == TextToken::sign && !opens && !v.is("-")))
      fail("'", field.name(), "' takes ", wanted(field), ", not ", shown(v));
    const std::string message = advice_.wrong_kind(field, v).value_or(explained(field, v, minus));
    if (!message.empty()) problem(value_at_, message);
    skip_value();
  }

  static std::string explained(const Field& field, const TextToken& v, bool minus) {
    const bool text = field.cpp_type() == Field::CPPTYPE_STRING;
    if (field.enum_type() && v.kind == TextToken::word && !minus)
      return str(in_quotes(v.text), " is not a value of ", field.name(),
                 did_you_mean(v.text, value_names(*field.enum_type())), "; it takes ",
                 joined(value_names(*field.enum_type())));
    if (text && v.kind == TextToken::word)
      return str("'", field.name(), "' takes text in quotes: ", field.name(), ": \"",
                 printable(v.text, 60), "\"");
    const bool is_integer = !text && !is_message(field) && !field.enum_type() &&
                            field.cpp_type() != Field::CPPTYPE_BOOL &&
                            field.cpp_type() != Field::CPPTYPE_FLOAT &&
                            field.cpp_type() != Field::CPPTYPE_DOUBLE;
    if (is_integer && v.kind == TextToken::integer && !minus)
      return str(shown(v), " is too large for '", field.name(), "'");
    const std::string what = v.is("{") || v.is("<") ? "{ }"
                             : v.is("[")            ? "a list"
                             : minus                ? in_quotes(str("-", v.text))
                                                    : shown(v);
    const bool unquote = !text && !is_message(field) && v.kind == TextToken::string;
    return str("'", field.name(), "' takes ", wanted(field), ", not ", what,
               unquote ? "; leave the quotes out" : "");
  }

  /// Skips the rest of a field whose name was read.
  void skip_field(std::string_view name) {
    if (!take(":") && !now().is("{") && !now().is("<")) {
      if (now().is("=")) fail("a field and its value are separated by ':', not by '='");
      fail("after '", printable(name, 60), "' ':' is expected, not ", shown(now()));
    }
    skip_value();
  }

  void skip_value() {
    std::vector<std::pair<std::string_view, Location>> open;
    const auto opens = [&] { return now().is("{") || now().is("<") || now().is("["); };
    const auto ends = [&] { return now().is("}") || now().is(">") || now().is("]"); };
    if (!opens()) return skip_scalar();
    do {
      if (opens()) {
        check_depth(open_.size() + open.size() + 1);
        open.emplace_back(now().text, here());
      } else if (now().kind == TextToken::end) {
        problem(open.back().second, in_quotes(open.back().first), " has no closing '",
                closing(open.back().first), "' before the end of the file");
        throw Stop();
      } else if (ends()) {
        if (!now().is(closing(open.back().first)))
          fail("the ", in_quotes(open.back().first), " of line ", open.back().second.line,
               " is closed by '", closing(open.back().first), "', not by ", shown(now()));
        open.pop_back();
      }
      next();
    } while (!open.empty());
  }

  void skip_scalar() {
    take("-");
    if (now().kind == TextToken::end || now().kind == TextToken::sign)
      fail("a value is expected, not ", shown(now()));
    bool again = now().kind == TextToken::string;
    for (next(); again && now().kind == TextToken::string;) next();
  }

  void check_depth(std::size_t depth) {
    if (depth > kMaxTextDepth) fail("nested more than ", kMaxTextDepth, " levels deep");
  }

  std::string file_;
  TextAdvice& advice_;
  std::optional<TextTokens> tokens_;
  const pb::Descriptor* root_ = nullptr;
  std::vector<Open> open_;
  std::vector<Error> errors_;
  FieldPlaces places_;
  Location value_at_;
  bool comma_ = false;  // before the token at hand
};

}  // namespace

std::vector<Error> TextAdvice::unknown_fields(const pb::Message& message,
                                              const std::vector<UnknownField>& unknown,
                                              const Location&) {
  const pb::Descriptor& type = *message.GetDescriptor();
  std::vector<Error> errors;
  for (const UnknownField& field : unknown)
    errors.emplace_back(str(type.name(), " has no field ", in_quotes(field.name),
                            did_you_mean(field.name, field_names(type))),
                        field.where);
  return errors;
}

std::optional<std::string> TextAdvice::wrong_kind(const Field&, const TextToken&) { return {}; }

FieldPlaces parse_text_format(std::string_view text, const std::string& file, pb::Message& out,
                              TextAdvice& advice) {
  return Parser(file, advice).parse(text, out);
}

bool parse_field_value(std::string_view text, const Field& field, pb::Message& out) {
  try {
    TextAdvice advice;
    Parser("", advice).parse_value(text, field, out);
    return true;
  } catch (const Error&) {
    return false;
  }
}

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
  } catch (const Error&) {  // what follows a mistake does not count
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

}  // namespace doppio
