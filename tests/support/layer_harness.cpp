#include "support/layer_harness.hpp"

#include <google/protobuf/text_format.h>

#include <algorithm>

#include "doppio.pb.h"
#include "support/test_gpu.hpp"

namespace doppio {

namespace {

LayerParameter parse_layer(const std::string& text) {
  LayerParameter param;
  if (!google::protobuf::TextFormat::ParseFromString(text, &param))
    throw InternalError("the test's layer text does not parse: " + text);
  if (!param.has_name()) param.set_name("layer");
  if (!param.has_phase()) param.set_phase(doppio::TRAIN);
  return param;
}

}  // namespace

std::vector<Device> test_devices() {
  if (built_with_cuda() && !list_accelerators().empty()) return {Device::cpu, Device::cuda};
  return {Device::cpu};
}

std::string device_test_name(const testing::TestParamInfo<Device>& info) {
  return device_name(info.param);
}

LayerHarness::LayerHarness(const std::string& text, const std::vector<Shape>& bottoms,
                           const HarnessOptions& options) {
  ctx_ = test_context(options.device);
  const LayerParameter param = parse_layer(text);
  layer_ = LayerRegistry::instance().find(param.type(), options.device).make(param);
  for (const Shape& shape : bottoms) {
    bottoms_.push_back(owned_.emplace_back(std::make_unique<Blob>()).get());
    bottoms_.back()->reshape(shape);
  }
  for (int i = 0; i < options.tops; ++i)
    tops_.push_back(i == 0 && options.in_place
                        ? bottoms_[0]
                        : owned_.emplace_back(std::make_unique<Blob>()).get());
  reshape();
}

LayerHarness::~LayerHarness() = default;

void LayerHarness::bottom_data(int i, const std::vector<float>& v) {
  set_values(bottom(i).data, v);
}
void LayerHarness::top_grad(int i, const std::vector<float>& v) { set_values(top(i).grad, v); }
void LayerHarness::param_data(int i, const std::vector<float>& v) { set_values(param(i).data, v); }

void LayerHarness::reshape() { layer_->reshape(*ctx_, bottoms_, tops_); }
void LayerHarness::forward() {
  layer_->forward(*ctx_, bottoms_, tops_);
  layer_->verify(*ctx_, bottoms_);
}

void LayerHarness::backward(const std::vector<bool>& wanted) {
  const auto flags = std::make_unique<bool[]>(bottoms_.size());
  for (std::size_t i = 0; i < bottoms_.size(); ++i) flags[i] = wanted.empty() || wanted[i];
  layer_->backward(*ctx_, tops_, {flags.get(), bottoms_.size()}, bottoms_);
}

std::vector<float> values(const Tensor& tensor) {
  const float* v = tensor.read_host();
  return {v, v + tensor.count()};
}

void set_values(Tensor& tensor, const std::vector<float>& v) {
  ensure(tensor.count() == static_cast<Index>(v.size()),
         "a test gives as many values as the tensor has");
  std::copy(v.begin(), v.end(), tensor.write_host());
}

void expect_values(const Tensor& tensor, const std::vector<float>& expected, float tolerance) {
  const std::vector<float> actual = values(tensor);
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i)
    EXPECT_NEAR(actual[i], expected[i], tolerance * std::max(1.0f, std::abs(expected[i])))
        << "at " << i;
}

}  // namespace doppio
