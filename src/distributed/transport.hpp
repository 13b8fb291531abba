#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace doppio {

/// Moves bytes between the processes of a run. Each has a rank from 0 to size() - 1.
///
/// Implemented over MPI (mpi_transport.cpp) by modules that are loaded at run time, because MPI
/// libraries have no common binary interface. All functions are called by one thread. Those that
/// start something return at once; poll() says what has been completed.
class Transport {
 public:
  /// Number of a message in flight, unique among those.
  using Request = std::size_t;

  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Name and version of the library: "Open MPI v4.1.4".
  virtual std::string version() const = 0;

  /// Starts to send to a rank, or to receive from it. Messages with the same sender, receiver and
  /// tag (0 to 32767) arrive in the order in which they were sent. The memory must stay as it is
  /// until the request is complete, and both sides must agree on the size.
  virtual Request send(int to, int tag, std::span<const std::byte> bytes) = 0;
  virtual Request receive(int from, int tag, std::span<std::byte> bytes) = 0;
  /// Starts to replace the floats by their sums over all ranks, added in an order that the library
  /// chooses. All ranks make these calls in the same order.
  virtual Request all_reduce_sum(std::span<float> values) = 0;
  /// Continues all messages in flight. Appends the requests that are complete to `complete`.
  virtual void poll(std::vector<Request>& complete) = 0;

  /// Disconnects from the other ranks. Waits until they do the same.
  virtual void finish() = 0;
  /// Ends the processes of all ranks that the launcher can reach. May not return.
  virtual void abort(int exit_code) = 0;
};

}  // namespace doppio
