#include "io/text_format.hpp"

#include <google/protobuf/descriptor.h>

#include <utility>

#include "core/printable.hpp"
#include "io/text_reader.hpp"
#include "io/text_scalar.hpp"
#include "io/text_schema.hpp"

namespace doppio {

namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

class Parser : TextReader {
 public:
  Parser(const std::string& file, TextAdvice& advice) : TextReader(file), advice_(advice) {}

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
  /// A message that is being parsed.
  struct Open {
    std::string_view name;
    std::string_view brace;
    Location where;
    const pb::Descriptor* type;
  };

  /// Parses the fields of a message up to its closing brace, or to the end of the text.
  void fields(pb::Message& message, const std::string& prefix, std::string_view brace) {
    std::vector<UnknownField> unknown;
    const auto explain = [&] {
      if (unknown.empty()) return;
      const auto type = places_.find(prefix + "type");
      const Location type_at = type == places_.end() ? Location() : type->second;
      for (Error& e : advice_.unknown_fields(message, unknown, type_at)) problem(std::move(e));
    };
    try {
      while (!closes(brace)) field(message, prefix, unknown);
    } catch (...) {
      explain();
      throw;
    }
    explain();
  }

  /// Returns whether the message that began with `brace` ends here.
  bool closes(std::string_view brace) {
    if (now().kind == TextToken::end) {
      if (brace.empty()) return true;
      const Open& open = open_.back();
      problem(open.where, "'", open.name, " ", open.brace, "' has no closing '",
              closing(open.brace), "' before the end of the file");
      stop();
    }
    if (!brace.empty() && take(closing(brace))) return true;
    if (!now().is("}") && !now().is(">")) return false;
    if (brace.empty()) fail(shown(now()), " closes nothing; there is one too many, here or before");
    fail("'", open_.back().name, " ", brace, "' of line ", open_.back().where.line,
         " is closed by '", closing(brace), "', not by ", shown(now()));
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

  /// Reads the name of a field. Throws: Stop if there is none.
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

  /// Throws: Stop if an enclosing message has a message field `name`, since then a brace is
  /// missing.
  void check_enclosing(const std::string& name, const Location& where, const pb::Descriptor& type) {
    for (std::size_t i = open_.size(); i-- > 0;) {
      const pb::Descriptor* outer = i == 0 ? root_ : open_[i - 1].type;
      const Field* known = outer ? outer->FindFieldByName(name) : nullptr;
      if (!known || !known->message_type()) continue;
      problem(where, in_quotes(name), " is a field of ", outer->name(), ", not of ", type.name(),
              "; is the '", closing(open_[i].brace), "' missing that closes '", open_[i].name, " ",
              open_[i].brace, "' of line ", open_[i].where.line, "?");
      stop();
    }
  }

  void known_field(pb::Message& message, const Field& field, const Location& where,
                   const std::string& path) {
    const bool colon = take(":");
    const bool braced = now().is("{") || now().is("<");
    if (!colon && !(field.message_type() && (braced || now().is("[")))) missing_colon(field);
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

  /// Reports a field without ':'.
  void missing_colon(const Field& field) {
    if (field.message_type())
      fail("'", field.name(), "' takes ", wanted(field), ", not ", shown(now()));
    if (now().is("{") || now().is("<")) return;  // a value of the wrong kind
    if (now().is("=")) fail("a field and its value are separated by ':', not by '='");
    fail("after '", field.name(), "' ':' and ", wanted(field), " are expected, not ", shown(now()));
  }

  /// Parses one value of a field.
  void value(pb::Message& message, const Field& field, const std::string& path) {
    value_at_ = here();
    if (field.message_type()) {
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
    const ScalarResult result = read_scalar(tokens(), field, message);
    if (result != ScalarResult::taken)
      wrong_kind(field, result == ScalarResult::wrong_kind_after_minus);
  }

  /// Reports that the current value is invalid for `field`, and skips it.
  void wrong_kind(const Field& field, bool minus = false) {
    const TextToken& v = now();
    const bool opens = v.is("{") || v.is("<") || v.is("[");
    if (v.kind == TextToken::end || (v.kind == TextToken::sign && !opens && !v.is("-")))
      fail("'", field.name(), "' takes ", wanted(field), ", not ", shown(v));
    const std::string message =
        advice_.wrong_kind(field, v).value_or(explain_wrong_kind(field, v, minus));
    if (!message.empty()) problem(value_at_, message);
    skip_value(open_.size());
  }

  /// Skips the rest of a field after its name.
  void skip_field(std::string_view name) {
    if (!take(":") && !now().is("{") && !now().is("<")) {
      if (now().is("=")) fail("a field and its value are separated by ':', not by '='");
      fail("after '", printable(name, 60), "' ':' is expected, not ", shown(now()));
    }
    skip_value(open_.size());
  }

  TextAdvice& advice_;
  const pb::Descriptor* root_ = nullptr;
  std::vector<Open> open_;
  FieldPlaces places_;
  Location value_at_;
  bool comma_ = false;  // before the current token
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

}  // namespace doppio
