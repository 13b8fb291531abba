#include "core/arena.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "doppio/error.hpp"

namespace doppio {

std::size_t Placement::take(std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  const std::size_t size = std::max(kLine, (bytes + kLine - 1) / kLine * kLine);
  std::size_t best = kNowhere, best_gap = kNowhere, end = 0;
  for (const auto& [offset, block_end] : taken_) {
    const std::size_t gap = offset - end;
    if (gap >= size && gap < best_gap) {
      best = end;
      best_gap = gap;
    }
    end = block_end;
  }
  if (best == kNowhere) {
    if (size > capacity_ || end > capacity_ - size) return kNowhere;
    best = end;
  }
  taken_[best] = best + size;
  peak_ = std::max(peak_, best + size);
  return best;
}

void Placement::give_back(std::size_t offset) {
  ensure(taken_.erase(offset) == 1, "only a block that was taken is given back");
}

Arena::Arena(std::size_t bytes) : bytes_(bytes), begin_(nullptr), placement_(0) {
  if (bytes == 0) return;
  void* range = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) return;  // no room for anything: callers fall back to the heap
  begin_ = static_cast<std::byte*>(range);
  placement_ = Placement(bytes);
  madvise(range, bytes, MADV_HUGEPAGE);  // fewer page faults; without effect where it is refused
}

Arena::Arena()
    : Arena(static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
            static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {}

Arena::~Arena() {
  if (begin_) munmap(begin_, bytes_);
}

void* Arena::take(std::size_t bytes) {
  const std::size_t offset = placement_.take(bytes);
  return offset == Placement::kNowhere ? nullptr : begin_ + offset;
}

bool Arena::give_back(void* block) {
  const auto at = static_cast<std::byte*>(block);
  if (!begin_ || at < begin_ || at >= begin_ + bytes_) return false;
  placement_.give_back(static_cast<std::size_t>(at - begin_));
  return true;
}

}  // namespace doppio
