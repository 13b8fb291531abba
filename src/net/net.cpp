#include "doppio/net.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/accelerator.hpp"
#include "core/arena.hpp"
#include "core/at.hpp"
#include "core/peers.hpp"
#include "net/debug_info.hpp"
#include "net/format/blob_io.hpp"
#include "net/format/layer_context.hpp"
#include "net/gradient_groups.hpp"
#include "net/graph_replay.hpp"
#include "net/pass_context.hpp"
#include "net/passes/liveness.hpp"
#include "net/passes/passes.hpp"
#include "net/passes/plan_fusion.hpp"
#include "net/passes/shard_data_layer.hpp"

namespace doppio {

namespace {

NetState state_of(Phase phase) {
  NetState state;
  state.set_phase(phase);
  return state;
}

SourcedNet in_memory(const NetParameter& param) {
  SourcedNet source;
  source.net = param;
  return upgrade(std::move(source));
}

/// Fills `tensor` with `value`, unless it already was filled and nothing has written to it since.
void fill_once(Tensor& tensor, float value, std::pair<std::uint64_t, Index>& filled) {
  if (filled == std::pair(tensor.version(), tensor.count())) return;
  std::fill_n(tensor.write_host(), tensor.count(), value);
  filled = {tensor.version(), tensor.count()};
}

}  // namespace

Net::Net(Context& ctx, const std::string& prototxt_file, const NetState& state) : ctx_(ctx) {
  build(read_prototxt(prototxt_file), state);
}
Net::Net(Context& ctx, const std::string& prototxt_file, Phase phase)
    : Net(ctx, prototxt_file, state_of(phase)) {}
Net::Net(Context& ctx, const NetParameter& param, const NetState& state) : ctx_(ctx) {
  build(in_memory(param), state);
}
Net::Net(Context& ctx, SourcedNet source, const NetState& state, const Shard& shard)
    : ctx_(ctx), shard_(shard) {
  build(std::move(source), state);
}
Net::~Net() = default;

void Net::build(SourcedNet source, const NetState& asked) {
  phase_ = asked.phase();
  NetState state = asked;
  state.mutable_stage()->MergeFrom(source.net.state().stage());
  *source.net.mutable_state() = state;
  const ChannelPart part =
      ctx_.peers ? ChannelPart{ctx_.peers->part(), ctx_.peers->parts()} : ChannelPart{};
  source_ = std::make_unique<SourcedNet>(
      insert_splits(cut(average_views(filter(std::move(source), state)), part)));
  if (source_->net.layer_size() == 0)
    throw PhaseError(str("no layer is left for phase ", Phase_Name(phase_)), {source_->file, 0, 0});
  const Graph graph = build_graph(*source_, ctx_.device());
  for (const std::string& name : graph.blobs)
    if (blobs_.emplace(name, std::make_unique<Blob>()).second) blob_names_.push_back(name);
  for (const int b : graph.inputs) inputs_.push_back(at(graph.blobs, b));
  for (const int b : graph.outputs) outputs_.push_back(at(graph.blobs, b));
  make_layers(graph);
  replay_ = std::make_unique<GraphReplay>(ctx_, name());
  fusion_ = std::make_unique<FusionPlan>(plan_fusion(layers_));
  reshape();
  set_up_parameters(graph);
  gradient_groups_ =
      std::make_unique<GradientGroups>(find_gradient_groups(layers_, parameters_, fusion_->groups));
  for (NetLayer& l : layers_)
    for (std::size_t t = 0; t < l.tops.size(); ++t)
      if (l.loss_weights[t] != 0) l.tops[t]->data.pin(ctx_);
  debug_info_ = source_->net.debug_info();
}

/// Constructs every layer. Errors in their parameters are reported together.
void Net::make_layers(const Graph& graph) {
  Problems problems;
  for (int i = 0; i < source_->net.layer_size(); ++i) {
    const LayerParameter& param = source_->net.layer(i);
    const GraphLayer& node = at(graph.layers, i);
    NetLayer& layer = layers_.emplace_back();
    layer.name = param.name();
    layer.type = param.type();
    layer.traits = node.traits;
    layer.loss_weights = node.loss_weights;
    const auto resolve = [&](const std::vector<int>& indices, auto& names, auto& blobs) {
      for (const int b : indices) {
        names.push_back(at(graph.blobs, b));
        blobs.push_back(blobs_.at(names.back()).get());
      }
    };
    resolve(node.bottoms, layer.bottom_names, layer.bottoms);
    resolve(node.tops, layer.top_names, layer.tops);
    try {
      with_context(layer_context(*source_, i, {}), [&] {
        layer.layer = LayerRegistry::instance()
                          .find(param.type(), ctx_.device())
                          .make(shard_.count > 1 || shard_.local > 1
                                    ? shard_data_layer(param, layer.traits, shard_)
                                    : param);
      });
    } catch (const Error& e) {
      problems.add(e);
    }
  }
  problems.throw_if_any();
}

void Net::reshape() {
  replay_->reset();
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    NetLayer& l = layers_[i];
    ctx_.part = part_of(i);
    with_context(layer_context(*source_, static_cast<int>(i), l.bottoms),
                 [&] { l.layer->reshape(ctx_, l.bottoms, l.tops); });
  }
}

