// Passes of a net on an accelerator, run layer by layer or by replay of a captured graph.
#include <algorithm>

#include "core/accelerator.hpp"
#include "doppio/net.hpp"
#include "net/format/layer_context.hpp"
#include "net/gradient_groups.hpp"
#include "net/graph_replay.hpp"
#include "net/pass_context.hpp"
#include "net/passes/liveness.hpp"

namespace doppio {

float Net::forward_backward() {
  if (ctx_.accelerator()) return run_on_device(true);
  const float loss = forward();
  backward();
  return loss;
}

std::uint64_t Net::replay_count() const { return replay_->replay_count(); }

const std::vector<std::vector<std::size_t>>& Net::gradient_groups() const {
  return gradient_groups_->groups;
}

/// Runs a forward pass and, if `backward`, a backward pass. Returns the loss.
float Net::run_on_device(bool backward) {
  begin_pass();
  for (std::size_t i = 0; i < layers_.size(); ++i)
    if (layers_[i].bottoms.empty()) run_layer(i);
  const auto run_layers = [&] { run_after_sources(backward); };
  // A forward pass that a separate backward pass may follow is not captured, because replay skips
  // host code in which layers save state for backward.
  const bool follows = std::any_of(layers_.begin(), layers_.end(),
                                   [&](const NetLayer& l) { return runs_backward(l); });
  if (ctx_.graph_capture && !debug_info_ && (backward || !follows))
    replayed_ = replay_->run(pass_key(backward), run_layers);
  else
    run_layers();
  return loss();
}

PassKey Net::pass_key(bool backward) const {
  PassKey key;
  key.backward = backward;
  key.cleared_gradients =
      std::count_if(parameters_.begin(), parameters_.end(),
                    [](const Parameter& p) { return p.blob->grad.is_lazily_zero(); });
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (!layers_[i].bottoms.empty()) continue;
    with_context(layer_context(*source_, static_cast<int>(i), {}), [&] {
      with_context(pass_context(*this), [&] {
        for (const Blob* top : layers_[i].tops)
          key.sources.push_back({top->data.read(ctx_), top->shape()});
      });
    });
  }
  return key;
}

void Net::run_after_sources(bool backward) {
  for (std::size_t i = 0; i < layers_.size(); ++i)
    if (!layers_[i].bottoms.empty()) run_layer(i);
  if (!backward) return;
  for (std::size_t i = layers_.size(); i-- > 0;) {
    backward_layer(i);
    if (const auto group = gradient_groups_->completed_by[i])
      ctx_.accelerator()->record_event(*group);
  }
}

}  // namespace doppio
