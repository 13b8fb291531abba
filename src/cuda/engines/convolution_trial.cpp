#include "cuda/engines/convolution_trial.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "core/accelerator.hpp"
#include "cuda/check.hpp"
#include "doppio/error.hpp"

namespace doppio::cuda {

std::size_t most_workspace(const ConvolutionGeometry& g, std::size_t total) {
  const Index x = g.batch * g.channels * g.windows.in_count(),
              y = g.batch * g.num_output * g.windows.out_count(), w = g.weight_shape().count();
  const Index windows = g.batch * g.channels * g.windows.kernel_count() * g.windows.out_count();
  const auto wanted = static_cast<std::size_t>(std::max(windows, 2 * (x + y + w))) * sizeof(float) +
                      (std::size_t{64} << 20);
  return std::min({wanted, std::size_t{4} << 30, total / 8});
}

/// Two events to measure the time between.
struct ConvolutionTrial::Events {
  cudaEvent_t begin = nullptr, end = nullptr;
  Events() {
    check(cudaEventCreateWithFlags(&begin, cudaEventDefault), "creating an event");
    check(cudaEventCreateWithFlags(&end, cudaEventDefault), "creating an event");
  }
  ~Events() {
    if (begin) cudaEventDestroy(begin);
    if (end) cudaEventDestroy(end);
  }
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;
};

ConvolutionTrial::ConvolutionTrial(const Context& of, const ConvolutionGeometry& g)
    : ctx(of.accelerator()), element_(element_of(g.precision)) {
  const WindowAxis &h = g.windows.axis[0], &w = g.windows.axis[1];
  x.reshape({g.batch, g.channels, h.in, w.in});
  y.reshape({g.batch, g.num_output, h.out, w.out});
  weight.reshape({g.num_output, g.channels / g.group, h.kernel, w.kernel});
  bias.reshape({g.num_output});
}

template <class T>
CudnnPass::Operands ConvolutionTrial::operands_of(Layout layout) {
  return {x.write<T>(ctx, layout), weight.write<T>(ctx, layout), y.write<T>(ctx, layout)};
}

CudnnPass::Operands ConvolutionTrial::operands(Layout layout) {
  return element_ == Element::bf16 ? operands_of<Bf16>(layout) : operands_of<float>(layout);
}

void ConvolutionTrial::begin() {
  const auto stream = static_cast<cudaStream_t>(ctx.stream());
  if (!events_) events_ = std::make_shared<Events>();
  check(cudaEventRecord(events_->begin, stream), "recording an event");
}

float ConvolutionTrial::end() {
  const auto stream = static_cast<cudaStream_t>(ctx.stream());
  check(cudaEventRecord(events_->end, stream), "recording an event");
  check(cudaEventSynchronize(events_->end), "waiting for a convolution");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, events_->begin, events_->end),
        "measuring a convolution");
  return milliseconds;
}

SearchMemory::SearchMemory(Accelerator& device, std::size_t wanted)
    : device_(device), wanted_(std::max<std::size_t>(wanted, 4096)), bytes_(wanted_) {
  while (!memory_) try {
      memory_ = device.allocate(bytes_);
    } catch (const OutOfMemory&) {
      if (bytes_ <= 4096) throw;
      bytes_ /= 2;
    }
}

SearchMemory::~SearchMemory() { device_.release(memory_); }

}  // namespace doppio::cuda
