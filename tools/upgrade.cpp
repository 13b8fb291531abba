// `doppio upgrade`: files of older Caffe versions and of forks, written in today's form.
#include <glog/logging.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <cctype>
#include <fstream>

#include "core/atomic_file.hpp"
#include "core/input_file.hpp"
#include "net/blob_io.hpp"
#include "net/passes.hpp"
#include "net/read_prototxt.hpp"
#include "net/weights_io.hpp"
#include "solver/read_solver.hpp"
#include "solver/update_rule.hpp"
#include "tools/command.hpp"

namespace doppio {

namespace {

namespace pb = google::protobuf;

/// Binary messages soon have a byte that no text has.
bool is_text(const std::string& file) {
  require(std::ifstream(file).good(), "cannot open ", file);
  std::ifstream in(file, std::ios::binary);
  char byte;
  for (int i = 0; i < 4096 && in.get(byte); ++i)
    if (std::iscntrl(static_cast<unsigned char>(byte)) &&
        !std::isspace(static_cast<unsigned char>(byte)))
      return false;
  return true;
}

/// How many fields a text has that `message` knows.
int known_fields(const std::string& text, pb::Message& message) {
  struct Quiet final : pb::io::ErrorCollector {
    void AddError(int, int, const std::string&) override {}
    void AddWarning(int, int, const std::string&) override {}
  } quiet;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&quiet);
  parser.AllowUnknownField(true);
  parser.AllowPartialMessage(true);
  parser.ParseFromString(text, &message);
  std::vector<const pb::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  return static_cast<int>(fields.size());
}

bool is_solver(const std::string& text) {
  NetParameter net;
  SolverParameter solver;
  return known_fields(text, solver) > known_fields(text, net);
}

void write_text(const std::string& file, const pb::Message& message) {
  std::string text;
  pb::TextFormat::PrintToString(message, &text);
  write_file_atomically(file, [&](std::ostream& out) { out << text; });
}

NetParameter upgraded(const NetParameter& net, const std::string& file) {
  SourcedNet source;
  source.file = file;
  source.net = net;
  return upgrade(std::move(source)).net;
}

SolverParameter upgraded_solver(const std::string& file) {
  SourcedSolver source = read_solver(file);
  SolverParameter& solver = source.param;
  if (solver.has_solver_type())
    solver.set_type(located(source, [&] { return update_rule_type(solver); }));
  solver.clear_solver_type();
  if (solver.has_net_param()) *solver.mutable_net_param() = upgraded(solver.net_param(), file);
  if (solver.has_train_net_param())
    *solver.mutable_train_net_param() = upgraded(solver.train_net_param(), file);
  for (NetParameter& net : *solver.mutable_test_net_param()) net = upgraded(net, file);
  return solver;
}

/// Weights as other readers know them too: with a shape, and as plain floats.
void store_plainly(BlobProto& blob) {
  const bool empty = blob.data_size() == 0 && blob.double_data_size() == 0 && !blob.has_raw_data();
  if (empty || (blob.data_size() > 0 && blob.has_shape())) return;
  Tensor values;
  values.reshape(stored_shape(blob));
  read_blob(blob, values);
  write_blob(values, nullptr, blob);
}

NetParameter upgraded_weights(const std::string& file) {
  NetParameter net;
  require(parse_binary_file(file, net), file, ": neither a text nor a binary net, or cut short");
  net = upgraded(net, file);
  for (LayerParameter& layer : *net.mutable_layer())
    for (int i = 0; i < layer.blobs_size(); ++i) try {
        store_plainly(*layer.mutable_blobs(i));
      } catch (const Error& e) {
        throw Error(str("layer '", layer.name(), "', blob ", i, " ", e.message()), {file, 0, 0});
      }
  return net;
}

int run(const Arguments& given) {
  const std::string &in = given.operands[0], &out = given.operands[1];
  const char* kind = "net (binary)";
  if (!is_text(in)) {
    write_message(out, upgraded_weights(in));
  } else if (is_solver(read_text_file(in))) {
    kind = "solver";
    write_text(out, upgraded_solver(in));
  } else {
    kind = "net (text)";
    write_text(out, read_prototxt(in).net);
  }
  LOG(INFO) << "Wrote upgraded " << kind << " to " << out;
  return kDone;
}

}  // namespace

Command upgrade_command() {
  return {.name = "upgrade",
          .summary = "rewrite an old net, solver or weight file in today's form",
          .operands = "IN OUT",
          .flags = {},
          .example = "doppio upgrade old_train_val.prototxt train_val.prototxt",
          .run = run,
          .min_operands = 2,
          .max_operands = 2,
          .aliases = {"upgrade_net_proto_text", "upgrade_net_proto_binary",
                      "upgrade_solver_proto_text"},
          .notes =
              "IN may be a net or a solver as text, or a net with weights (.caffemodel), of any\n"
              "version of Caffe. OUT is written even if nothing had to change. Comments are lost."};
}

}  // namespace doppio
