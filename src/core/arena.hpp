#pragma once
#include <cstddef>
#include <limits>
#include <map>
#include <set>
#include <utility>

namespace doppio {

/// Places blocks in a row of bytes. Only numbers: an Arena backs them with memory, a plan of a
/// net's memory needs no more.
class Placement {
 public:
  static constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();

  explicit Placement(std::size_t capacity = kNowhere) : capacity_(capacity) {}

  /// Takes the smallest gap that is large enough, or else the end of the row, and returns the
  /// block's offset; kNowhere if that would exceed the capacity. Blocks begin at multiples of 64.
  std::size_t take(std::size_t bytes);
  void give_back(std::size_t offset);

  /// Bytes from the start to the end of the farthest block so far.
  std::size_t peak() const { return peak_; }
  std::size_t blocks() const { return taken_.size(); }

 private:
  void add_gap(std::size_t begin, std::size_t end);

  std::size_t capacity_, peak_ = 0, end_ = 0;           // end_: of the last block
  std::map<std::size_t, std::size_t> taken_;            // offset and end of each block
  std::set<std::pair<std::size_t, std::size_t>> gaps_;  // before end_: size and offset
};

/// Host memory that tensors of different lifetimes take turns to use. Pages that were touched once
/// stay with the process, so blocks cost no page faults after the first pass.
class Arena {
 public:
  /// Reserves addresses for `bytes`; memory comes with the first touch.
  explicit Arena(std::size_t bytes);
  /// As large as this machine's memory.
  Arena();
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// A block on a cache line's border, or null if there is no room.
  void* take(std::size_t bytes);
  /// True if `block` came from here; then it is free again.
  bool give_back(void* block);

  std::size_t peak() const { return placement_.peak(); }

 private:
  std::size_t bytes_;
  std::byte* begin_;
  Placement placement_;
};

}  // namespace doppio