float Net::forward() {
  if (ctx_.accelerator()) return run_on_device(false);
  begin_pass();
  double loss = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) loss += static_cast<double>(forward_layer(i));
  return static_cast<float>(loss);
}

void Net::begin_pass() {
  ctx_.pass = passes_++;
  ctx_.shard = shard_;
  replayed_ = false;
  release_blobs();
}

float Net::forward_layer(std::size_t i) {
  run_layer(i);
  const float loss = loss_of(i);
  release_after(i);
  return loss;
}

/// Runs a forward pass of layer `i` without waiting for the device.
void Net::run_layer(std::size_t i) {
  NetLayer& l = layers_[i];
  ctx_.part = part_of(i);
  if (!is_fused(l))
    with_context(layer_context(*source_, static_cast<int>(i), l.bottoms), [&] {
      l.layer->inference = is_inference(l);
      l.layer->reshape(ctx_, l.bottoms, l.tops);
      fuse(i);
      if (fusion_->skips_top(layers_, i)) l.tops[0]->data.mark_unavailable();
      with_context(pass_context(*this), [&] {
        l.layer->forward(ctx_, l.bottoms, layers_[fusion_->last[i]].tops);
        if (!ctx_.accelerator()) l.layer->verify(ctx_, l.bottoms);
      });
    });
  for (std::size_t t = 0; t < l.tops.size(); ++t)
    if (l.loss_weights[t] != 0) l.tops[t]->data.prefetch_to_host(ctx_);
  if (debug_info_) log_forward(l);
  if (i + 1 == layers_.size()) backward_allowed_ = true;
}

/// Returns layer `i`'s part of the loss. Throws: Error if verify() explains a non-finite value.
float Net::loss_of(std::size_t i) {
  NetLayer& l = layers_[i];
  double loss = 0;
  for (std::size_t t = 0; t < l.tops.size(); ++t) {
    if (l.loss_weights[t] == 0) continue;
    const float* value = l.tops[t]->data.read_host();
    for (Index k = 0; k < l.tops[t]->count(); ++k)
      loss += static_cast<double>(l.loss_weights[t]) * value[k];
  }
  if (!std::isfinite(loss))
    with_context(layer_context(*source_, static_cast<int>(i), l.bottoms), [&] {
      with_context(pass_context(*this), [&] { l.layer->verify(ctx_, l.bottoms); });
    });
  return static_cast<float>(loss);
}

float Net::loss() {
  double loss = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) loss += static_cast<double>(loss_of(i));
  return static_cast<float>(loss);
}

void Net::backward() {
  ensure(!replayed_, "a backward pass needs a forward() of its own before it");
  for (std::size_t i = layers_.size(); i-- > 0;) {
    backward_layer(i);
    const auto group = gradient_groups_->completed_by[i];
    if (group && gradient_hook_ && !debug_info_) gradient_hook_(*group);
  }
  if (!debug_info_) return;
  log_totals(parameters_);  // before the hook changes them
  for (std::size_t g = 0; g < gradient_groups_->groups.size() && gradient_hook_; ++g)
    gradient_hook_(g);
}

