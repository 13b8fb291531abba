#include "net/memory_advice.hpp"

#include <algorithm>

#include "net/passes/memory_plan.hpp"

namespace doppio {

namespace {

std::string mib(Index bytes) { return str((bytes + (1 << 19)) >> 20, " MiB"); }

/// Returns the batch size of the data layers or inputs, or 0 if there are none.
Index batch_size(const Net& net) {
  for (const NetLayer& l : net.layers())
    if (l.bottoms.empty() && !l.tops.empty() && l.tops[0]->shape().axes() > 1)
      return l.tops[0]->shape()[0];
  return 0;
}

}  // namespace

std::string memory_advice(const Net& net, std::size_t available) {
  const MemoryPlan plan = plan_memory(net, Passes::forward_and_backward);
  // Most update rules store one history value for each learnable parameter.
  const Index parameters = plan.total.parameters + 2 * plan.total.parameter_gradients;
  const Index blobs = plan.total.activations + plan.total.gradients;
  const Index batch = batch_size(net);
  std::string text =
      str("\n    net '", net.name(), "' needs ", mib(parameters),
          " for parameters, their gradients and momentum, ", mib(blobs), " for blobs and ",
          mib(plan.workspace), " of workspace; ", mib(static_cast<Index>(available)), " are there");
  if (batch < 2 || blobs == 0) return text;
  // Fragmentation takes about a tenth. The plan underestimates, since memory did run out.
  const Index room = static_cast<Index>(available) / 10 * 9 - parameters - plan.workspace;
  const Index fits = std::min(room / (blobs / batch + 1), batch - batch / 4);
  const Index shards = net.shard().count;  // each has a part of the batch
  return text + (fits < 1 ? str("; not even one image fits")
                          : str("; batch_size ", fits * shards, " instead of ", batch * shards,
                                " should fit"));
}

}  // namespace doppio
