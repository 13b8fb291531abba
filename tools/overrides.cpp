#include "tools/overrides.hpp"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <set>

#include "core/printable.hpp"
#include "core/with_context.hpp"
#include "io/comma_list.hpp"
#include "io/text_format.hpp"
#include "net/passes/passes.hpp"
#include "tools/flags.hpp"

namespace doppio {

namespace {

namespace pb = google::protobuf;

/// A path step such as "param[1]", split into name and index. Without an index it is -1.
struct Step {
  std::string name;
  int index = -1;
};

Step parse_step(const std::string& word) {
  const std::size_t open = word.find('[');
  if (open == word.npos) return {word, -1};
  const std::string digits = word.substr(open + 1, word.size() - open - 2);
  require(word.back() == ']' && !digits.empty() && digits.size() < 6 &&
              digits.find_first_not_of("0123456789") == digits.npos,
          "'", word, "' is not a field; write an index as in param[0]");
  return {word.substr(0, open), std::stoi(digits)};
}

const pb::FieldDescriptor* find_field(const pb::Descriptor& type, const std::string& name) {
  return type.FindFieldByName(name);
}

void set_field(pb::Message& message, const pb::FieldDescriptor& field, const std::string& value) {
  const pb::Reflection& reflection = *message.GetReflection();
  const bool is_text = field.cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING;
  const bool is_message = field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
  reflection.ClearField(&message, &field);
  for (const std::string& item :
       field.is_repeated() && !is_message ? comma_list(value) : std::vector<std::string>{value}) {
    if (is_text && field.is_repeated()) {
      reflection.AddString(&message, &field, item);
    } else if (is_text) {
      reflection.SetString(&message, &field, item);
    } else {
      require(parse_field_value(item, field, message), "'", printable(item), "' is not a value of ",
              field.name(),
              field.enum_type() ? did_you_mean(item, value_names(*field.enum_type())) : "",
              ", which takes ", wanted(field));
    }
  }
}

/// A field that was set: its full path, and the number of values if it is a list, else -1.
struct Place {
  std::string path;
  int values = -1;
};

/// Sets the field at `path` below `message` and appends it to `places`.
void set_path(pb::Message& message, const std::string& path, const std::string& value,
              const std::string& prefix, std::vector<Place>& places) {
  const pb::Descriptor& type = *message.GetDescriptor();
  const pb::Reflection& reflection = *message.GetReflection();
  const std::size_t dot = path.find('.');
  const Step step = parse_step(path.substr(0, dot));
  const pb::FieldDescriptor* field = find_field(type, step.name);
  require(field, type.name(), " has no field '", step.name, "'",
          did_you_mean(step.name, field_names(type)));
  const std::string place = prefix + step.name;
  if (dot == path.npos) {
    require(step.index < 0, "give '", step.name, "' as a whole, with commas between its values");
    set_field(message, *field, value);
    const bool is_list = field->is_repeated() && !field->message_type();
    places.push_back({place, is_list ? reflection.FieldSize(message, field) : -1});
    return;
  }
  require(field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE, "'", step.name,
          "' is a value and has no fields");
  const std::string rest = path.substr(dot + 1);
  if (!field->is_repeated()) {
    require(step.index < 0, "'", step.name, "' has no index");
    return set_path(*reflection.MutableMessage(&message, field), rest, value, place + ".", places);
  }
  const int n = reflection.FieldSize(message, field);
  require(n > 0 && step.index < n, "there is no '", path.substr(0, dot), "': ", step.name,
          " is written ", n, " times");
  for (int i = std::max(0, step.index); i < (step.index < 0 ? n : step.index + 1); ++i)
    set_path(*reflection.MutableRepeatedMessage(&message, field, i), rest, value,
             str(place, "[", i, "]."), places);
}

/// Returns `path` from the layer, with the message added if it is a field of one.
std::string full_path(const LayerParameter& layer, const std::string& path) {
  const std::string name = parse_step(path.substr(0, path.find('.'))).name;
  if (find_field(*LayerParameter::descriptor(), name)) return path;
  std::vector<const pb::FieldDescriptor*> present;
  layer.GetReflection()->ListFields(layer, &present);
  std::vector<std::string> with_field, with_value;
  std::set<std::string> known;
  for (const pb::FieldDescriptor* field : present) {
    if (!field->name().ends_with("_param")) continue;
    const pb::Message& message = layer.GetReflection()->GetMessage(layer, field);
    for (std::string& n : field_names(*field->message_type())) known.insert(std::move(n));
    const pb::FieldDescriptor* inner = find_field(*field->message_type(), name);
    if (!inner) continue;
    with_field.emplace_back(field->name());
    const pb::Reflection& reflection = *message.GetReflection();
    if (inner->is_repeated() ? reflection.FieldSize(message, inner) > 0
                             : reflection.HasField(message, inner))
      with_value.emplace_back(field->name());
  }
  require(!with_field.empty(), "layer '", layer.name(), "' (", layer.type(), ") has no field '",
          name, "' in the messages that are written there",
          did_you_mean(name, {known.begin(), known.end()}),
          known.empty() ? "; give its full path, such as relu_param.negative_slope" : "");
  const std::vector<std::string>& candidates = with_value.empty() ? with_field : with_value;
  if (candidates.size() == 1) return candidates[0] + "." + path;
  // DataParameter has fields of transform_param too, but only old-style layers use them.
  if (std::find(candidates.begin(), candidates.end(), "transform_param") != candidates.end())
    return "transform_param." + path;
  std::string list;
  for (const std::string& c : candidates) list += str(list.empty() ? "" : ", ", c, ".", path);
  throw Error(str("layer '", layer.name(), "' has several such fields: ", list));
}

/// Returns true for fields of nets that solvers do not have: compute_type, force_backward,
/// model_parallel and its fields.
bool is_of_net(const std::string& path) {
  if (path.starts_with("model_parallel.")) return true;
  return !find_field(*SolverParameter::descriptor(), path) &&
         find_field(*NetParameter::descriptor(), path);
}

/// For with_context(): sets the --set argument as the location of an Error.
auto override_context(const std::string& text) {
  return [&text](const Error& e) { return Error(e.message(), {"--set " + text, 0, 0}); };
}

/// Records `text` as the location of the fields. Throws: Error if one of them is a list that
/// another --set of the same scope (prefix) has set: only the last one would count.
void note(FieldLocations& fields, const std::vector<Place>& places, const std::string& text) {
  const auto scope = [](const std::string& set) {
    for (const char* prefix : {"train:", "test:"})
      if (set.starts_with(prefix)) return std::string(prefix);
    return std::string();
  };
  const std::string where = "--set " + text;
  for (const auto& [path, values] : places) {
    const auto earlier = fields.fields.find(path);
    if (values >= 0 && earlier != fields.fields.end()) {
      const std::string other = earlier->second.file;
      const bool set = other.starts_with("--set ");
      require(!set || scope(other.substr(6)) != scope(text), "it would replace '", other,
              "'; give the values of a list in one --set, with commas between them");
    }
    const auto is_inside = [&path = path](const auto& entry) {
      return entry.first.starts_with(path + "[") || entry.first.starts_with(path + ".");
    };
    std::erase_if(fields.fields, is_inside);
    fields.fields[path] = {where, 0, 0};
    for (int i = 0; i < std::max(1, values); ++i)
      fields.fields[str(path, "[", i, "]")] = {where, 0, 0};
  }
}

}  // namespace

Overrides::Overrides(const std::vector<std::string>& sets) {
  for (const std::string& text : sets) {
    const std::size_t equals = text.find('=');
    if (equals == text.npos || equals == 0)
      throw UsageError("--set takes FIELD=VALUE or LAYER.FIELD=VALUE, not '" + text + "'");
    Override o;
    o.text = text;
    o.path = text.substr(0, equals);
    o.value = text.substr(equals + 1);
    if (o.path.starts_with("train:")) o.test = false;
    if (o.path.starts_with("test:")) o.train = false;
    if (!o.train || !o.test) o.path.erase(0, o.path.find(':') + 1);
    overrides_.push_back(o);
  }
}

void Overrides::apply(SolverParameter& solver, FieldLocations& fields) {
  for (Override& o : overrides_)
    with_context(override_context(o.text), [&] {
      const std::size_t dot = o.path.find('.');
      const pb::FieldDescriptor* field =
          find_field(*solver.GetDescriptor(), parse_step(o.path.substr(0, dot)).name);
      const bool is_message = field && field->message_type();
      if (!o.train || !o.test || (dot != o.path.npos && !is_message)) return;  // a layer's
      if (is_of_net(o.path)) return;
      std::vector<Place> places;
      set_path(solver, o.path, o.value, "", places);
      note(fields, places, o.text);
      o.used = true;
    });
}

SourcedNet Overrides::apply(SourcedNet net, const NetState& state) {
  if (overrides_.empty()) return net;
  const auto meets = [&](const Override& o) { return state.phase() == TRAIN ? o.train : o.test; };
  for (Override& o : overrides_) {
    if (!meets(o) || !is_of_net(o.path)) continue;
    with_context(override_context(o.text), [&] {
      std::vector<Place> places;
      set_path(net.net, o.path, o.value, "", places);
      note(net.fields, places, o.text);
      o.used = true;
    });
  }
  net = filter(std::move(net), state);
  for (int i = 0; i < net.net.layer_size(); ++i) {
    LayerParameter& layer = *net.net.mutable_layer(i);
    layers_seen_.push_back(layer.name());
    for (Override& o : overrides_) {
      if (!meets(o) || !o.path.starts_with(layer.name() + ".")) continue;
      with_context(override_context(o.text), [&] {
        std::vector<Place> places;
        const std::string path = full_path(layer, o.path.substr(layer.name().size() + 1));
        set_path(layer, path, o.value, "", places);
        o.used = true;
        auto& fields = net.layers[static_cast<std::size_t>(i)];
        if (!fields) return;
        FieldLocations changed = *fields;
        note(changed, places, o.text);
        fields = std::make_shared<FieldLocations>(std::move(changed));
      });
    }
  }
  return net;
}

void Overrides::require_all_used() const {
  for (const Override& o : overrides_) {
    if (o.used) continue;
    const std::string layer = o.path.substr(0, o.path.find('.'));
    const bool elsewhere =
        std::find(layers_seen_.begin(), layers_seen_.end(), layer) != layers_seen_.end();
    with_context(override_context(o.text), [&] {
      require(layer != o.path, "there is no solver to change; write LAYER.FIELD=VALUE");
      throw Error(str("no net that is built", o.train ? "" : " for TEST",
                      o.test ? "" : " for TRAIN", " has a layer '", layer, "'",
                      elsewhere ? "" : did_you_mean(layer, layers_seen_)));
    });
  }
}

}  // namespace doppio
