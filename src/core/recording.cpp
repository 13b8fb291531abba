#include "core/recording.hpp"

#include <map>
#include <memory>

#include "core/storage.hpp"

namespace doppio {

struct Recording::Followed {
  using Storage = Tensor::Storage;
  struct Tracked {
    std::weak_ptr<Storage> storage;
    Storage::State before, after;
    bool read_on_host = false;
  };
  std::map<Storage*, Tracked> all;

  static thread_local Followed* current;
};
thread_local Recording::Followed* Recording::Followed::current = nullptr;

void Tensor::Storage::follow(bool read_on_host) {
  if (!Recording::Followed::current) return;
  const State now = state();
  Recording::Followed::Tracked& mine =
      Recording::Followed::current->all.try_emplace(this, weak_from_this(), now, now).first->second;
  mine.read_on_host |= read_on_host;
}

Recording::Recording() : followed_(std::make_unique<Followed>()) {
  Followed::current = followed_.get();
}
Recording::~Recording() {
  if (Followed::current == followed_.get()) Followed::current = nullptr;
}

void Recording::stop() {
  Followed::current = nullptr;
  for (auto& [key, tracked] : followed_->all)
    if (const auto storage = tracked.storage.lock()) tracked.after = storage->state();
}

Recording::Fit Recording::fit() const {
  bool now = true;
  for (const auto& [key, tracked] : followed_->all) {
    const auto storage = tracked.storage.lock();
    if (!storage) return Fit::never;
    const auto state = storage->state(), &before = tracked.before, &after = tracked.after;
    if ((after.downloading && state.plain != after.plain) || !state.in_places_of(after) ||
        !after.in_places_of(before))
      return Fit::never;
    const bool same_on_host = !tracked.read_on_host || state.version == before.version;
    now = now && same_on_host && state.as_current_as(before);
  }
  return now ? Fit::now : Fit::not_now;
}

void Recording::repeated() {
  for (auto& [key, tracked] : followed_->all)
    if (const auto storage = tracked.storage.lock()) storage->repeat(tracked.before, tracked.after);
}

void Recording::undo() {
  stop();
  for (auto& [key, tracked] : followed_->all)
    if (const auto storage = tracked.storage.lock()) storage->undo(tracked.before);
}

}  // namespace doppio
