#include <map>
#include <utility>

#include "net/format/layer_context.hpp"
#include "net/passes/passes.hpp"
#include "net/passes/probabilities.hpp"

namespace doppio {

namespace {

/// Returns the layer that made bottom 0 of layer `i`, or -1.
int producer(const NetParameter& net, int i) {
  if (net.layer(i).bottom_size() == 0) return -1;
  for (int k = i - 1; k >= 0; --k)
    for (const std::string& top : net.layer(k).top())
      if (top == net.layer(i).bottom(0)) return k;
  return -1;
}

int class_axis(const LayerParameter& layer) {
  return layer.type() == "Accuracy" ? layer.accuracy_param().axis() : layer.softmax_param().axis();
}

/// Returns the blob to average for layer `i`, which compares scores with labels: its bottom, or the
/// input of the Softmax layer that computes it.
std::string scores_of(const NetParameter& net, int i) {
  bool copies = true;
  int k = producer(net, i);
  for (; k >= 0 && keeps_probabilities(net.layer(k).type()); k = producer(net, k))
    copies = copies && net.layer(k).type() == "Split";
  if (k < 0 || net.layer(k).type() != "Softmax" || net.layer(k).bottom_size() == 0)
    return net.layer(i).bottom(0);
  const LayerParameter& softmax = net.layer(k);
  require(copies, "with views, the scores before layer '", softmax.name(),
          "' are needed, but other layers than Split follow it; let this layer read '",
          softmax.bottom(0), "'");
  require(softmax.bottom(0) != softmax.top(0), "with views, the scores before layer '",
          softmax.name(), "' are needed; give that layer a top of another name than its bottom");
  return softmax.bottom(0);
}

/// Returns the AverageViews layer for layer `i`, whose bottom `b` holds the labels.
LayerParameter averaging_layer(const SourcedNet& source, int i, int b, std::uint32_t views) {
  const LayerParameter& layer = source.net.layer(i);
  const bool averages = layer.type() == "Accuracy" || layer.type() == "SoftmaxWithLoss";
  require(averages && b == 1 && class_axis(layer) == 1,
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
  SourcedNet out = source.without_layers();
  Problems problems;
  for (int i = 0; i < source.net.layer_size(); ++i) {
    LayerParameter layer = source.net.layer(i);
    const std::uint32_t views = layer.transform_param().views();
    if (layer.bottom_size() == 0 && layer.top_size() > 1 && views > 1)
      views_of_labels[layer.top(1)] = views;
    // Layers with one bottom do not compare it with labels. Silence never does.
    const bool compares = layer.bottom_size() > 1 && layer.type() != "Silence";
    for (int b = 0; compares && b < layer.bottom_size(); ++b) {
      const auto views_here = views_of_labels.find(layer.bottom(b));
      if (views_here == views_of_labels.end()) continue;
      try {
        LayerParameter average;
        with_context(layer_context(source, i, {}),
                     [&] { average = averaging_layer(source, i, b, views_here->second); });
        layer.set_bottom(0, average.top(0));
        out.add(std::move(average), source, i);
      } catch (const Error& e) {
        problems.add(e);
      }
    }
    out.add(std::move(layer), source, i);
  }
  problems.throw_if_any();
  return out;
}

}  // namespace doppio
