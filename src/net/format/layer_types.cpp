#include "net/format/layer_types.hpp"

#include <algorithm>
#include <cctype>
#include <map>

#include "core/printable.hpp"
#include "doppio/extend/registry.hpp"
#include "io/text_format.hpp"

namespace doppio {

namespace {

/// Returns what replaces a Python layer of published nets, by its module.
std::string replacement(const LayerParameter& layer) {
  const std::string& module = layer.python_param().module();
  if (module.ends_with("proposal_layer")) return "Proposal replaces rpn.proposal_layer";
  if (layer.bottom_size() == 0)
    return "Data, ImageData, HDF5Data and WindowData read batches, Input takes them from a program";
  return "write it in C++ (docs/add_a_layer.md), or find a type in `doppio layers` that replaces "
         "it";
}

std::string upper(std::string word) {
  for (char& c : word) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return word;
}

}  // namespace

std::string type_name(V1LayerParameter::LayerType type) {
  static const std::map<V1LayerParameter::LayerType, const char*> names = {
      {V1LayerParameter::ACCURACY, "Accuracy"},
      {V1LayerParameter::BNLL, "BNLL"},
      {V1LayerParameter::CONCAT, "Concat"},
      {V1LayerParameter::CONVOLUTION, "Convolution"},
      {V1LayerParameter::DATA, "Data"},
      {V1LayerParameter::DROPOUT, "Dropout"},
      {V1LayerParameter::EUCLIDEAN_LOSS, "EuclideanLoss"},
      {V1LayerParameter::FLATTEN, "Flatten"},
      {V1LayerParameter::HDF5_DATA, "HDF5Data"},
      {V1LayerParameter::HDF5_OUTPUT, "HDF5Output"},
      {V1LayerParameter::IM2COL, "Im2col"},
      {V1LayerParameter::IMAGE_DATA, "ImageData"},
      {V1LayerParameter::INFOGAIN_LOSS, "InfogainLoss"},
      {V1LayerParameter::INNER_PRODUCT, "InnerProduct"},
      {V1LayerParameter::LRN, "LRN"},
      {V1LayerParameter::MULTINOMIAL_LOGISTIC_LOSS, "MultinomialLogisticLoss"},
      {V1LayerParameter::POOLING, "Pooling"},
      {V1LayerParameter::RELU, "ReLU"},
      {V1LayerParameter::SIGMOID, "Sigmoid"},
      {V1LayerParameter::SOFTMAX, "Softmax"},
      {V1LayerParameter::SOFTMAX_LOSS, "SoftmaxWithLoss"},
      {V1LayerParameter::SPLIT, "Split"},
      {V1LayerParameter::TANH, "TanH"},
      {V1LayerParameter::WINDOW_DATA, "WindowData"},
      {V1LayerParameter::ELTWISE, "Eltwise"},
      {V1LayerParameter::POWER, "Power"},
      {V1LayerParameter::SIGMOID_CROSS_ENTROPY_LOSS, "SigmoidCrossEntropyLoss"},
      {V1LayerParameter::HINGE_LOSS, "HingeLoss"},
      {V1LayerParameter::MEMORY_DATA, "MemoryData"},
      {V1LayerParameter::ARGMAX, "ArgMax"},
      {V1LayerParameter::THRESHOLD, "Threshold"},
      {V1LayerParameter::DUMMY_DATA, "DummyData"},
      {V1LayerParameter::SLICE, "Slice"},
      {V1LayerParameter::MVN, "MVN"},
      {V1LayerParameter::ABSVAL, "AbsVal"},
      {V1LayerParameter::SILENCE, "Silence"},
      {V1LayerParameter::CONTRASTIVE_LOSS, "ContrastiveLoss"},
      {V1LayerParameter::EXP, "Exp"},
      {V1LayerParameter::DECONVOLUTION, "Deconvolution"},
      {V1LayerParameter::CROP, "Crop"},
  };
  const auto it = names.find(type);
  return it == names.end() ? "" : it->second;
}

std::vector<std::string> old_type_names() {
  return value_names(*V1LayerParameter::LayerType_descriptor());
}

std::string old_type_name(const std::string& type) {
  for (const std::string& word : old_type_names()) {
    V1LayerParameter::LayerType value;
    if (!V1LayerParameter::LayerType_Parse(word, &value)) continue;
    if (upper(type) == word || upper(type) == upper(type_name(value))) return word;
  }
  return {};
}

bool is_layer_type(const std::string& type) {
  const LayerRegistry& known = LayerRegistry::instance();
  return known.find_or_null(type, Device::cpu) || known.find_or_null(type, Device::cuda);
}

std::string unknown_type(const LayerParameter& layer) {
  if (layer.type() == "Python")
    return "layers written in Python are not run; " + replacement(layer);
  return str("unknown layer type '", printable(layer.type()), "'",
             did_you_mean(layer.type(), LayerRegistry::instance().types()),
             "; `doppio layers` lists the known types");
}

}  // namespace doppio
