// How a net records its passes on an accelerator, and repeats them.
#include <glog/logging.h>

#include <algorithm>
#include <bit>

#include "core/accelerator.hpp"
#include "core/recording.hpp"
#include "doppio/net.hpp"
#include "net/explained.hpp"
#include "net/liveness.hpp"
#include "net/located.hpp"

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
  if (marks_.empty()) find_marks();
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
/// passes depend on: where their tops lie on the device, and their shapes.
std::vector<Index> Net::run_sources() {
  std::vector<Index> sources;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (!layers_[i].bottoms.empty()) continue;
    run_layer(i);
    located(*source_, static_cast<int>(i), {}, [&] {
      explained(*this, [&] {
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
  constexpr std::size_t kMost = 8;  // a data layer shows its batches in turn in a few places
  if (!ctx_.recording || debug_info_ || unrecorded_ < kFirstPasses) return false;
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
    VLOG(1) << "Passes of net '" << name() << "' are not repeated: " << reason;
    unrecorded_ = -1;
    return false;
  }
  if (recorded_.size() == kMost) recorded_.erase(recorded_.begin());
  recorded_.push_back(std::move(recorded));
  device.set_counter(ctx_.pass);
  device.repeat(recorded_.back()->work);
  return true;
}

/// Sets marks behind the layers with so many parameters that it pays to update them beside the rest
/// of the backward pass; the others wait for its end.
void Net::find_marks() {
  constexpr Index kMany = Index{1} << 18;
  const std::size_t end = layers_.size();  // as a layer's number: the pass's end is layer 0's
  std::vector<std::size_t> last_layer;     // of each parameter: whose backward pass completes it
  marks_behind_.assign(end, kNoMark);
  for (const Parameter& p : parameters_) {
    std::size_t last = end;
    for (std::size_t i = end; i-- > 0;)
      for (const Blob& blob : layers_[i].layer->params)
        if (blob.grad.shares_memory_with(p.blob->grad)) last = i;
    // A layer that does others' work comes before them.
    for (std::size_t i = 0; i < last && last < end; ++i) {
      const NetLayer& l = layers_[i];
      for (const int behind : {l.scale_behind, l.norm_behind, l.sum_behind, l.pool_behind})
        if (behind == static_cast<int>(last)) last = i;
    }
    last_layer.push_back(p.blob->count() >= kMany && last < end ? last : 0);
    marks_behind_[last_layer.back()] = 0;
  }
  marks_behind_[0] = 0;
  std::size_t number = 0;
  for (std::size_t& mark : marks_behind_)
    if (mark != kNoMark) mark = number++;
  for (const std::size_t last : last_layer) marks_.push_back(marks_behind_[last]);
}

void Net::begin_side(std::size_t i) { ctx_.accelerator()->begin_side(marks_.at(i)); }

}  // namespace doppio