void Net::backward_layer(std::size_t i) {
  NetLayer& l = layers_[i];
  ctx_.part = part_of(i);
  if (liveness_ && i + 1 == layers_.size()) begin_backward();
  if (l.needs_backward && !is_fused(l)) {
    for (std::size_t t = 0; t < l.tops.size(); ++t)
      if (Tensor& grad = l.tops[t]->grad; l.loss_weights[t] != 0)
        fill_once(grad, l.loss_weights[t], filled_[&grad]);
    with_context(layer_context(*source_, static_cast<int>(i), l.bottoms), [&] {
      with_context(pass_context(*this), [&] {
        l.layer->backward(ctx_, layers_[fusion_->last[i]].tops, {l.wanted.get(), l.bottoms.size()},
                          l.bottoms);
      });
    });
    if (debug_info_) log_backward(l);
  }
  release_after(2 * layers_.size() - 1 - i);
}

/// Checks that the memory a backward pass needs is still held. For nets that save memory.
void Net::begin_backward() {
  require(liveness_->passes == Passes::forward_and_backward, "net '", name(),
          "' saves memory for forward passes only; for a backward pass call ",
          "save_memory(Passes::forward_and_backward)");
  require(std::exchange(backward_allowed_, false), "net '", name(),
          "' saves memory, so a backward pass needs a forward pass of its own before it");
}

void Net::save_memory(Passes passes, const std::vector<std::string>& keep,
                      std::shared_ptr<Arena> arena) {
  for (const std::string& blob : keep) this->blob(blob);
  if (ctx_.accelerator())
    arena = nullptr;  // memory is not shared, but fused layers may skip tops
  else if (!arena)
    arena = std::make_shared<Arena>();
  replay_->reset();
  liveness_ = std::make_unique<Liveness>(find_lifetimes(*this, passes, keep));
  for (SharedTensor& shared : liveness_->shared) shared.tensor->use_arena(arena, shared.name);
  backward_allowed_ = false;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    NetLayer& l = layers_[i];
    l.layer->inference = is_inference(l);
    if (is_fused(l)) continue;
    l.layer->reshape(ctx_, l.bottoms, l.tops);  // this and fusion change the layers' buffers
    fuse(i);
  }
}

void Net::release_blobs() {
  if (!liveness_) return;
  for (SharedTensor& shared : liveness_->shared) shared.tensor->release();
  backward_allowed_ = false;
}

void Net::release_after(std::size_t step) {
  if (!liveness_) return;
  for (const std::size_t s : liveness_->steps[step].ends) liveness_->shared[s].tensor->release();
}

void Net::clear_grads() {
  for (Parameter& p : parameters_) p.blob->grad.zero_lazily();
}

const std::string& Net::name() const { return source_->net.name(); }

bool Net::has_blob(const std::string& name) const { return blobs_.contains(name); }

Blob& Net::blob(const std::string& name) {
  const auto it = blobs_.find(name);
  require(it != blobs_.end(), "net '", this->name(), "' has no blob '", name, "'",
          did_you_mean(name, blob_names_));
  return *it->second;
}

const std::vector<std::string>& Net::blob_names() const { return blob_names_; }

NetLayer& Net::layer(const std::string& name) {
  std::vector<std::string> names;
  for (NetLayer& l : layers_) {
    if (l.name == name) return l;
    names.push_back(l.name);
  }
  throw Error(str("net '", this->name(), "' has no layer '", name, "'", did_you_mean(name, names)));
}

float Net::loss_weight(const std::string& name) const {
  for (auto l = layers_.rbegin(); l != layers_.rend(); ++l)
    for (std::size_t t = 0; t < l->tops.size(); ++t)
      if (l->top_names[t] == name) return l->loss_weights[t];
  return 0;
}

}  // namespace doppio
