#pragma once
#include <string>
#include <vector>

#include "doppio/net.hpp"

namespace doppio {

/// Net::copy_weights and Net::save for .h5 files: datasets data/LAYER/I (and diff/LAYER/I with
/// gradients), one per parameter that the layer owns; shared parameters stand with their owner
/// only. Source: matches Caffe.
std::vector<CopiedLayer> copy_weights_hdf5(Net& net, const std::string& file);
std::string save_weights_hdf5(Net& net, const std::string& file, bool with_grads);

}  // namespace doppio
