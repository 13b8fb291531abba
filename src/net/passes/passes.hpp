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

/// For each BatchNorm layer the in-place Scale layer with a bias per channel that is next to use
/// its top, which it may take over; -1 where there is none, and for all other layers.
std::vector<int> scales_to_fuse(const SourcedNet& source, const Graph& graph);

/// For each layer the BatchNorm that is next to use its only top, which the layer may take over in
/// inference; -1 where there is none.
std::vector<int> norms_to_fuse(const SourcedNet& source, const Graph& graph);

/// For each layer the Eltwise that adds its only top (which a BatchNorm and a Scale in place may
/// have changed) to another blob, which the layer may do itself in inference; -1 where there is
/// none. There is nothing else between the two.
std::vector<int> sums_to_fuse(const SourcedNet& source, const Graph& graph);

/// For each LRN layer the Pooling layer that alone uses its top, and which it may take over; -1
/// where there is none, and for all other layers.
std::vector<int> pools_to_fuse(const SourcedNet& source, const Graph& graph);

/// For each layer the in-place ReLU that is next to use its only top (behind the Scale layer that
/// it may take over), which the layer may take over as well; -1 where there is none.
std::vector<int> relus_to_fuse(const SourcedNet& source, const Graph& graph);

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
