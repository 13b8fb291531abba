#include "net/format/unused_params.hpp"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "io/text_format.hpp"

namespace doppio {

namespace {

/// Types that read other messages than the one with their name, or none.
const std::map<std::string_view, std::vector<std::string_view>>& exceptions() {
  static const std::map<std::string_view, std::vector<std::string_view>> list = {
      {"AbsVal", {}},
      {"AnnotatedData", {"annotated_data_param", "data_param", "transform_param"}},
      {"ArgMax", {"argmax_param"}},
      {"AverageViews", {"transform_param"}},
      {"Axpy", {}},
      {"BatchReindex", {}},
      {"BNLL", {}},
      {"CTCGreedyDecoder", {"ctc_decoder_param"}},
      {"ConvolutionDepthwise", {"convolution_param"}},
      {"Data", {"data_param", "transform_param"}},
      {"Deconvolution", {"convolution_param"}},
      {"DepthwiseConvolution", {"convolution_param"}},
      {"EuclideanLoss", {}},
      {"Filter", {}},
      {"HDF5Data", {"hdf5_data_param", "transform_param"}},
      {"HingeLoss", {"hinge_loss_param", "loss_param"}},
      {"Im2col", {"convolution_param"}},
      {"ImageData", {"image_data_param", "transform_param"}},
      {"InfogainLoss", {"infogain_loss_param", "loss_param", "softmax_param"}},
      {"Input", {"input_param", "transform_param"}},  // for commands that prepare images
      {"LSTM", {"recurrent_param"}},
      {"LSTMUnit", {}},
      {"MemoryData", {"memory_data_param", "transform_param"}},
      {"Mish", {}},
      {"MultiBoxLoss", {"multibox_loss_param", "loss_param"}},
      {"MultinomialLogisticLoss", {"loss_param"}},
      {"Normalize", {"norm_param"}},
      {"PartCopies", {}},
      {"PartGather", {}},
      {"PartGatherCopies", {}},
      {"PriorBoxClustered", {"prior_box_param"}},
      {"RNN", {"recurrent_param"}},
      {"SigmoidCrossEntropyLoss", {"loss_param", "sigmoid_param"}},
      {"Silence", {}},
      {"SmoothL1Loss", {"smooth_l1_loss_param", "loss_param"}},
      {"SoftmaxWithLoss", {"softmax_param", "loss_param"}},
      {"Split", {}},
      {"WindowData", {"window_data_param", "transform_param"}},
  };
  return list;
}

/// Normalizes a type and its message to the same name: "InnerProduct" and "inner_product_param"
/// become "innerproduct".
std::string plain(std::string_view name) {
  std::string out;
  if (name.ends_with("_param")) name.remove_suffix(6);
  for (const char c : name)
    if (c != '_') out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

bool has_known_params(const std::string& type) {
  const std::vector<std::string> fields = field_names(*LayerParameter::descriptor());
  return exceptions().contains(type) ||
         std::any_of(fields.begin(), fields.end(), [&](const std::string& field) {
           return field.ends_with("_param") && plain(field) == plain(type);
         });
}

bool reads_param(const std::string& type, std::string_view param) {
  const auto known = exceptions().find(type);
  if (known == exceptions().end()) return plain(type) == plain(param);
  return std::find(known->second.begin(), known->second.end(), param) != known->second.end();
}

std::vector<std::string> unused_params(const SourcedNet& source) {
  struct Use {
    Location first;
    int layers = 0;
  };
  std::map<std::pair<std::string, std::string>, Use> uses;
  for (int i = 0; i < source.net.layer_size(); ++i) {
    const LayerParameter& layer = source.net.layer(i);
    std::vector<const google::protobuf::FieldDescriptor*> fields;
    layer.GetReflection()->ListFields(layer, &fields);
    for (const auto* field : fields) {
      const std::string name(field->name());
      if (!name.ends_with("_param") || reads_param(layer.type(), name)) continue;
      if (!has_known_params(layer.type())) break;
      Use& use = uses[{layer.type(), name}];
      if (use.layers++ == 0) use.first = source.where(i, name);
    }
  }
  std::vector<std::pair<std::pair<int, int>, std::string>> lines;
  for (const auto& [what, use] : uses) {
    const std::string more = use.layers == 1 ? "" : str(" (", use.layers - 1, " more like it)");
    lines.push_back({{use.first.line, use.first.column},
                     str(use.first.text(), ": ", what.second, " has no effect in a layer of type ",
                         what.first, more)});
  }
  std::sort(lines.begin(), lines.end());
  std::vector<std::string> texts;
  for (auto& [at, text] : lines) texts.push_back(std::move(text));
  return texts;
}

}  // namespace doppio
