// The watch of a process group over its ranks, and the end of all if one fails.
#include <glog/logging.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "distributed/process_group.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

using namespace std::chrono_literals;

/// Returns whether a process of this machine has ended. Its parent may not have noticed yet.
bool has_ended(std::int64_t pid) {
  if (::kill(static_cast<pid_t>(pid), 0) != 0) return errno == ESRCH;
  std::ifstream file(str("/proc/", pid, "/stat"));
  std::string stat;
  if (!std::getline(file, stat)) return true;
  const std::size_t end_of_name = stat.rfind(')');
  return end_of_name + 2 < stat.size() &&
         (stat[end_of_name + 2] == 'Z' || stat[end_of_name + 2] == 'X');
}

template <class Value>
std::span<std::byte> bytes_of(Value& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

}  // namespace

void ProcessGroup::listen(int rank) {
  Peer& peer = peers_[static_cast<std::size_t>(rank)];
  const Transport::Request request =
      transport_->receive(rank, kControlTag, bytes_of(peer.incoming));
  messages_[request] = {nullptr,
                        [this, rank, &peer] {
    peer.heard = Clock::now();
    if (peer.incoming.kind == Control::kFailed) {
      {
        const std::lock_guard lock(mutex_);
        others_failed_ = true;
        changed_.notify_all();
      }
      std::this_thread::sleep_for(200ms);  // lets other threads of this process finish log lines
      std::_Exit(peer.incoming.exit_code);
    }
    peer.left = peer.incoming.kind == Control::kLeaving;
    if (!peer.left) listen(rank);
                        }};
}

void ProcessGroup::tell(int rank, const Control& control) {
  Peer& peer = peers_[static_cast<std::size_t>(rank)];
  if (peer.sending && control.kind == Control::kHeartbeat) return;  // the last one has not arrived
  peer.outgoing = control;
  peer.sending = true;
  messages_[transport_->send(rank, kControlTag, bytes_of(peer.outgoing))] = {
      nullptr, [&peer] { peer.sending = false; }};
}

void ProcessGroup::watch() {
  const Clock::time_point now = Clock::now(), before = std::exchange(watched_, now);
  // If this process was stopped, or the machine slept, the silence says nothing about the others.
  if (now - before > 2s + 10 * kIdle)
    for (Peer& peer : peers_) peer.heard = now;
  if (now - beat_ > std::min<Clock::duration>(1s, options_.timeout / 4)) {
    beat_ = now;
    for (int rank = 0; rank < size_; ++rank)
      if (rank != rank_) tell(rank, {});
  }
  std::vector<int> ended, silent;
  for (int rank = 0; rank < size_; ++rank) {
    const Peer& peer = peers_[static_cast<std::size_t>(rank)];
    if (rank == rank_ || peer.left) continue;
    if (member(rank).local && has_ended(member(rank).pid)) ended.push_back(rank);
    if (now - peer.heard > options_.timeout) silent.push_back(rank);
  }
  if (!ended.empty()) lose(ended, "has ended");
  if (!silent.empty())
    lose(silent, str("has not answered for ",
                     std::chrono::duration<double>(options_.timeout).count(), " s"));
}

/// Ends the run because ranks are lost. The first rank that is left says so.
void ProcessGroup::lose(const std::vector<int>& lost, const std::string& why) {
  int first = 0;
  while (std::find(lost.begin(), lost.end(), first) != lost.end()) ++first;
  if (first == rank_) {
    std::string names;
    for (const int rank : lost) names += (names.empty() ? "" : ", ") + name(rank);
    const std::lock_guard lock(mutex_);
    LOG(ERROR) << names << ' ' << why
               << (iteration_ < 0 ? ", before the first iteration"
                                  : str(", at iteration ", iteration_))
               << "; the run ends" << (advice_.empty() ? "" : ". ") << advice_;
  }
  fail(options_.exit_code);
}

void ProcessGroup::fail(int exit_code) {
  const auto end = [this, exit_code] {
    for (int rank = 0; rank < size_; ++rank)
      if (rank != rank_ && !peers_[static_cast<std::size_t>(rank)].left)
        tell(rank, {Control::kFailed, exit_code});
    // Abort may hang, if a host cannot be reached.
    std::thread([exit_code] {
      std::this_thread::sleep_for(5s);
      std::_Exit(exit_code);
    }).detach();
    for (const auto until = Clock::now() + 500ms; Clock::now() < until;) {
      complete_.clear();
      transport_->poll(complete_);
      std::this_thread::sleep_for(kShortestNap);
    }
    transport_->abort(exit_code);
    std::_Exit(exit_code);
  };
  if (std::this_thread::get_id() == thread_.get_id()) return end();
  {
    const std::lock_guard lock(mutex_);
    if (failed_) std::_Exit(exit_code);  // the group's thread has ended
  }
  const Handle work = make_work();
  post(work, end);
  work->wait();
}

bool ProcessGroup::has_failed(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return others_failed_; });
}

}  // namespace doppio
