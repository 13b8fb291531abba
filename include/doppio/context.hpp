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

class Accelerator;  // memory and streams of a device (core/accelerator.hpp)
class Peers;        // the devices that share a net (core/peers.hpp)

/// Opens accelerator number `id`. Throws: Error if there is no such GPU or this build has no CUDA.
std::shared_ptr<Accelerator> open_accelerator(int id);

/// Properties of an accelerator, for `doppio devices`.
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

/// Identifies one of several nets that train in parallel, each on its own device with its shard of
/// every batch: the items index, index + count, and so on.
struct Shard {
  int index = 0;  ///< 0 to count - 1
  int count = 1;  ///< nets
  int local = 1;  ///< nets on this machine, or parts of nets, which share its cores to read data
};

/// Identifies one of several equal parts of a layer's channels, which hold consecutive channels.
struct ChannelPart {
  int index = 0;  ///< 0 to count - 1
  int count = 1;  ///< parts; 1 if the layer is whole
};

/// The state that layers need to run: device, random key and workspace. There are no globals, so
/// two nets on two devices in one process are independent.
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
  /// Number of the current forward pass, part of the key of all random numbers. Set by the net.
  std::uint64_t pass = 0;
  /// The shard of the current pass, by which its random numbers are those of the whole batch. Set
  /// by the net.
  Shard shard;
  /// The part of its channels that the layer now running holds, by which its random numbers are
  /// those of the whole layer. Set by the net.
  ChannelPart part;
  /// The other parts of a net that is split along its channels; null if it is whole.
  Peers* peers = nullptr;
  /// Device address of the pass's number for kernels that are being captured, else null.
  const std::uint64_t* pass_at = nullptr;
  /// Only infer shapes: fillers do not write parameters, and data layers may guess the shape of a
  /// missing database.
  bool dry_run = false;
  /// Layers may absorb layers that follow them (layer fusion).
  bool fusion = true;
  /// All layers use `engine: GEMM`, and none are fused: the slow reference for checking faster
  /// engines. Set it before constructing a net.
  bool reference = false;
  /// On an accelerator, a pass may be captured as a CUDA graph, which later passes replay.
  bool graph_capture = true;

  /// The cudaStream_t on which kernels run.
  void* stream() const;
  /// Returns scratch memory for at least `count` values on this device. Its contents are undefined.
  /// It is valid until the next call.
  template <class T = float>
  T* workspace(Index count) {
    return static_cast<T*>(workspace_memory(count * static_cast<Index>(sizeof(T))));
  }
  /// Returns scratch memory for partial sums, separate from workspace().
  double* partial_sums(Index count);
  /// Bytes allocated for workspace().
  Index workspace_bytes() const;

 private:
  struct Workspace;
  void* workspace_memory(Index bytes);

  std::shared_ptr<Accelerator> accelerator_;
  std::unique_ptr<Workspace> workspace_;
};

}  // namespace doppio
