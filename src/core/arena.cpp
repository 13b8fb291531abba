#include "core/arena.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "doppio/error.hpp"

namespace doppio {

std::size_t Placement::take(std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  const std::size_t size = std::max(kLine, (bytes + kLine - 1) / kLine * kLine);
  const auto gap = gaps_.lower_bound({size, 0});
  std::size_t begin = end_;
  if (gap != gaps_.end()) {
    const auto [gap_size, offset] = *gap;
    gaps_.erase(gap);
    begin = offset;
    add_gap(begin + size, begin + gap_size);
  } else {
    if (size > capacity_ || end_ > capacity_ - size) return kNone;
    end_ += size;
  }
  taken_[begin] = begin + size;
  peak_ = std::max(peak_, begin + size);
  return begin;
}

void Placement::give_back(std::size_t offset) {
  const auto block = taken_.find(offset);
  ensure(block != taken_.end(), "only a block that was taken is given back");
  const auto next = std::next(block);
  const std::size_t before = block == taken_.begin() ? 0 : std::prev(block)->second;
  const std::size_t end = block->second;
  gaps_.erase({offset - before, before});
  if (next == taken_.end()) {
    end_ = before;
  } else {
    gaps_.erase({next->first - end, end});
    add_gap(before, next->first);
  }
  taken_.erase(block);
}

void Placement::add_gap(std::size_t begin, std::size_t end) {
  if (begin < end) gaps_.emplace(end - begin, begin);
}

Arena::Arena(std::size_t bytes) : bytes_(bytes), begin_(nullptr), placement_(0) {
  if (bytes == 0) return;
  void* range = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) return;  // take() returns null, so callers use the heap
  begin_ = static_cast<std::byte*>(range);
  placement_ = Placement(bytes);
  madvise(range, bytes, MADV_HUGEPAGE);  // fewer page faults; may be refused
}

Arena::Arena()
    : Arena(static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
            static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {}

Arena::~Arena() {
  if (begin_) munmap(begin_, bytes_);
}

void* Arena::take(std::size_t bytes) {
  const std::size_t offset = placement_.take(bytes);
  return offset == Placement::kNone ? nullptr : begin_ + offset;
}

bool Arena::give_back(void* block) {
  const auto at = static_cast<std::byte*>(block);
  if (!begin_ || at < begin_ || at >= begin_ + bytes_) return false;
  placement_.give_back(static_cast<std::size_t>(at - begin_));
  return true;
}

}  // namespace doppio
