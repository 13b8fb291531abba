// How a net records its passes on an accelerator, and repeats them.
#include <glog/logging.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "core/accelerator.hpp"
#include "core/recording.hpp"
#include "doppio/net.hpp"
#include "net/format/layer_context.hpp"
#include "net/pass_context.hpp"
#include "net/passes/liveness.hpp"

namespace doppio {

/// A forward pass, and a backward pass if there is one.
struct Net::Recorded {
  std::vector<Index> sources;  ///< what they started from, see run_sources()
  Recording tensors;
  std::shared_ptr<void> work;
  int misfits = 0;  ///< passes in a row that it was not right for
};

float Net::forward_backward() {
  if (!ctx_.accelerator()) {
    const float loss = forward();
    backward();
    return loss;
  }
  return run_on_device(true);
}

/// A forward pass, which is recorded only if no backward pass may follow: what layers remember on
/// the host of one pass for the other would be missing.
float Net::forward_on_device() {
  const bool alone = liveness_ && liveness_->passes == Passes::forward;
  const bool inference = std::none_of(layers_.begin(), layers_.end(),
                                      [](const NetLayer& l) { return l.needs_backward; });
  if (alone || inference) return run_on_device(false);
  begin_pass();
  for (std::size_t i = 0; i < layers_.size(); ++i) run_layer(i);
  return loss();
}

float Net::run_on_device(bool backward) {
  begin_pass();
  std::vector<Index> sources = run_sources();
  sources.push_back(backward);
  just_repeated_ = repeat_pass(sources) || record_pass(sources, backward);
  if (!just_repeated_) {
    run_rest(backward);
    if (unrecorded_ >= 0) ++unrecorded_;
  }
  return loss();
}

/// Runs the layers without bottoms, which work on the host as a rule, and returns what recorded
/// passes depend on: where their tops lie on the device, and their shapes; and how many gradients
/// they are the first to write to.
std::vector<Index> Net::run_sources() {
  std::vector<Index> sources = {
      std::count_if(parameters_.begin(), parameters_.end(),
                    [](const Parameter& p) { return p.blob->grad.cleared(); })};
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (!layers_[i].bottoms.empty()) continue;
    run_layer(i);
    with_context(layer_context(*source_, static_cast<int>(i), {}), [&] {
      with_context(pass_context(*this), [&] {
        for (const Blob* top : layers_[i].tops) {
          sources.push_back(std::bit_cast<Index>(top->data.read(ctx_)));
          sources.insert(sources.end(), top->shape().dims().begin(), top->shape().dims().end());
        }
      });
    });
  }
  return sources;
}

void Net::run_rest(bool backward) {
  for (std::size_t i = 0; i < layers_.size(); ++i)
    if (!layers_[i].bottoms.empty()) run_layer(i);
  if (!backward) return;
  for (std::size_t i = layers_.size(); i-- > 0;) {
    backward_layer(i);
    if (marks_behind_[i] != kNoMark) ctx_.accelerator()->mark(marks_behind_[i]);
  }
}

/// True if a recorded pass was right for this one.
bool Net::repeat_pass(const std::vector<Index>& sources) {
  constexpr int kPatience =
      3;  // a test between two passes, say, leaves other copies of the weights
  if (!ctx_.recording || debug_info_) return false;
  const auto found = find_recorded(sources);
  if (found == recorded_.end()) return false;
  Recorded& recorded = **found;
  const Recording::Fit fit = recorded.tensors.fit();
  if (fit != Recording::Fit::now) {
    if (fit == Recording::Fit::not_now && ++recorded.misfits < kPatience) return false;
    recorded_.erase(found);
    unrecorded_ = 0;
    return false;
  }
  recorded.misfits = 0;
  ctx_.accelerator()->set_counter(ctx_.pass);
  ctx_.accelerator()->repeat(recorded.work);
  recorded.tensors.repeated();
  ++repeated_;
  return true;
}

