#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/layout.hpp"
#include "doppio/shape.hpp"

namespace doppio {

class Accelerator;
class Arena;
struct Bf16;

/// The memory of a Tensor or Buffer: copies on the host, on an accelerator and in other layouts,
/// and which of them are current. An access with `keep_contents` reads. One with `exclusive`
/// writes: the returned copy is then the only current one.
class Storage : public std::enable_shared_from_this<Storage> {
 public:
  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage();

  /// Addresses and validity of all copies, for a GraphCapture.
  struct State {
    const void *host, *device, *nhwc, *bf16;
    bool host_current, device_current, nhwc_current, bf16_current, downloading;
    TensorDims nhwc_dims, bf16_dims;
    std::uint64_t version;

    /// True if the copies on the device have the same addresses.
    bool in_places_of(const State& other) const;
    /// True if the same copies on the device are current.
    bool as_current_as(const State& other) const;
  };
  State state() const;
  /// Updates the state after a replay of work that led from `before` to `after`.
  void replay(const State& before, const State& after);
  /// Restores `before`, for captured work that will not run. No-op if the contents have moved to
  /// another device meanwhile.
  void undo(const State& before);

  /// Size in bytes, without padding.
  std::size_t capacity() const { return capacity_; }
  bool allocated() const {
    return host_.data || blocked_.data || device_.data || nhwc_.data || bf16_.data;
  }
  /// True if the blocked copy of a tensor of these sizes is current.
  bool holds_blocked(const TensorDims& dims) const {
    return blocked_.current && dims == blocked_dims_;
  }
  bool holds_nhwc(const TensorDims& dims) const { return nhwc_.holds(dims); }
  bool holds_bf16(const TensorDims& dims) const { return bf16_.holds(dims); }

  /// Contents are lost if the capacity grows.
  void grow(std::size_t bytes);
  void use_arena(std::shared_ptr<Arena> arena, const std::string& name);
  void pin(std::shared_ptr<Accelerator> accelerator);
  void prefetch_to_host(const std::shared_ptr<Accelerator>& accelerator);
  void prefetch_to_device(const std::shared_ptr<Accelerator>& accelerator);
  void release();
  void mark_unavailable();
  bool is_released() const { return released_; }
  void zero_lazily();
  bool is_lazily_zero();
  std::uint64_t version();

  /// Returns the copy on `accelerator`, or on the host if it is null.
  void* access(const std::shared_ptr<Accelerator>& accelerator, bool keep_contents,
               bool exclusive) {
    return accelerator ? device(accelerator, keep_contents, exclusive)
                       : host(keep_contents, exclusive);
  }
  void* host(bool keep_contents, bool exclusive);
  void* device(const std::shared_ptr<Accelerator>& accelerator, bool keep_contents, bool exclusive);
  /// On the host, in Layout::nchw_blocked.
  float* blocked(const TensorDims& dims, bool keep_contents, bool exclusive);
  /// On `accelerator`, in Layout::nhwc.
  float* nhwc(const std::shared_ptr<Accelerator>& accelerator, const TensorDims& dims,
              bool keep_contents, bool exclusive);
  Bf16* nhwc_bf16(const std::shared_ptr<Accelerator>& accelerator, const TensorDims& dims,
                  bool keep_contents, bool exclusive);

 private:
  /// One copy of the contents.
  struct Copy {
    void* data = nullptr;
    bool current = false;

    float* floats() const { return static_cast<float*>(data); }
  };

  /// A copy in Layout::nhwc with values of T.
  template <class T>
  struct NhwcCopy : Copy {
    std::size_t bytes = 0;  ///< allocated
    TensorDims dims;

    T* values() const { return static_cast<T*>(data); }
    bool holds(const TensorDims& wanted) const { return current && wanted == dims; }
  };

  bool on_device() const { return device_.current || nhwc_.current || bf16_.current; }
  void place(const State& there);
  /// Accesses `copy`; `other` is the NHWC copy of the other type.
  template <class T, class Other>
  T* access_nhwc(NhwcCopy<T>& copy, const NhwcCopy<Other>& other,
                 const std::shared_ptr<Accelerator>& accelerator, const TensorDims& dims,
                 bool keep_contents, bool exclusive);
  /// Reports an access to the current GraphCapture (graph_capture.cpp).
  void track(bool read_on_host);
  void require_contents() const;
  void place_on(const std::shared_ptr<Accelerator>& accelerator, bool keep_contents);
  void finish_upload();
  void finish_download();
  void* allocate() const;
  void free(Copy& copy);
  std::array<Copy*, 5> copies() { return {&host_, &blocked_, &device_, &nhwc_, &bf16_}; }
  void* own(Copy& copy, bool exclusive);
  void leave_device(bool keep_contents);
  void free_all();
  static std::uint64_t new_version();

  std::size_t capacity_ = sizeof(float);  // a tensor is a scalar by default
  Copy host_, device_;                    // NCHW, or the values of a Buffer
  Copy blocked_;                          // on the host
  TensorDims blocked_dims_;
  NhwcCopy<float> nhwc_;                      // on the accelerator
  NhwcCopy<Bf16> bf16_;                       // on the accelerator, also NHWC
  std::shared_ptr<Accelerator> accelerator_;  // owner of the device memory
  std::uint64_t upload_ = 0;                  // number of the pending upload from host_ to device_
  bool downloading_ = false;                  // a copy from device_ to host_ is pending
  std::shared_ptr<Accelerator> pinned_by_;
  std::shared_ptr<Arena> arena_;
  std::string name_;       // for messages, see use_arena()
  bool written_ = false;   // since memory was allocated
  bool released_ = false;  // written contents were released
  std::uint64_t version_ = new_version();
};

}  // namespace doppio
