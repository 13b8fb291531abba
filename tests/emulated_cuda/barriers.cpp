// Emulates a block's threads and __syncthreads() with one CPU thread.
#include <ucontext.h>

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <functional>
#include <vector>

#include "emulated_cuda/launch.hpp"

namespace doppio::cuda {

namespace {

/// A block whose threads take turns. Each has a stack and a point to resume at.
struct Turns {
  static constexpr std::size_t kStack = 64 << 10;
  const std::function<void()>* body;
  std::vector<ucontext_t> beginnings;
  std::vector<std::byte> stacks;
  struct Thread {
    std::jmp_buf point;
    bool started = false, ended = false;
  };
  std::vector<Thread> threads;
  std::jmp_buf scheduler;
  std::size_t current;
};
Turns turns;

void begin_thread() {
  (*turns.body)();
  turns.threads[turns.current].ended = true;
  _longjmp(turns.scheduler, 1);
}

/// Runs a thread up to its next barrier or its end.
void take_turn(std::size_t thread) {
  turns.current = thread;
  if (_setjmp(turns.scheduler) != 0) return;
  if (turns.threads[thread].started) _longjmp(turns.threads[thread].point, 1);
  turns.threads[thread].started = true;
  setcontext(&turns.beginnings[thread]);
}

}  // namespace

void __syncthreads() {
  if (_setjmp(turns.threads[turns.current].point) == 0) _longjmp(turns.scheduler, 1);
}

namespace emulated {

void run_with_barriers(const std::function<void()>& body) {
  const std::size_t count = std::size_t{blockDim.x} * blockDim.y;
  turns.body = &body;
  turns.threads.assign(count, {});
  turns.beginnings.resize(std::max(count, turns.beginnings.size()));
  turns.stacks.resize(std::max(count * Turns::kStack, turns.stacks.size()));
  for (std::size_t i = 0; i < count; ++i) {
    ucontext_t& thread = turns.beginnings[i];
    getcontext(&thread);
    thread.uc_stack = {turns.stacks.data() + i * Turns::kStack, 0, Turns::kStack};
    makecontext(&thread, begin_thread, 0);
  }
  for (std::size_t ended = 0; ended < count;) {
    ended = 0;
    for (std::size_t i = count; i-- > 0;) {
      threadIdx = {static_cast<unsigned>(i) % blockDim.x, static_cast<unsigned>(i) / blockDim.x, 0};
      if (!turns.threads[i].ended) take_turn(i);
      ended += turns.threads[i].ended;
    }
  }
}

}  // namespace emulated
}  // namespace doppio::cuda
