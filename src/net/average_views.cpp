#include <map>
#include <utility>

#include "net/located.hpp"
#include "net/passes.hpp"

namespace doppio {

namespace {

/// The layer that made `blob`, looking back from layer `i`; none: null.
const LayerParameter* producer(const NetParameter& net, int i, const std::string& blob) {
  for (int k = i - 1; k >= 0; --k)
    for (const std::string& top : net.layer(k).top())
      if (top == blob) return &net.layer(k);
  return nullptr;
}

int class_axis(const LayerParameter& layer) {
  return layer.type() == "Accuracy" ? layer.accuracy_param().axis() : layer.softmax_param().axis();
}

/// What the layer before layer `i`, which compares scores with labels, has to average.
std::string scores_of(const NetParameter& net, int i) {
  const LayerParameter& layer = net.layer(i);
  const LayerParameter* before = producer(net, i, layer.bottom(0));
  if (!before || before->type() != "Softmax") return layer.bottom(0);
  require(before->bottom(0) != before->top(0), "with views, the scores ahead of layer '",
          before->name(), "' are needed; give that layer a top of another name than its bottom");
  return before->bottom(0);
}

LayerParameter averaging_layer(const SourcedNet& source, int i, std::uint32_t views) {
  const LayerParameter& layer = source.net.layer(i);
  const bool averages = layer.type() == "Accuracy" || layer.type() == "SoftmaxWithLoss";
  require(averages && class_axis(layer) == 1,
          "labels of images with several views can only be compared by Accuracy and "
          "SoftmaxWithLoss layers, with the classes along axis 1");
  LayerParameter average;
  average.set_name(layer.name() + "_views");
  average.set_type("AverageViews");
  average.set_phase(layer.phase());
  average.add_bottom(scores_of(source.net, i));
  average.add_top(layer.bottom(0) + "_" + layer.name() + "_views");
  average.mutable_transform_param()->set_views(views);
  return average;
}

}  // namespace

SourcedNet average_views(SourcedNet source) {
  std::map<std::string, std::uint32_t> views_of_labels;
  SourcedNet out = source;
  out.net.clear_layer();
  out.layers.clear();
  Problems problems;
  for (int i = 0; i < source.net.layer_size(); ++i) {
    LayerParameter layer = source.net.layer(i);
    const std::uint32_t views = layer.transform_param().views();
    if (layer.bottom_size() == 0 && layer.top_size() > 1 && views > 1)
      views_of_labels[layer.top(1)] = views;
    const auto where = source.layers.empty() ? nullptr : source.layers[static_cast<std::size_t>(i)];
    for (int b = 1; b < layer.bottom_size(); ++b) {
      const auto views_here = views_of_labels.find(layer.bottom(b));
      if (views_here == views_of_labels.end()) continue;
      try {
        LayerParameter average;
        located(source, i, {}, [&] { average = averaging_layer(source, i, views_here->second); });
        layer.set_bottom(0, average.top(0));
        *out.net.add_layer() = std::move(average);
        out.layers.push_back(where);
      } catch (const Error& e) {
        problems.add(e);
      }
    }
    *out.net.add_layer() = std::move(layer);
    out.layers.push_back(where);
  }
  problems.throw_if_any();
  return out;
}

}  // namespace doppio