std::vector<std::shared_ptr<Net::Recorded>>::iterator Net::find_recorded(
    const std::vector<Index>& sources) {
  return std::find_if(recorded_.begin(), recorded_.end(),
                      [&](const auto& r) { return r->sources == sources; });
}

/// Records a pass and starts it. False if it cannot be recorded, or not yet: the first passes take
/// memory and make choices.
bool Net::record_pass(const std::vector<Index>& sources, bool backward) {
  constexpr int kFirstPasses = 2;
  // Data layers show their batches in turn in a few places each.
  constexpr std::size_t kMost = 12;
  if (!ctx_.recording || debug_info_ || unrecorded_ < kFirstPasses) return false;
  if (recorded_.size() == kMost)
    std::erase_if(recorded_,
                  [](const auto& r) { return r->tensors.fit() == Recording::Fit::never; });
  if (recorded_.size() == kMost) return false;
  if (find_recorded(sources) != recorded_.end()) return false;
  Accelerator& device = *ctx_.accelerator();
  auto recorded = std::make_shared<Recorded>();
  recorded->sources = sources;
  std::string reason = "the device refused";
  try {
    device.begin_recording();
    ctx_.pass_at = device.counter();
    run_rest(backward);
  } catch (const NotRepeatable& e) {
    reason = e.what();
    unrecorded_ = -1;
  } catch (const InternalError& e) {
    // A library may refuse; if it is worse than that, the pass that follows says so.
    reason = e.what();
    unrecorded_ = -1;
  } catch (...) {
    ctx_.pass_at = nullptr;
    device.end_recording();
    recorded->tensors.undo();
    throw;
  }
  ctx_.pass_at = nullptr;
  recorded->tensors.stop();
  recorded->work = device.end_recording();
  if (unrecorded_ < 0 || !recorded->work) {
    recorded->tensors.undo();
    LOG(INFO) << "Passes of net '" << name() << "' are not captured, and so are slower: " << reason;
    unrecorded_ = -1;
    return false;
  }
  recorded_.push_back(std::move(recorded));
  device.set_counter(ctx_.pass);
  device.repeat(recorded_.back()->work);
  return true;
}

/// Forms the groups of parameters, none so small that it does not pay to start work for it beside
/// the rest of the backward pass.
void Net::find_groups() {
  constexpr Index kEnough = Index{1} << 18;
  std::vector<std::vector<std::size_t>> completed = completed_gradients();
  marks_behind_.assign(layers_.size(), kNoMark);
  std::vector<std::size_t> group;
  Index values = 0;
  for (std::size_t i = layers_.size(); i-- > 0;) {
    for (const std::size_t p : completed[i]) values += parameters_[p].blob->count();
    group.insert(group.end(), completed[i].begin(), completed[i].end());
    if (group.empty() || (values < kEnough && i > 0)) continue;
    marks_behind_[i] = gradient_groups_.size();
    gradient_groups_.push_back(std::exchange(group, {}));
    values = 0;
  }
}

/// For each layer the parameters() whose gradients are complete after its backward pass, which for
/// a shared parameter is that of the first layer.
std::vector<std::vector<std::size_t>> Net::completed_gradients() const {
  std::vector<std::size_t> runner(layers_.size());  // that runs a layer's backward pass
  std::iota(runner.begin(), runner.end(), std::size_t{0});
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const NetLayer& l = layers_[i];
    for (const int behind : {l.scale_behind, l.norm_behind, l.sum_behind, l.pool_behind})
      if (behind > static_cast<int>(i)) runner[static_cast<std::size_t>(behind)] = i;
  }
  std::vector<std::vector<std::size_t>> completed(layers_.size());
  std::size_t p = 0;  // parameters_ are in the order of the layers that own them
  for (std::size_t i = 0; i < layers_.size(); ++i)
    for (const Blob& blob : layers_[i].layer->params)
      if (p < parameters_.size() && parameters_[p].blob == &blob)
        completed[runner[i]].push_back(p++);
  ensure(p == parameters_.size(), "a parameter belongs to no layer");
  return completed;
}

}  // namespace doppio
