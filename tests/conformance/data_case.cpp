#include "run_case.hpp"

namespace doppio::conformance {
namespace {

/// Raw records must be exact; JPEG decoders may differ by two grey levels.
double tolerance() {
  const NetParameter net = read_net_loosely();
  for (const LayerParameter& layer : net.layer())
    if (layer.type() == "ImageData" ||
        layer.data_param().ShortDebugString().find("jpg") != std::string::npos)
      return 2 * layer.transform_param().scale();
  return 1e-6;
}

}  // namespace

Result run_data_case(const Case&, Context& ctx) {
  const Manifest m = read_manifest("case.txt");
  Comparison compare(tolerance());
  Net net(ctx, "net.prototxt", m.phase);
  int pass = -1;
  for (const Manifest::Batch& batch : m.batches) {
    for (; pass < batch.pass; ++pass) net.forward();
    compare.blob(str("batch ", batch.pass, " ", batch.blob), net.blob(batch.blob).data, batch.file);
  }
  return compare.result();
}

}  // namespace doppio::conformance
