#include "net/format/read_prototxt.hpp"

#include <glog/logging.h>
#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "core/printable.hpp"
#include "io/input_file.hpp"
#include "io/text_format.hpp"
#include "net/format/fork_hints.hpp"
#include "net/format/layer_context.hpp"
#include "net/format/layer_types.hpp"
#include "net/format/unused_params.hpp"
#include "net/format/upgrade.hpp"

namespace doppio {

namespace {

namespace pb = google::protobuf;

/// Logs each warning once, because a solver reads its net for every phase.
void warn_once(const std::string& text) {
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard lock(mutex);
  if (said.insert(text).second) LOG(WARNING) << text;
}

/// Explains mistakes that mix old and new forms of nets, and ignores hints of forks. Explains each
/// kind once, at its first occurrence, because it is usually repeated in all layers.
class NetAdvice final : public TextAdvice {
 public:
  std::vector<Error> unknown_fields(const pb::Message& message,
                                    const std::vector<UnknownField>& unknown,
                                    const Location& type_at) override {
    const std::string type(message.GetDescriptor()->name());
    std::vector<UnknownField> rest;
    std::vector<Error> errors;
    const LayerParameter* stranger = of_unknown_type(message);
    if (stranger) errors.emplace_back(titled(*stranger) + unknown_type(*stranger), type_at, "type");
    for (const UnknownField& field : unknown) {
      const std::string_view why = why_passed_over(type, field.name);
      const std::string old = other_form(message, field.name);
      if (!why.empty()) {
        ignored_.emplace(field.name, std::pair(field.where, why));
      } else if (!old.empty()) {
        if (first("field " + field.name)) errors.emplace_back(old, field.where);
      } else if (!stranger || !field.name.ends_with("_param")) {
        rest.push_back(field);
      }
    }
    for (Error& e : TextAdvice::unknown_fields(message, rest, type_at))
      errors.push_back(std::move(e));
    return errors;
  }

  std::optional<std::string> wrong_kind(const pb::FieldDescriptor& field,
                                        const TextToken& value) override {
    const std::string message = of_other_form(field, value);
    if (message.empty()) return TextAdvice::wrong_kind(field, value);
    return first(std::string(field.full_name())) ? message : "";
  }

  /// Warns of the fields that were ignored.
  void log_ignored() const {
    std::vector<std::pair<int, std::string>> lines;
    for (const auto& [name, at] : ignored_)
      lines.emplace_back(at.first.line, str(at.first.file, ":", at.first.line, ": ", name,
                                            " is ignored: ", at.second));
    std::sort(lines.begin(), lines.end());
    for (const auto& [number, line] : lines) warn_once(line);
  }

 private:
  bool first(const std::string& mistake) { return said_.insert(mistake).second; }

  /// Returns the message as a layer if its type is unknown, else null.
  static const LayerParameter* of_unknown_type(const pb::Message& message) {
    if (message.GetDescriptor() != LayerParameter::descriptor()) return nullptr;
    const auto& layer = static_cast<const LayerParameter&>(message);
    return layer.type().empty() || is_layer_type(layer.type()) ? nullptr : &layer;
  }

  /// Returns the advice for a field that belongs to the other one of `layer` and `layers`, or "".
  static std::string other_form(const pb::Message& message, const std::string& field) {
    const auto* type = message.GetDescriptor();
    if (type == LayerParameter::descriptor()) {
      if (field == "blobs_lr" || field == "weight_decay")
        return str("'", field, "' belongs to the old form, 'layers'; in 'layer' write param { ",
                   field == "blobs_lr" ? "lr_mult" : "decay_mult", ": 1 }, one for each parameter");
      if (field == "blob_share_mode")
        return "'blob_share_mode' belongs to the old form, 'layers'; in 'layer' write param { "
               "share_mode: STRICT }";
    }
    if (type == V1LayerParameter::descriptor() &&
        LayerParameter::descriptor()->FindFieldByName(field))
      return str("'layers' is the old form, which has no '", field,
                 "'; write 'layer', with the type in quotes");
    return {};
  }

