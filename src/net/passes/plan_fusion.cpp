#include "net/passes/plan_fusion.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

namespace doppio {

namespace {

bool is_loss(const NetLayer& l) {
  return std::any_of(l.loss_weights.begin(), l.loss_weights.end(), [](float w) { return w != 0; });
}

/// Finds for each layer the next layer that uses its only top.
class NextUsers {
 public:
  explicit NextUsers(const std::vector<NetLayer>& layers) : next_(layers.size()) {
    std::map<const Blob*, std::size_t> user;  // the first user after layer i
    for (std::size_t i = layers.size(); i-- > 0;) {
      const NetLayer& l = layers[i];
      if (l.tops.size() == 1 && !is_loss(l))
        if (const auto found = user.find(l.tops[0]); found != user.end()) next_[i] = found->second;
      for (const std::vector<Blob*>* blobs : {&l.bottoms, &l.tops})
        for (const Blob* blob : *blobs) user[blob] = i;
    }
  }
  std::optional<std::size_t> operator()(std::size_t layer) const { return next_[layer]; }

 private:
  std::vector<std::optional<std::size_t>> next_;
};

/// Returns whether layer `candidate`, whose work is `f`, may be next in the group of layer `first`.
bool may_join(const std::vector<NetLayer>& layers, std::size_t first,
              const std::vector<std::size_t>& group, std::size_t candidate, const Follower& f) {
  const NetLayer& l = layers[candidate];
  if (is_loss(l) || l.tops.size() != 1) return false;
  if (f.norm) return true;
  if (f.pool) return group.empty() && layers[first].traits.fuses_pooling;
  const std::size_t before = group.empty() ? first : group.back();
  if (f.addend)  // no layer in between can make or change the addend
    return layers[before].tops == layers[first].tops && candidate == first + group.size() + 1;
  return !f.empty() && l.bottoms == l.tops;
}

}  // namespace

FusionPlan plan_fusion(const std::vector<NetLayer>& layers) {
  const NextUsers next_user(layers);
  FusionPlan plan;
  plan.groups.resize(layers.size());
  plan.fused.resize(layers.size());
  plan.last.resize(layers.size());
  std::iota(plan.last.begin(), plan.last.end(), std::size_t{0});
  for (std::size_t i = 0; i < layers.size(); ++i) {
    std::vector<std::size_t>& group = plan.groups[i];
    Follower f;
    for (auto next = next_user(i); next && !f.relu; next = next_user(group.back())) {
      const NetLayer& l = layers[*next];
      f = l.layer->as_follower(l.bottoms, *layers[group.empty() ? i : group.back()].tops[0]);
      if (!may_join(layers, i, group, *next, f)) break;
      group.push_back(*next);
    }
  }
  return plan;
}

}  // namespace doppio
