#pragma once
#include <string>
#include <vector>

#include "doppio/net.hpp"

namespace doppio {

/// Implements Net::copy_weights and Net::save for .h5 files. Datasets are data/LAYER/I (and
/// diff/LAYER/I with gradients), one for each parameter that the layer owns. Shared parameters are
/// stored only with their owner. Source: matches Caffe.
std::vector<CopiedLayer> copy_weights_hdf5(Net& net, const std::string& file);
std::string save_weights_hdf5(Net& net, const std::string& file, bool with_grads);

}  // namespace doppio
