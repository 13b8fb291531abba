#include "net/read_prototxt.hpp"

#include <glog/logging.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <optional>
#include <regex>
#include <set>
#include <sstream>

#include "core/input_file.hpp"
#include "net/fork_hints.hpp"
#include "net/passes.hpp"

namespace doppio {

namespace {

namespace pb = google::protobuf;

std::vector<std::string> field_names(const pb::Descriptor& message) {
  std::vector<std::string> names;
  for (int i = 0; i < message.field_count(); ++i) names.push_back(message.field(i)->name());
  return names;
}

/// The value names of every enum field called `field`, wherever it occurs in the schema.
std::vector<std::string> enum_values(const pb::FileDescriptor& schema, const std::string& field) {
  std::set<std::string> names;
  for (int m = 0; m < schema.message_type_count(); ++m)
    if (const auto* f = schema.message_type(m)->FindFieldByName(field); f && f->enum_type())
      for (int v = 0; v < f->enum_type()->value_count(); ++v)
        names.insert(f->enum_type()->value(v)->name());
  return {names.begin(), names.end()};
}

struct UnknownField {
  std::string message, field;  // NetParameter, nmae
};

/// What protobuf's message is about if it is about a field that does not exist.
std::optional<UnknownField> unknown_field(const std::string& message) {
  static const std::regex pattern(
      "Message type \"(?:[^\"]*\\.)?([^\".]+)\" has no field named \"([^\"]+)\".*");
  std::smatch m;
  if (!std::regex_match(message, m, pattern)) return {};
  return UnknownField{m[1], m[2]};
}

struct Complaint {
  std::string message;
  std::string word;  // the name or value that is wrong; may be empty
};

/// protobuf's message in our words, with the nearest names where a name is unknown.
Complaint explain(const std::string& message, const pb::FileDescriptor& schema) {
  static const std::regex unknown_enum(
      "Unknown enumeration value of \"([^\"]+)\" for field \"([^\"]+)\".*");
  if (const auto unknown = unknown_field(message)) {
    const auto* type = schema.FindMessageTypeByName(unknown->message);
    return {str(unknown->message, " has no field '", unknown->field, "'",
                type ? did_you_mean(unknown->field, field_names(*type)) : ""),
            unknown->field};
  }
  std::smatch m;
  if (std::regex_match(message, m, unknown_enum)) {
    const std::vector<std::string> values = enum_values(schema, m[2]);
    std::string list;
    for (const std::string& v : values) list += (list.empty() ? "" : ", ") + v;
    return {str("'", m[1].str(), "' is not a value of ", m[2].str(),
                did_you_mean(m[1].str(), values), "; it takes ", list),
            m[1]};
  }
  return {message, {}};
}

/// Turns protobuf's warnings (which unknown fields are, when they are allowed) and errors into
/// ours.
class Collector final : public pb::io::ErrorCollector {
 public:
  Collector(const std::string& text, const std::string& file, const pb::FileDescriptor& schema)
      : file_(file), schema_(schema) {
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines_.push_back(line);
  }
  void AddError(int line, int column, const std::string& message) override {
    const Complaint complaint = explain(message, schema_);
    problems.add(
        Error(complaint.message, {file_, line + 1, start(line, column, complaint.word) + 1}));
  }
  void AddWarning(int line, int column, const std::string& message) override {
    if (!pass_over(line, message)) AddError(line, column, message);
  }
  Problems problems;

 private:
  bool pass_over(int line, const std::string& message) {
    const auto unknown = unknown_field(message);
    if (!unknown) return false;
    const std::string_view why = why_passed_over(unknown->message, unknown->field);
    if (!why.empty() && passed_over_.insert(unknown->field).second)
      LOG(WARNING) << file_ << ":" << line + 1 << ": " << unknown->field
                   << " is passed over: " << why;
    return !why.empty();
  }

  /// protobuf names the token after the wrong word; this finds the word itself.
  int start(int line, int column, const std::string& word) const {
    if (word.empty() || line < 0 || line >= static_cast<int>(lines_.size())) return column;
    const std::size_t at =
        lines_[static_cast<std::size_t>(line)].rfind(word, static_cast<std::size_t>(column));
    return at == std::string::npos ? column : static_cast<int>(at);
  }

  const std::string& file_;
  const pb::FileDescriptor& schema_;
  std::vector<std::string> lines_;
  std::set<std::string> passed_over_;  // each is said once
};

/// Walks message and parse tree together and notes where each field was written.
void collect(const pb::Message& message, pb::TextFormat::ParseInfoTree& tree,
             const std::string& file, const std::string& prefix,
             std::map<std::string, Location>& out) {
  std::vector<const pb::FieldDescriptor*> set;
  message.GetReflection()->ListFields(message, &set);
  for (const pb::FieldDescriptor* field : set) {
    const int n = field->is_repeated() ? message.GetReflection()->FieldSize(message, field) : 1;
    for (int i = 0; i < n; ++i) {
      const int index = field->is_repeated() ? i : -1;
      const pb::TextFormat::ParseLocation at = tree.GetLocation(field, index);
      std::string path = prefix + field->name();
      if (i == 0) out.emplace(path, Location{file, at.line + 1, at.column + 1});
      if (field->is_repeated()) {
        path += "[" + std::to_string(i) + "]";
        out.emplace(path, Location{file, at.line + 1, at.column + 1});
      }
      auto* nested = field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE
                         ? tree.GetTreeForNested(field, index)
                         : nullptr;
      if (!nested) continue;
      const auto* reflection = message.GetReflection();
      collect(field->is_repeated() ? reflection->GetRepeatedMessage(message, field, i)
                                   : reflection->GetMessage(message, field),
              *nested, file, path + ".", out);
    }
  }
}

}  // namespace

FieldLocations parse_text(const std::string& text, const std::string& file, pb::Message& out) {
  Collector collector(text, file, *out.GetDescriptor()->file());
  pb::TextFormat::ParseInfoTree tree;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&collector);
  parser.WriteLocationsTo(&tree);
  parser.AllowUnknownField(true);  // reported as a warning, so that parsing goes on to the next one
  parser.AllowPartialMessage(true);
  const bool parsed = parser.ParseFromString(text, &out);
  collector.problems.throw_if_any();
  require(parsed, file, " is not a text prototxt");

  FieldLocations locations;
  locations.self = {file, 0, 0};
  collect(out, tree, file, "", locations.fields);
  std::vector<std::string> missing;
  out.FindInitializationErrors(&missing);
  for (const std::string& path : missing)
    collector.problems.add(
        Error("the required field '" + path.substr(path.rfind('.') + 1) + "' is missing",
              locations.find(path)));
  collector.problems.throw_if_any();
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

SourcedNet parse_prototxt(const std::string& text, const std::string& file) {
  SourcedNet source;
  source.file = file;
  source.fields = parse_text(text, file, source.net);
  require(source.net.layer_size() == 0 || source.net.layers_size() == 0, file,
          ": has both `layer` and `layers`; rename every `layers` (and its type) to the new form");
  const bool old = source.net.layers_size() > 0;
  const int n = old ? source.net.layers_size() : source.net.layer_size();
  for (int i = 0; i < n; ++i)
    source.layers.push_back(std::make_shared<FieldLocations>(
        locations_under(source.fields, (old ? "layers[" : "layer[") + std::to_string(i) + "]")));
  return upgrade(std::move(source));
}

SourcedNet read_prototxt(const std::string& file) {
  return parse_prototxt(read_text_file(file), file);
}

}  // namespace doppio
