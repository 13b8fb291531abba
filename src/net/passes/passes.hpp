#pragma once
// The steps from a net that was read to one that runs, each a function from value to value in a
// file of its own name.
#include <string>
#include <vector>

#include "doppio/net.hpp"
#include "net/format/read_prototxt.hpp"
#include "net/format/upgrade.hpp"

namespace doppio {

/// Drops the layers whose include/exclude rules do not meet `state`, and gives every layer left its
/// phase and the net's compute type, if it names none.
SourcedNet filter(SourcedNet source, const NetState& state);

/// Where a data layer gives several views of each image (transform_param.views), puts an
/// AverageViews layer before each Accuracy and SoftmaxWithLoss layer that reads its labels: layer
/// NAME_views, top BOTTOM_NAME_views. `source` has been filtered.
/// Throws: one Error with every layer that reads the labels and cannot take means.
SourcedNet average_views(SourcedNet source);

/// Adds a Split layer for every top that is read more than once.
/// Caffe's names: layer BLOB_LAYER_TOP_split, tops BLOB_LAYER_TOP_split_K.
SourcedNet insert_splits(SourcedNet source);

/// A layer with its blobs as numbers.
struct GraphLayer {
  LayerTraits traits;
  std::vector<int> bottoms, tops;   // indices into Graph::blobs
  std::vector<float> loss_weights;  // one per top
};

/// A net whose names are resolved and whose structure is checked. `layers` runs parallel to the
/// net's.
struct Graph {
  std::vector<std::string> blobs;
  std::vector<GraphLayer> layers;
  std::vector<int> inputs;   // tops of Input layers
  std::vector<int> outputs;  // never consumed, in alphabetical order of name
};

/// A net that lacks blobs in its phase which layers of other phases make.
class PhaseError : public Error {
 public:
  using Error::Error;
};

/// Resolves names; checks types, arity, order, in-place use and loss weights. Loss layers without a
/// top get one. Throws: one Error with every problem, a PhaseError if a layer was left out that
/// others need.
Graph build_graph(const SourcedNet& source, Device device);

/// Which gradients backward has to compute.
struct GradientNeeds {
  std::vector<std::vector<bool>> bottoms;  // per layer, per bottom
  std::vector<bool> layers;                // run backward at all?
};

/// `learns[i]`: layer i has a parameter with a learning rate. Honours propagate_down and
/// force_backward.
GradientNeeds gradient_needs(const SourcedNet& source, const Graph& graph,
                             const std::vector<bool>& learns);

}  // namespace doppio
