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

/// The memory of tensors and buffers: bytes on the host, on an accelerator or on both, of which it
/// knows what is current. It also holds the values of a tensor in other layouts. Accesses say with
/// `keep_contents` that they read, and with `exclusive` that they write: then the copy that they
/// get is the only current one.
class Storage : public std::enable_shared_from_this<Storage> {
 public:
  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage();

  /// Where the contents are, for a GraphCapture.
  struct State {
    const void *host, *device, *nhwc, *bf16;
    bool host_current, device_current, nhwc_current, bf16_current, downloading;
    TensorDims nhwc_dims, bf16_dims;
    std::uint64_t version;

    /// True if the device's copies lie where they do in `other`.
    bool in_places_of(const State& other) const;
    /// True if the same of them are current.
    bool as_current_as(const State& other) const;
  };
  State state() const;
  /// Work that came from `before` to `after` has been done again.
  void replay(const State& before, const State& after);
  /// Work that began at `before` has been asked for and was not done. What has left the device
  /// meanwhile, for another one, is where it went.
  void undo(const State& before);

  /// Bytes, without what fills the last cache line up.
  std::size_t capacity() const { return capacity_; }
  bool allocated() const {
    return host_.data || blocked_.data || device_.data || nhwc_.data || bf16_.data;
  }
  /// True if that copy of a tensor of these sizes is current.
  bool holds_blocked(const TensorDims& dims) const {
    return blocked_.current && dims == blocked_dims_;
  }
  bool holds_nhwc(const TensorDims& dims) const { return nhwc_.holds(dims); }
  bool holds_bf16(const TensorDims& dims) const { return bf16_.holds(dims); }

  /// Loses the contents if they are fewer bytes.
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

  /// On `accelerator`, or on the host if it is null.
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
  /// One place where the contents may be.
  struct Copy {
    void* data = nullptr;
    bool current = false;

    float* floats() const { return static_cast<float*>(data); }
  };

  /// One in Layout::nhwc, of values of T.
  template <class T>
  struct NhwcCopy : Copy {
    std::size_t bytes = 0;  ///< of its memory
    TensorDims dims;

    T* values() const { return static_cast<T*>(data); }
    bool holds(const TensorDims& wanted) const { return current && wanted == dims; }
  };

  bool on_device() const { return device_.current || nhwc_.current || bf16_.current; }
  void place(const State& there);
  /// Access to `copy`; `other` is the NHWC copy of the other type.
  template <class T, class Other>
  T* access_nhwc(NhwcCopy<T>& copy, const NhwcCopy<Other>& other,
                 const std::shared_ptr<Accelerator>& accelerator, const TensorDims& dims,
                 bool keep_contents, bool exclusive);
  /// Tells the capture under way (graph_capture.cpp).
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

  std::size_t capacity_ = sizeof(float);  // the default shape of a tensor is a scalar's
  Copy host_, device_;                    // NCHW, or the values of a Buffer
  Copy blocked_;                          // on the host
  TensorDims blocked_dims_;
  NhwcCopy<float> nhwc_;                      // on the accelerator
  NhwcCopy<Bf16> bf16_;                       // on the accelerator, NHWC too
  std::shared_ptr<Accelerator> accelerator_;  // keeps the device memory's owner alive
  std::uint64_t upload_ = 0;                  // under way from host_ to device_: its number
  bool downloading_ = false;                  // from device_ to host_
  std::shared_ptr<Accelerator> pinned_by_;
  std::shared_ptr<Arena> arena_;
  std::string name_;       // for messages, with an arena
  bool written_ = false;   // since it has memory
  bool released_ = false;  // what was written is discarded
  std::uint64_t version_ = new_version();
};

}  // namespace doppio
