#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "doppio/extend/layer.hpp"
#include "doppio/extend/registry.hpp"
#include "support/expect_error.hpp"

namespace doppio {

/// The devices that tests run on: the CPU, and the GPU if this build and machine have one.
std::vector<Device> test_devices();
std::string device_test_name(const testing::TestParamInfo<Device>& info);

struct HarnessOptions {
  int tops = 1;
  bool in_place = false;  ///< Top 0 is the same blob as bottom 0.
  Device device = Device::cpu;
};

/// One layer outside any net, for golden tests:
///   LayerHarness h("type: 'ReLU'", {{2, 3}}, {.in_place = true});
///   h.bottom_data(0, {1, -2, 3, 4, -5, 6});
///   h.forward();
///   expect_values(h.top(0).data, {1, 0, 3, 4, 0, 6});
class LayerHarness {
 public:
  /// `text` is the inside of a prototxt's `layer { }`; the layer gets the name "layer" and phase
  /// TRAIN unless the text says otherwise. Throws: what the layer throws.
  LayerHarness(const std::string& text, const std::vector<Shape>& bottoms,
               const HarnessOptions& options = {});
  ~LayerHarness();

  Context& ctx() { return *ctx_; }
  Layer& layer() { return *layer_; }
  Blob& bottom(int i) { return *bottoms_[static_cast<std::size_t>(i)]; }
  Blob& top(int i) { return *tops_[static_cast<std::size_t>(i)]; }
  Blob& param(int i) { return layer_->params[static_cast<std::size_t>(i)]; }

  void bottom_data(int i, const std::vector<float>& values);
  void top_grad(int i, const std::vector<float>& values);
  void param_data(int i, const std::vector<float>& values);
  void reshape();
  void forward();
  /// Runs backward for all bottoms, or for those marked in `wanted`.
  void backward(const std::vector<bool>& wanted = {});

 private:
  std::unique_ptr<Context> ctx_;
  std::unique_ptr<Layer> layer_;
  std::vector<std::unique_ptr<Blob>> owned_;
  std::vector<Blob*> bottoms_, tops_;
};

std::vector<float> values(const Tensor& tensor);
void set_values(Tensor& tensor, const std::vector<float>& values);
void expect_values(const Tensor& tensor, const std::vector<float>& expected,
                   float tolerance = 1e-5f);

}  // namespace doppio
