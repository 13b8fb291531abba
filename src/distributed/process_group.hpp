#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "distributed/transport.hpp"

namespace doppio {

/// A process of a run.
struct Member {
  std::string host;
  std::int64_t pid = 0;
  /// True if it runs on this machine, where its end can be seen.
  bool local = false;
};

/// The processes that train together, as in torch.distributed: their messages, and the watch over
/// them.
///
/// One thread per process owns the transport. It polls and sleeps in between, since a thread that
/// waits inside MPI would take a core from the computation. It also sends a heartbeat to every
/// other rank. A rank that has ended, or from which nothing has been heard for `timeout`, ends the
/// run: the thread logs which one and where, tells the others, and ends this process with
/// `exit_code`, whatever the other threads do.
///
/// Collective functions must be called by all ranks in the same order.
class ProcessGroup {
 public:
  struct Options {
    std::chrono::milliseconds timeout{60'000};
    int exit_code = 76;
  };
  using Connect = std::function<std::unique_ptr<Transport>()>;

  /// Connects to the others, on the group's thread. Throws: Error.
  ProcessGroup(const Connect& connect, const Options& options);
  /// Waits for the other ranks to get here, too, and disconnects.
  ~ProcessGroup();
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  const Member& member(int rank) const { return members_.at(static_cast<std::size_t>(rank)); }
  /// "rank 3 (b, pid 123)".
  std::string name(int rank) const;
  /// "Open MPI v4.1.4".
  const std::string& version() const { return version_; }

  /// Collective: returns the texts of all ranks in their order.
  std::vector<std::string> all_gather(const std::string& text);
  /// The same for a value that can be copied byte by byte and has the same size on all ranks.
  template <class Value>
  std::vector<Value> all_gather_value(const Value& value) {
    std::vector<Value> all(static_cast<std::size_t>(size_));
    all_gather_bytes(std::as_bytes(std::span(&value, 1)), std::as_writable_bytes(std::span(all)));
    return all;
  }
  /// Collective: returns the sums of the ranks' values, added in the order of the ranks.
  std::vector<double> sum(const std::vector<double>& values);
  /// Collective: returns rank 0's text.
  std::string broadcast(const std::string& text);
  /// Collective: replaces the floats by those of rank `rank() % stride`, by default rank 0's.
  void broadcast(std::span<float> values, int stride = 1);
  /// Collective: waits until all ranks have called it.
  void barrier() { all_gather_value('\0'); }

  struct Outgoing {
    int to;
    std::span<const float> values;
  };
  struct Incoming {
    int from;
    std::span<float> values;
  };
  /// Sends and receives, and returns when everything has arrived. Not collective: only the ranks
  /// that are named make such calls, in the same order.
  void exchange(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming);

  /// Work that is posted to the group's thread and ends when all its messages have arrived.
  class Work {
   public:
    /// Blocks until the work is done. Adds the time to seconds_waited(). Throws: Error if the group
    /// has failed.
    void wait();

   private:
    friend class ProcessGroup;
    ProcessGroup* group = nullptr;
    std::size_t left = 0;  // messages and calls; guarded by the group's mutex
  };
  using Handle = std::shared_ptr<Work>;

  Handle make_work();
  /// Runs `call` on the group's thread, as a part of `work`.
  void post(const Handle& work, std::function<void()> call);
  /// For calls on the group's thread: start messages that are parts of `work`, followed by `then`.
  void send(const Handle& work, int to, int tag, std::span<const std::byte> bytes,
            std::function<void()> then = {});
  void receive(const Handle& work, int from, int tag, std::span<std::byte> bytes,
               std::function<void()> then = {});
  void all_reduce_sum(const Handle& work, std::span<float> values, std::function<void()> then = {});

  /// Bytes that were sent to other ranks, or added up by all of them.
  std::size_t bytes_sent() const { return bytes_sent_; }
  /// Seconds that threads have spent in Work::wait().
  double seconds_waited() const { return seconds_waited_; }
  /// Sets what the message about a lost rank says in addition.
  void set_progress(int iteration, const std::string& advice);

  /// Tells all other ranks that this one has failed, and ends their processes with `exit_code`. The
  /// caller has logged why. Returns when they have been told, or after a second.
  void fail(int exit_code);
  /// Returns whether another rank says within `patience` that it has failed. Then the group's
  /// thread ends this process.
  bool has_failed(std::chrono::milliseconds patience);

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int kCollectiveTags = 1024;  // tags of collective calls; senders use larger ones
  static constexpr int kExchangeTag = 32766;
  static constexpr int kControlTag = 32767;
  static constexpr std::chrono::microseconds kShortestNap{50};
  static constexpr std::chrono::milliseconds kIdle{
      100};  // between polls if no message is in flight

  /// A message that each rank sends to every other, again and again.
  struct Control {
    enum Kind : std::int32_t { kHeartbeat, kFailed, kLeaving } kind = kHeartbeat;
    std::int32_t exit_code = 0;
  };
  struct Peer {
    Control incoming, outgoing;
    bool sending = false;  // outgoing is in flight
    bool left = false;     // nothing more will be heard
    Clock::time_point heard;
  };

  void serve(const Connect& connect);
  void introduce();
  void leave();
  bool run_posted();
  bool complete_messages();
  void sleep(bool progress);
  void started(const Handle& work, Transport::Request request, std::function<void()> then);
  void finish_part(const Handle& work);
  void listen(int rank);
  void tell(int rank, const Control& control);
  void watch();
  void lose(const std::vector<int>& lost, const std::string& why);
  void all_gather_bytes(std::span<const std::byte> mine, std::span<std::byte> all);
  int next_tag();

  const Options options_;
  int rank_ = 0, size_ = 1;
  std::string version_;
  std::vector<Member> members_;
  int tag_ = 0;  // of the last collective call

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> posted_;
  std::exception_ptr failed_;
  std::string advice_;
  int iteration_ = -1;
  bool connected_ = false, leaving_ = false, told_ = false, others_failed_ = false;
  std::atomic<double> seconds_waited_ = 0;
  std::atomic<std::size_t> bytes_sent_ = 0;

  // Used only by the group's thread.
  struct Message {
    Handle work;
    std::function<void()> then;
  };
  std::unique_ptr<Transport> transport_;
  std::unordered_map<Transport::Request, Message> messages_;
  std::vector<Transport::Request> complete_;
  std::size_t in_flight_ = 0;  // messages that are part of some work
  std::vector<Peer> peers_;
  Clock::time_point watched_, beat_;
  std::chrono::microseconds nap_{0};

  std::thread thread_;  // declared last, because it uses the other members
};

}  // namespace doppio
