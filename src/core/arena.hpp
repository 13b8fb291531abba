#pragma once
#include <cstddef>
#include <limits>
#include <map>
#include <set>
#include <utility>

namespace doppio {

/// Assigns offsets to blocks in a range of bytes. It has no memory: an Arena adds it, and a plan of
/// a net's memory needs none.
class Placement {
 public:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  explicit Placement(std::size_t capacity = kNone) : capacity_(capacity) {}

  /// Returns the offset of a new block in the smallest gap that is large enough, or else at the
  /// end; kNone if that would exceed the capacity. Offsets are multiples of 64.
  std::size_t take(std::size_t bytes);
  void give_back(std::size_t offset);

  /// Highest end of any block so far, in bytes.
  std::size_t peak() const { return peak_; }
  std::size_t blocks() const { return taken_.size(); }

 private:
  void add_gap(std::size_t begin, std::size_t end);

  std::size_t capacity_, peak_ = 0, end_ = 0;           // end_: of the last block
  std::map<std::size_t, std::size_t> taken_;            // offset and end of each block
  std::set<std::pair<std::size_t, std::size_t>> gaps_;  // before end_: size and offset
};

/// Host memory that tensors of different lifetimes reuse. The process keeps its pages, so blocks
/// cause no page faults after the first pass.
class Arena {
 public:
  /// Reserves addresses for `bytes`; pages are allocated on first use.
  explicit Arena(std::size_t bytes);
  /// As large as this machine's memory.
  Arena();
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Returns a block aligned to a cache line, or null if there is no room.
  void* take(std::size_t bytes);
  /// Frees `block` and returns true if it belongs to this arena.
  bool give_back(void* block);

  std::size_t peak() const { return placement_.peak(); }

 private:
  std::size_t bytes_;
  std::byte* begin_;
  Placement placement_;
};

}  // namespace doppio
