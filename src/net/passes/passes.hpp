#pragma once
// The passes that turn a parsed net into one that runs. Each is a function from value to value in a
// file of its own name.
#include <string>
#include <vector>

#include "doppio/net.hpp"
#include "net/format/read_prototxt.hpp"
#include "net/format/upgrade.hpp"

namespace doppio {

/// Drops the layers whose include/exclude rules do not match `state`. Sets the phase of the
/// remaining layers, and their compute type to the net's if they name none.
SourcedNet filter(SourcedNet source, const NetState& state);

/// If a data layer yields several views of each image (transform_param.views), inserts an
/// AverageViews layer before each Accuracy and SoftmaxWithLoss layer that reads its labels: layer
/// NAME_views, top BOTTOM_NAME_views. Runs after filter(). Throws: one Error with every layer that
/// reads the labels but does not support averaging.
SourcedNet average_views(SourcedNet source);

/// Cuts the layers from model_parallel.layer_from to layer_to along their channels and returns the
/// net that one of `part.count` devices runs; other layers run alike on all of them. Layers whose
/// tops are slices get a model_part. Every blob is whole or sliced, by these rules:
///
/// 1. A Convolution with groups keeps to its slice, if `group` is divisible by the parts.
/// 2. Another Convolution or InnerProduct that reads a slice needs the whole: a PartGatherCopies
///    layer is inserted. Its outputs are sliced.
/// 3. If it reads a whole blob, a PartCopies layer adds up the gradients. Its outputs are sliced.
/// 4. Layers with the trait splits_channels that read slices make slices.
/// 5. All others read the whole, made by a PartGather layer. So are outputs.
///
/// Returns the net as it is, but without model_parallel, if there is one part. Runs after
/// average_views(). Throws: one Error with every layer that cannot be cut, or for a wrong range.
/// Source: the split of AlexNet's paper; rule 2 and 3 for fully connected layers: Krizhevsky, "One
/// weird trick for parallelizing convolutional neural networks" (2014).
SourcedNet cut(SourcedNet source, const ChannelPart& part);

/// Turns the net that tests (after filter()) into one for use: without data layers, labels, losses
/// and metrics.
///
/// An Input layer of shape `input`, N x C x H x W, replaces the data layer. It has the mean,
/// scale and crop of the data layer's transform_param, for commands that prepare images. A
/// SoftmaxWithLoss becomes a Softmax layer `prob`, a SigmoidCrossEntropyLoss a Sigmoid layer; of
/// other losses, their first bottom becomes an output. Losses of less than the largest loss weight
/// are auxiliary: they are removed with the layers that only they need. So are fillers and learning
/// rates. Throws: Error if a remaining layer reads labels.
SourcedNet deploy(const SourcedNet& source, const Shape& input);

/// Inserts a Split layer for every top that is read more than once. Source: Caffe, with its names:
/// layer BLOB_LAYER_TOP_split, tops BLOB_LAYER_TOP_split_K.
SourcedNet insert_splits(SourcedNet source);

/// A layer whose blobs are indices.
struct GraphLayer {
  LayerTraits traits;
  std::vector<int> bottoms, tops;   // indices into Graph::blobs
  std::vector<float> loss_weights;  // one per top
};

/// A net with resolved names and checked structure. `layers` has one entry per layer of the net.
struct Graph {
  std::vector<std::string> blobs;
  std::vector<GraphLayer> layers;
  std::vector<int> inputs;   // tops of Input layers
  std::vector<int> outputs;  // never consumed, in alphabetical order of name
};

/// Thrown for a net whose phase lacks blobs that layers of other phases make.
class PhaseError : public Error {
 public:
  using Error::Error;
};

/// Resolves names and checks types, arity, order, in-place use and loss weights. Adds a top to loss
/// layers without one. Throws: one Error with every problem. It is a PhaseError if other layers
/// need the top of a layer that filter() dropped.
Graph build_graph(const SourcedNet& source, Device device);

/// Which gradients backward has to compute.
struct GradientNeeds {
  std::vector<std::vector<bool>> bottoms;  // per layer, per bottom
  std::vector<bool> layers;                // whether backward runs at all
};

/// Finds the gradients to compute. `learns[i]` says whether layer i has a parameter with a nonzero
/// learning rate. Honours propagate_down and force_backward.
GradientNeeds gradient_needs(const SourcedNet& source, const Graph& graph,
                             const std::vector<bool>& learns);

}  // namespace doppio
