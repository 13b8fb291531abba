#include "distributed/process_group.hpp"

#include <omp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "doppio/error.hpp"

namespace doppio {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::microseconds kLongestNap = 500us;

/// What a process tells the others about itself.
struct Introduction {
  char host[256] = "";
  char machine[64] = "";  // of its kernel and process ids
  std::int64_t pid = 0;
};

Introduction own_introduction() {
  Introduction self;
  gethostname(self.host, sizeof self.host - 1);
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  std::error_code unknown;
  boot += std::filesystem::read_symlink("/proc/self/ns/pid", unknown).string();
  std::strncpy(self.machine, boot.c_str(), sizeof self.machine - 1);
  self.pid = getpid();
  return self;
}

}  // namespace

ProcessGroup::ProcessGroup(const Connect& connect, const Options& options) : options_(options) {
  thread_ = std::thread([this, connect] { serve(connect); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return connected_ || failed_; });
  if (!failed_) return;
  lock.unlock();
  thread_.join();
  std::rethrow_exception(failed_);
}

ProcessGroup::~ProcessGroup() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::string ProcessGroup::name(int rank) const {
  const Member& m = member(rank);
  return str("rank ", rank, " (", m.host, ", pid ", m.pid, ")");
}

void ProcessGroup::set_progress(int iteration, const std::string& advice) {
  const std::lock_guard lock(mutex_);
  iteration_ = iteration;
  advice_ = advice;
}

// ---- Work ----

ProcessGroup::Handle ProcessGroup::make_work() {
  auto work = std::make_shared<Work>();
  work->group = this;
  return work;
}

void ProcessGroup::Work::wait() {
  const auto begin = Clock::now();
  std::unique_lock lock(group->mutex_);
  group->changed_.wait(lock, [&] { return left == 0 || group->failed_; });
  group->seconds_waited_ =
      group->seconds_waited_ + std::chrono::duration<double>(Clock::now() - begin).count();
  if (group->failed_) std::rethrow_exception(group->failed_);
}

void ProcessGroup::post(const Handle& work, std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    ++work->left;
    posted_.push_back([this, work, call = std::move(call)] {
      call();
      finish_part(work);
    });
  }
  changed_.notify_all();
}

void ProcessGroup::finish_part(const Handle& work) {
  const std::lock_guard lock(mutex_);
  if (--work->left == 0) changed_.notify_all();
}

void ProcessGroup::started(const Handle& work, Transport::Request request,
                           std::function<void()> then) {
  {
    const std::lock_guard lock(mutex_);
    ++work->left;
  }
  ++in_flight_;
  messages_[request] = {work, std::move(then)};
}

void ProcessGroup::send(const Handle& work, int to, int tag, std::span<const std::byte> bytes,
                        std::function<void()> then) {
  bytes_sent_ += bytes.size();
  started(work, transport_->send(to, tag, bytes), std::move(then));
}
void ProcessGroup::receive(const Handle& work, int from, int tag, std::span<std::byte> bytes,
                           std::function<void()> then) {
  started(work, transport_->receive(from, tag, bytes), std::move(then));
}
void ProcessGroup::all_reduce_sum(const Handle& work, std::span<float> values,
                                  std::function<void()> then) {
  bytes_sent_ += values.size_bytes();
  started(work, transport_->all_reduce_sum(values), std::move(then));
}

// ---- The group's thread ----

void ProcessGroup::serve(const Connect& connect) {
  omp_set_num_threads(1);                   // the other threads are the computation's
  prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);  // ns
  try {
    transport_ = connect();
    introduce();
    while (true) {
      bool progress = run_posted();
      progress = complete_messages() || progress;
      if (Clock::now() - watched_ > kIdle) watch();
      {
        const std::lock_guard lock(mutex_);
        if (leaving_ && posted_.empty() && in_flight_ == 0) break;
      }
      sleep(progress);
    }
    leave();
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failed_ = std::current_exception();
    changed_.notify_all();
  }
}

/// Learns who the others are, before the constructor returns.
void ProcessGroup::introduce() {
  rank_ = transport_->rank();
  size_ = transport_->size();
  version_ = transport_->version();
  const Introduction self = own_introduction();
  std::vector<Introduction> all(static_cast<std::size_t>(size_));
  all[static_cast<std::size_t>(rank_)] = self;
  std::size_t left = 0;
  for (int rank = 0; rank < size_; ++rank) {
    if (rank == rank_) continue;
    left += 2;
    transport_->receive(rank, kControlTag,
                        std::as_writable_bytes(std::span(&all[static_cast<std::size_t>(rank)], 1)));
    transport_->send(rank, kControlTag, std::as_bytes(std::span(&self, 1)));
  }
  while (left > 0) {
    complete_.clear();
    transport_->poll(complete_);
    left -= complete_.size();
    std::this_thread::sleep_for(kShortestNap);
  }
  for (const Introduction& other : all)
    members_.push_back({other.host, other.pid, std::string_view(other.machine) == self.machine});
  peers_.resize(members_.size());
  watched_ = beat_ = Clock::now();
  for (int rank = 0; rank < size_; ++rank) {
    peers_[static_cast<std::size_t>(rank)].heard = watched_;
    if (rank != rank_) listen(rank);
  }
  const std::lock_guard lock(mutex_);
  connected_ = true;
  changed_.notify_all();
}

void ProcessGroup::leave() {
  for (int rank = 0; rank < size_; ++rank)
    if (rank != rank_) tell(rank, {Control::kLeaving, 0});
  const auto sending = [&] {
    return std::any_of(peers_.begin(), peers_.end(), [](const Peer& p) { return p.sending; });
  };
  for (const auto until = Clock::now() + 1s; sending() && Clock::now() < until;) {
    complete_messages();
    std::this_thread::sleep_for(kShortestNap);
  }
  transport_->finish();
}

bool ProcessGroup::run_posted() {
  std::deque<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    calls.swap(posted_);
  }
  for (const auto& call : calls) call();
  return !calls.empty();
}

bool ProcessGroup::complete_messages() {
  complete_.clear();
  transport_->poll(complete_);
  for (const Transport::Request request : complete_) {
    const auto at = messages_.find(request);
    const Message message = std::move(at->second);
    messages_.erase(at);
    if (message.then) message.then();
    if (!message.work) continue;
    --in_flight_;
    finish_part(message.work);
  }
  return !complete_.empty();
}

/// Sleeps until there may be more to do: briefly while messages are in flight.
void ProcessGroup::sleep(bool progress) {
  if (progress) {
    nap_ = kShortestNap;
    return;
  }
  std::unique_lock lock(mutex_);
  if (in_flight_ == 0) {
    changed_.wait_for(lock, kIdle, [&] { return !posted_.empty() || leaving_; });
  } else if (posted_.empty()) {
    changed_.wait_for(lock, nap_, [&] { return !posted_.empty(); });
    nap_ = std::min(kLongestNap, nap_ * 5 / 4);
  }
}

}  // namespace doppio
