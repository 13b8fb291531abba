// `doppio upgrade`: converts files of older Caffe versions and of forks to today's format.
#include <glog/logging.h>
#include <google/protobuf/text_format.h>

#include "io/atomic_file.hpp"
#include "io/file_kind.hpp"
#include "io/input_file.hpp"
#include "io/text_format.hpp"
#include "net/format/blob_io.hpp"
#include "net/format/read_prototxt.hpp"
#include "net/passes/passes.hpp"
#include "net/weights/weights_io.hpp"
#include "solver/read_solver.hpp"
#include "solver/rules/update_rule.hpp"
#include "tools/command.hpp"
#include "tools/flags.hpp"
#include "tools/setup.hpp"

namespace doppio {

namespace {

namespace pb = google::protobuf;

bool is_solver(const std::string& text) {
  return known_fields(text, *SolverParameter::descriptor()) >
         known_fields(text, *NetParameter::descriptor());
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
  try {
    return upgrade(std::move(source)).net;
  } catch (const Error& e) {
    if (!e.where().file.empty()) throw;
    throw Error(e.message(), {file, 0, 0});
  }
}

SolverParameter upgraded_solver(const std::string& file) {
  SourcedSolver source = read_solver(file);
  SolverParameter& solver = source.param;
  if (solver.has_solver_type())
    solver.set_type(with_context(solver_context(source), [&] { return update_rule_type(solver); }));
  solver.clear_solver_type();
  if (solver.has_net_param()) *solver.mutable_net_param() = upgraded(solver.net_param(), file);
  if (solver.has_train_net_param())
    *solver.mutable_train_net_param() = upgraded(solver.train_net_param(), file);
  for (NetParameter& net : *solver.mutable_test_net_param()) net = upgraded(net, file);
  return solver;
}

/// Stores weights in the form that all readers know: with a shape, and as plain floats.
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

/// Returns the layers of --phase, or all layers without that flag.
NetParameter in_phase(SourcedNet source) {
  if (FLAGS_phase.empty()) return std::move(source.net);
  const NetState state = state_of_flags(phases_of_flag().front());
  NetParameter net = filter(std::move(source), state).net;
  for (LayerParameter& layer : *net.mutable_layer()) {
    layer.clear_phase();
    layer.clear_include();
    layer.clear_exclude();
  }
  return net;
}

int run(const Arguments& given) {
  const std::string &in = given.operands[0], &out = given.operands[1];
  const bool text = is_text(read_file(in).substr(0, kHeadBytes)),
             solver = text && is_solver(read_text_file(in));
  if (!FLAGS_phase.empty() && (!text || solver))
    throw UsageError("--phase goes with a net as text; " + in + " is none");
  if (!text)
    write_message(out, upgraded_weights(in));
  else if (solver)
    write_text(out, upgraded_solver(in));
  else
    write_text(out, in_phase(read_prototxt(in)));
  const char* kind = !text ? "net (binary)" : solver ? "solver" : "net (text)";
  LOG(INFO) << "Wrote upgraded " << kind << " to " << out;
  return kDone;
}

}  // namespace

Command upgrade_command() {
  return {
      .name = "upgrade",
      .summary = "convert an old net, solver or weight file to the current format",
      .operands = "IN OUT",
      .flags = {{"phase=PHASE",
                 "write only the layers of this phase, TRAIN or TEST, of a net as text"},
                {"level=N", "with --phase: level of the net, for its include and exclude rules"},
                {"stage=NAMES",
                 "with --phase: stages of the net, for the same rules, separated by commas"}},
      .example = "doppio upgrade old_train_val.prototxt train_val.prototxt",
      .run = run,
      .min_operands = 2,
      .max_operands = 2,
      .aliases = {"upgrade_net_proto_text", "upgrade_net_proto_binary",
                  "upgrade_solver_proto_text"},
      .notes =
          "IN is a net or a solver as text, or a net with weights (.caffemodel), of any version\n"
          "of Caffe. OUT is written even if nothing changes. Comments are lost. With --phase,\n"
          "OUT has only the layers of that phase; this works for nets as text."};
}

}  // namespace doppio
