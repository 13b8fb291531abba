// Layer fusion at run time: how a net lets layers do the work of their successors.
#include "doppio/net.hpp"
#include "net/format/layer_context.hpp"
#include "net/passes/liveness.hpp"
#include "net/passes/plan_fusion.hpp"

namespace doppio {

bool Net::runs_backward(const NetLayer& l) const {
  return l.needs_backward && !(liveness_ && liveness_->passes == Passes::forward);
}

/// Returns whether the params of `l` are expected to stay constant.
bool Net::is_inference(const NetLayer& l) const { return !runs_backward(l) && !shares_weights_; }

bool Net::is_fused(const NetLayer& layer) const {
  return fusion_->fused[static_cast<std::size_t>(&layer - layers_.data())] != 0;
}

/// Returns the successors whose work layer `i` may do in this pass: those of its group, up to the
/// first that must run by itself.
std::vector<Follower> Net::followers_of(std::size_t i) {
  std::vector<Follower> followers;
  if (!ctx_.fusion || ctx_.reference || debug_info_) return followers;
  const NetLayer& l = layers_[i];
  // The layer's own top is released, so it cannot be read after the pass.
  const bool given_up = liveness_ && liveness_->shared_tensors.contains(&l.tops[0]->data);
  const Blob* x = l.tops[0];
  for (const std::size_t k : fusion_->groups[i]) {
    const NetLayer& next = layers_[k];
    const Follower f = next.layer->as_follower(next.bottoms, *x);
    x = next.tops[0];
    const bool hidden = x == l.tops[0] || given_up;
    const bool passes_fit = f.norm || f.addend ? is_inference(l) && !runs_backward(next)
                                               : runs_backward(l) == runs_backward(next);
    if (!hidden || !passes_fit) break;
    with_context(layer_context(*source_, static_cast<int>(k), next.bottoms),
                 [&] { next.layer->reshape(ctx_, next.bottoms, next.tops); });
    followers.push_back(f);
  }
  return followers;
}

/// Fuses as many successors into layer `i` as the layer supports.
void Net::fuse(std::size_t i) {
  const std::vector<std::size_t>& group = fusion_->groups[i];
  if (group.empty()) return;
  const std::vector<Follower> followers = followers_of(i);
  const std::size_t last = followers.empty() ? i : group[followers.size() - 1];
  const std::size_t taken =
      layers_[i].layer->fuse(followers, layers_[last].tops, runs_backward(layers_[i]));
  ensure(taken <= followers.size(), "a layer takes more than it was offered");
  for (std::size_t n = 0; n < group.size(); ++n) fusion_->fused[group[n]] = n < taken;
  fusion_->last[i] = taken == 0 ? i : group[taken - 1];
}

}  // namespace doppio
