// How a net lets layers do the work of those behind them.
#include <algorithm>

#include "doppio/net.hpp"
#include "net/passes/liveness.hpp"

namespace doppio {

bool Net::runs_backward(const NetLayer& l) const {
  return l.needs_backward && !(liveness_ && liveness_->passes == Passes::forward);
}

/// True if the params of `l` do not change as a rule.
bool Net::is_inference(const NetLayer& l) const { return !runs_backward(l) && !shares_weights_; }

/// True if nobody can read `blob` after the pass.
bool Net::is_given_up(const Blob& blob) const {
  return liveness_ && liveness_->shared_tensors.contains(&blob.data);
}

/// Lets a layer take over those behind it, as far as it can and nobody watches them.
void Net::fuse_behind(NetLayer& l) {
  const bool allowed = ctx_.fusion && !ctx_.reference && !debug_info_;
  const bool backward = runs_backward(l);
  NetLayer* last = &l;
  if (NetLayer* scale = number(l.scale_behind); scale && allowed)
    scale->fused =
        backward == runs_backward(*scale) && l.layer->fuse_scale(*scale->layer, backward);
  if (NetLayer* norm = number(l.norm_behind)) {
    norm->fused = fuse_norm(l, *norm, allowed);
    if (norm->fused) last = norm;
  }
  if (NetLayer* sum = number(l.sum_behind)) {
    sum->fused = fuse_sum(l, *sum, allowed);
    if (sum->fused) last = sum;
  }
  if (NetLayer* pool = number(l.pool_behind)) {
    pool->fused = fuse_pool(l, *pool, allowed);
    if (pool->fused) last = pool;
  }
  if (NetLayer* relu = number(last->relu_behind))
    relu->fused = allowed && l.layer->fuse_relu(last->tops, backward);
  l.written = last->tops;
}

/// Lets `l` take over `norm` and the Scale behind that, or makes it let go of them.
bool Net::fuse_norm(NetLayer& l, NetLayer& norm, bool allowed) {
  const bool hidden = l.tops[0] == norm.tops[0] || is_given_up(*l.tops[0]);
  const bool may = allowed && hidden && is_inference(l) && !runs_backward(norm);
  if (may) {
    norm.layer->reshape(ctx_, norm.bottoms, norm.tops);
    fuse_behind(norm);
  }
  return l.layer->fuse_norm(may ? norm.layer.get() : nullptr);
}

/// Lets `l` take over `sum`, or makes it let go of it.
bool Net::fuse_sum(NetLayer& l, NetLayer& sum, bool allowed) {
  const Blob& addend = *sum.bottoms[sum.bottoms[0] == l.tops[0] ? 1 : 0];
  const NetLayer* norm = number(l.norm_behind);
  const NetLayer* scale = norm ? number(norm->scale_behind) : nullptr;
  const bool next = (!norm || norm->fused) && (!scale || scale->fused);
  const bool may = allowed && next && is_given_up(*l.tops[0]) && is_inference(l) &&
                   !runs_backward(sum) && addend.shape() == l.tops[0]->shape();
  if (may) sum.layer->reshape(ctx_, sum.bottoms, sum.tops);
  return l.layer->fuse_sum(may ? &addend.data : nullptr);
}

/// Lets `l` take over `pool`, or makes it let go of it.
bool Net::fuse_pool(NetLayer& l, NetLayer& pool, bool allowed) {
  const bool may = allowed && is_given_up(*l.tops[0]) && runs_backward(l) == runs_backward(pool);
  if (may) pool.layer->reshape(ctx_, pool.bottoms, pool.tops);
  return l.layer->fuse_pool(may ? pool.layer.get() : nullptr);
}

NetLayer* Net::number(int i) { return i < 0 ? nullptr : &layers_[static_cast<std::size_t>(i)]; }

}  // namespace doppio
