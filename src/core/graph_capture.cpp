#include "core/graph_capture.hpp"

#include <map>
#include <memory>

#include "core/storage.hpp"

namespace doppio {

struct GraphCapture::Tensors {
  struct Tracked {
    std::weak_ptr<Storage> storage;
    Storage::State before, after;
    bool read_on_host = false;
  };
  std::map<Storage*, Tracked> all;

  static thread_local Tensors* current;
};
thread_local GraphCapture::Tensors* GraphCapture::Tensors::current = nullptr;

void Storage::track(bool read_on_host) {
  GraphCapture::Tensors* const tensors = GraphCapture::Tensors::current;
  if (!tensors) return;
  const State now = state();
  tensors->all.try_emplace(this, weak_from_this(), now, now).first->second.read_on_host |=
      read_on_host;
}

GraphCapture::GraphCapture() : tensors_(std::make_unique<Tensors>()) {
  Tensors::current = tensors_.get();
}
GraphCapture::~GraphCapture() {
  if (Tensors::current == tensors_.get()) Tensors::current = nullptr;
}

void GraphCapture::stop() {
  Tensors::current = nullptr;
  for (auto& [key, tracked] : tensors_->all)
    if (const auto storage = tracked.storage.lock()) tracked.after = storage->state();
}

GraphCapture::Replayable GraphCapture::replayable() const {
  bool now = true;
  for (const auto& [key, tracked] : tensors_->all) {
    const auto storage = tracked.storage.lock();
    if (!storage) return Replayable::never;
    const auto state = storage->state(), &before = tracked.before, &after = tracked.after;
    if ((after.downloading && state.host != after.host) || !state.in_places_of(after) ||
        !after.in_places_of(before))
      return Replayable::never;
    const bool same_on_host = !tracked.read_on_host || state.version == before.version;
    now = now && same_on_host && state.as_current_as(before);
  }
  return now ? Replayable::now : Replayable::not_now;
}

void GraphCapture::mark_replayed() {
  for (auto& [key, tracked] : tensors_->all)
    if (const auto storage = tracked.storage.lock()) storage->replay(tracked.before, tracked.after);
}

void GraphCapture::undo() {
  stop();
  for (auto& [key, tracked] : tensors_->all)
    if (const auto storage = tracked.storage.lock()) storage->undo(tracked.before);
}

}  // namespace doppio
