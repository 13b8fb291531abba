#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "doppio/shape.hpp"

namespace doppio {

/// Where a layer's kernels run. `any` marks registry entries that serve every device.
enum class Device { cpu, cuda, any };

const char* device_name(Device device);

class Accelerator;  // memory and queue of a device (core/accelerator.hpp)

/// Opens accelerator number `id`. Throws: Error if there is no such GPU or this build has no CUDA.
std::shared_ptr<Accelerator> open_accelerator(int id);

/// What is known of an accelerator, for `doppio devices`.
struct AcceleratorInfo {
  int id = 0;
  std::string name;
  std::size_t memory_bytes = 0;
  std::string compute_capability;
};

/// The accelerators present; empty without a GPU, a driver or a CUDA build.
std::vector<AcceleratorInfo> list_accelerators();

/// What this build and the driver support, for `doppio devices`.
std::string accelerator_support();

/// True if this build contains CUDA kernels.
bool built_with_cuda();

/// Everything that running a layer needs beside its blobs: device, random key, workspace. There are
/// no globals, so two nets on two devices in one process do not meet.
class Context {
 public:
  /// A context on the CPU.
  explicit Context(std::uint64_t seed = 0);
  /// A context on an accelerator.
  explicit Context(std::shared_ptr<Accelerator> accelerator, std::uint64_t seed = 0);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Device device() const { return accelerator_ ? Device::cuda : Device::cpu; }
  const std::shared_ptr<Accelerator>& accelerator() const { return accelerator_; }

  /// Key of all random numbers drawn on this context.
  std::uint64_t seed = 0;
  /// Number of the forward pass under way: the other half of the key, so that every pass draws
  /// anew. Set by the net.
  std::uint64_t pass = 0;
  /// Where kernels that are being captured find that number; null for all others.
  const std::uint64_t* pass_at = nullptr;
  /// Shapes only: fillers leave parameters unwritten and data layers may guess a missing database's
  /// shape.
  bool dry_run = false;
  /// Layers may do their successors' work on the way.
  bool fusion = true;
  /// Layers compute as with `engine: GEMM`, whatever their own says, and nothing is fused: the
  /// slow results that everything faster is checked against. Set it before a net is made.
  bool reference = false;
  /// On an accelerator, a pass may be captured as a graph, which later passes replay.
  bool graph_capture = true;

  /// The cudaStream_t on which kernels run.
  void* stream() const;
  /// Scratch memory of at least `count` values on this device. Contents are undefined, and valid
  /// until the next call.
  template <class T = float>
  T* workspace(Index count) {
    return static_cast<T*>(workspace_memory(count * static_cast<Index>(sizeof(T))));
  }
  /// The same for sums on their way, apart from the workspace.
  double* partial_sums(Index count);
  /// Bytes that the workspace holds.
  Index workspace_bytes() const;

 private:
  struct Workspace;
  void* workspace_memory(Index bytes);

  std::shared_ptr<Accelerator> accelerator_;
  std::unique_ptr<Workspace> workspace_;
};

}  // namespace doppio