  /// Returns the advice for a value in the form of the other one of `layer` and `layers`, or "".
  static std::string of_other_form(const pb::FieldDescriptor& field, const TextToken& value) {
    const bool old = field.containing_type() == V1LayerParameter::descriptor();
    if (!old && field.containing_type() != LayerParameter::descriptor()) return {};
    if (field.name() == "param" && old && value.is("{"))
      return "'layers' is the old form, in which param is a name and the rates are blobs_lr and "
             "weight_decay; write 'layer' to use param { lr_mult: 1 }";
    if (field.name() == "param" && !old && value.kind == TextToken::string)
      return str("a bare name of a parameter belongs to the old form, 'layers'; in 'layer' write ",
                 "param { name: ", printable(value.text), " }");
    if (field.name() != "type") return {};
    if (!old && value.kind == TextToken::word) {
      V1LayerParameter::LayerType type;
      const bool known = V1LayerParameter::LayerType_Parse(std::string(value.text), &type);
      return known ? str("in 'layer' the type is quoted: type: \"", type_name(type),
                         "\"; bare words such as ", value.text, " belong to the old form, 'layers'")
                   : "";
    }
    if (!old || (value.kind != TextToken::word && value.kind != TextToken::string)) return {};
    const std::string name(value.kind == TextToken::word ? value.text : value.value);
    const std::string bare = old_type_name(name);
    if (!bare.empty())
      return str("'layers' is the old form, in which a type is a bare word: type: ", bare,
                 "; or write 'layer' with type: \"", today(bare), "\"");
    if (is_layer_type(name))
      return str("'layers' is the old form, which has no type ", name,
                 "; write 'layer' with type: \"", name, "\"");
    return str("unknown layer type '", printable(name), "'", did_you_mean(name, old_type_names()));
  }

  static std::string today(const std::string& bare) {
    V1LayerParameter::LayerType type;
    return V1LayerParameter::LayerType_Parse(bare, &type) ? type_name(type) : "";
  }

  std::set<std::string> said_;
  std::map<std::string, std::pair<Location, std::string_view>> ignored_;
};

/// Throws: Error if `wanted` is a net and the text is a solver, or the reverse.
void check_kind(const std::string& text, const std::string& file, const pb::Message& wanted) {
  const int net = known_fields(text, *NetParameter::descriptor());
  const int solver = known_fields(text, *SolverParameter::descriptor());
  const Location where = {file, 0, 0};
  if (wanted.GetDescriptor() == NetParameter::descriptor() && solver > net)
    throw Error("this is a solver; expected a net, which a solver names in its field 'net'", where);
  if (wanted.GetDescriptor() == SolverParameter::descriptor() && net > solver)
    throw Error(
        "this is a net; expected a solver, which names its net: net: \"" + printable(file) + "\"",
        where);
}

}  // namespace

FieldLocations parse_text(const std::string& text, const std::string& file, pb::Message& out) {
  NetAdvice advice;
  FieldLocations locations;
  locations.self = {file, 0, 0};
  try {
    locations.fields = parse_text_format(text, file, out, advice);
  } catch (const Error&) {
    check_kind(text, file, out);
    throw;
  }
  advice.log_ignored();
  Problems problems;
  std::vector<std::string> missing;
  out.FindInitializationErrors(&missing);
  for (const std::string& path : missing)
    problems.add(Error("the required field '" + path.substr(path.rfind('.') + 1) + "' is missing",
                       locations.find(path)));
  problems.throw_if_any();
  return locations;
}

FieldLocations locations_under(const FieldLocations& all, const std::string& path) {
  FieldLocations part;
  part.self = all.find(path);
  const std::string prefix = path + ".";
  for (auto it = all.fields.lower_bound(prefix);
       it != all.fields.end() && it->first.starts_with(prefix); ++it)
    part.fields.emplace(it->first.substr(prefix.size()), it->second);
  return part;
}

SourcedNet with_layer_places(SourcedNet source) {
  if (source.net.layer_size() > 0 && source.net.layers_size() > 0)
    throw Error(
        "has both 'layer' and 'layers', the old form; write every 'layers' as 'layer', with the "
        "type in quotes",
        source.fields.find("layers"));
  const bool old = source.net.layers_size() > 0;
  const int n = old ? source.net.layers_size() : source.net.layer_size();
  for (int i = 0; i < n; ++i)
    source.layers.push_back(std::make_shared<FieldLocations>(
        locations_under(source.fields, str(old ? "layers[" : "layer[", i, "]"))));
  return source;
}

SourcedNet parse_prototxt(const std::string& text, const std::string& file) {
  SourcedNet source;
  source.file = file;
  source.fields = parse_text(text, file, source.net);
  source = upgrade(with_layer_places(std::move(source)));
  for (const std::string& warning : unused_params(source)) warn_once(warning);
  return source;
}

SourcedNet read_prototxt(const std::string& file) {
  return parse_prototxt(read_text_file(file), file);
}

}  // namespace doppio
