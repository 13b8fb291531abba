#include "net/passes/liveness.hpp"

#include <algorithm>
#include <map>

#include "core/arena.hpp"
#include "net/passes/plan_fusion.hpp"

namespace doppio {

namespace {

/// A buffer that one or more tensors use, and the first and last step that need it.
struct Memory {
  SharedTensor shown;
  std::size_t first = 0, last = 0;
  enum { shared, lasting, parameter } kind = shared;
};

class Finder {
 public:
  explicit Finder(const Net& net) : net_(net) {
    for (const NetLayer& l : net.layers())
      for (const Blob* top : l.tops) ++makers_[top];
  }

  void find_uses(Passes passes) {
    const std::vector<NetLayer>& layers = net_.layers();
    const std::size_t steps = 2 * layers.size();
    for (std::size_t i = 0; i < layers.size(); ++i) use_forward(layers[i], i);
    if (passes == Passes::forward) return;
    for (std::size_t i = layers.size(); i-- > 0;)
      if (layers[i].needs_backward) use_backward(i, steps - 1 - i);
  }

  /// Marks tensors that must not be released after their last use.
  void keep(const std::vector<std::string>& names) {
    const auto named = [&](const std::vector<std::string>& list, const std::string& name) {
      return std::find(list.begin(), list.end(), name) != list.end();
    };
    for (const NetLayer& l : net_.layers()) {
      for (const Blob& p : l.layer->params) {
        set_kind(p.data, Memory::parameter);
        set_kind(p.grad, Memory::parameter);
      }
      for (std::size_t t = 0; t < l.tops.size(); ++t)
        if (l.traits.is_source || named(names, l.top_names[t]) ||
            named(net_.outputs(), l.top_names[t])) {
          set_kind(l.tops[t]->data, Memory::lasting);
          set_kind(l.tops[t]->grad, Memory::lasting);
        }
    }
  }

  Liveness result(Passes passes) const {
    Liveness live;
    live.passes = passes;
    live.steps.resize(2 * net_.layers().size());
    for (const Memory& m : memories_) {
      if (m.kind == Memory::lasting) live.lasting.push_back(m.shown);
      if (m.kind != Memory::shared) continue;
      live.steps[m.first].begins.push_back(live.shared.size());
      live.steps[m.last].ends.push_back(live.shared.size());
      live.shared.push_back(m.shown);
      live.shared_tensors.insert(m.shown.tensor);
    }
    return live;
  }

 private:
  void use_forward(const NetLayer& l, std::size_t step) {
    for (std::size_t b = 0; b < l.bottoms.size(); ++b)
      use_data(*l.bottoms[b], l.bottom_names[b], step);
    for (std::size_t t = 0; t < l.tops.size(); ++t) use_data(*l.tops[t], l.top_names[t], step);
  }

  void use_backward(std::size_t i, std::size_t step) {
    const NetLayer& l = net_.layers()[i];
    for (std::size_t t = 0; t < l.tops.size(); ++t) {
      use_grad(*l.tops[t], l.top_names[t], step);
      if (l.traits.backward_reads_top || is_changed_in_place(*l.tops[t]))
        use_data(*l.tops[t], l.top_names[t], step);
    }
    if (const auto& group = net_.fusion().groups[i]; l.traits.fuses_pooling && !group.empty()) {
      const NetLayer& pool = net_.layers()[group[0]];
      use_grad(*pool.tops[0], pool.top_names[0], step);
    }
    for (std::size_t b = 0; b < l.bottoms.size(); ++b) {
      if (l.wanted[b]) use_grad(*l.bottoms[b], l.bottom_names[b], step);
      if (l.traits.backward_reads_bottom) use_data(*l.bottoms[b], l.bottom_names[b], step);
    }
  }

  /// Returns whether another layer changes `top` in place. If that layer is fused into the one that
  /// makes `top`, the backward pass of the latter reads the result.
  bool is_changed_in_place(const Blob& top) const { return makers_.at(&top) > 1; }

  void use_data(Blob& blob, const std::string& name, std::size_t step) {
    use(blob.data, str("blob '", name, "'"), step);
  }
  void use_grad(Blob& blob, const std::string& name, std::size_t step) {
    use(blob.grad, str("the gradient of blob '", name, "'"), step);
  }

  void use(Tensor& tensor, std::string name, std::size_t step) {
    const auto [known, is_new] = numbers_.emplace(tensor.version(), memories_.size());
    if (is_new)
      memories_.push_back({{&tensor, std::move(name)}, step, step});
    else
      memories_[known->second].last = step;
  }

  void set_kind(const Tensor& tensor, decltype(Memory::kind) kind) {
    const auto known = numbers_.find(tensor.version());
    if (known == numbers_.end()) return;
    Memory& memory = memories_[known->second];
    if (memory.kind != Memory::parameter) memory.kind = kind;
  }

  const Net& net_;
  std::map<const Blob*, int> makers_;  // number of layers with the blob as a top
  std::vector<Memory> memories_;
  std::map<std::uint64_t, std::size_t> numbers_;  // keyed by version(), which views share
};

}  // namespace

Liveness find_lifetimes(const Net& net, Passes passes, const std::vector<std::string>& keep) {
  Finder finder(net);
  finder.find_uses(passes);
  finder.keep(keep);
  return finder.result(passes);
}

Index arena_bytes(const Net& net, const Liveness& live) {
  std::set<const Tensor*> skipped;
  for (std::size_t i = 0; i < net.layers().size(); ++i)
    if (net.fusion().skips_top(net.layers(), i)) {
      const Blob& top = *net.layers()[i].tops[0];
      skipped.insert({&top.data, &top.grad});
    }
  const auto bytes = [&](const Tensor& tensor) {
    return skipped.contains(&tensor) ? 0 : static_cast<std::size_t>(tensor.bytes());
  };
  Placement placement;
  std::vector<std::size_t> at(live.shared.size());
  for (const Liveness::Step& step : live.steps) {
    for (const std::size_t s : step.begins) at[s] = placement.take(bytes(*live.shared[s].tensor));
    for (const std::size_t s : step.ends) placement.give_back(at[s]);
  }
  return static_cast<Index>(placement.peak());
}

}  // namespace doppio
