#include <algorithm>

#include "run_case.hpp"

namespace doppio::conformance {
namespace {

constexpr double kLayerTolerance = 1e-4;
constexpr double kNetTolerance = 1e-3;

void set(Tensor& tensor, const std::string& file, const std::string& what) {
  const BlobProto blob = read_message<BlobProto>(file);
  const Shape shape = shape_of(blob);
  require(tensor.shape() == shape && shape.count() == blob.data_size(), what, " has shape ",
          tensor.shape().text(), ", ", file, " has ", shape.text());
  std::copy(blob.data().begin(), blob.data().end(), tensor.write_host());
}

/// Forward, and backward if the case has it; returns the loss of the last forward pass.
float run(Net& net, const Manifest& m) {
  for (const Manifest::Input& input : m.inputs)
    set(net.blob(input.blob).data, input.file, "input " + input.blob);
  net.clear_grads();
  float loss = 0;
  for (int pass = 0; pass < m.forward_passes; ++pass) loss = net.forward();
  if (!m.backward) return loss;
  for (const Manifest::Output& output : m.outputs)
    if (!output.grad_file.empty())
      set(net.blob(output.blob).grad, output.grad_file, "output " + output.blob);
  net.backward();
  return loss;
}

void compare_params(Comparison& compare, Net& net, const Manifest& m) {
  for (const Manifest::Param& param : m.params) {
    const std::vector<Blob>& params = net.layer(param.layer).layer->params;
    const std::string what = str("param ", param.layer, " ", param.index);
    if (param.index >= params.size()) {
      compare.differs(what + " does not exist");
      continue;
    }
    const Blob& blob = params[param.index];
    if (!param.grad_file.empty()) compare.blob("gradient of " + what, blob.grad, param.grad_file);
    if (!param.after_file.empty()) compare.blob(what, blob.data, param.after_file);
  }
}

}  // namespace

Result run_layer_case(const Case& c, Context& ctx) {
  const Manifest m = read_manifest("case.txt");
  const bool is_net = !m.intermediates.empty() || c.folder.parent_path().filename() == "nets";
  Comparison compare(is_net ? kNetTolerance : kLayerTolerance);

  Net net(ctx, "net.prototxt", m.phase);
  if (!m.weights.empty()) require_no_mismatch(net.copy_weights(m.weights), m.weights);
  compare.scalar("loss", run(net, m), m.loss);

  std::vector<std::string> outputs;
  for (const Manifest::Output& output : m.outputs) outputs.push_back(output.blob);
  if (outputs != net.outputs()) {
    std::string names;
    for (const std::string& name : net.outputs()) names += " " + name;
    compare.differs("the net's outputs are, in this order:" + names);
  }
  for (const Manifest::Output& output : m.outputs) {
    compare.blob("output " + output.blob, net.blob(output.blob).data, output.file);
    compare.scalar("loss weight of " + output.blob, net.loss_weight(output.blob),
                   output.loss_weight);
  }
  for (const Manifest::Intermediate& blob : m.intermediates)
    if (net.has_blob(blob.blob))
      compare.blob("blob " + blob.blob, net.blob(blob.blob).data, blob.file);
  for (const Manifest::Input& input : m.inputs)
    if (!input.grad_file.empty())
      compare.blob("gradient of input " + input.blob, net.blob(input.blob).grad, input.grad_file);
  compare_params(compare, net, m);
  return compare.result();
}

}  // namespace doppio::conformance
