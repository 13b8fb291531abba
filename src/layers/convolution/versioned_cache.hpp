#pragma once
#include <cstdint>

#include "doppio/tensor.hpp"

namespace doppio {

/// Memory for what is computed from one tensor, which is computed again only when that has changed.
class VersionedCache {
 public:
  /// `size` floats that make(contents of `from`, float* to) fills in, perhaps in an earlier call.
  template <class Make>
  const float* of(const Context& ctx, const Tensor& from, Index size, Make make) {
    if (from.version() != version_) {
      version_ = 0;  // which no tensor has, in case of an exception
      copy_.reshape({size});
      make(from.read(ctx), copy_.write(ctx));
      version_ = from.version();
    }
    return copy_.read(ctx);
  }

 private:
  Tensor copy_;
  std::uint64_t version_ = 0;
};

}  // namespace doppio
