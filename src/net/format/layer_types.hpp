#pragma once
#include <string>
#include <vector>

#include "doppio.pb.h"

namespace doppio {

/// Returns today's name of a V1 layer type: "SoftmaxWithLoss" for SOFTMAX_LOSS, "" for NONE.
std::string type_name(V1LayerParameter::LayerType type);

/// Returns the V1 name of a type given by either name in any case: "RELU" for "ReLU". Empty if V1
/// has no such type.
std::string old_type_name(const std::string& type);

/// Returns all V1 type names.
std::vector<std::string> old_type_names();

/// Returns whether layers of this type can be built on some device.
bool is_layer_type(const std::string& type);

/// Returns the error message for a layer of unknown type, with the replacement if one is known.
std::string unknown_type(const LayerParameter& layer);

}  // namespace doppio
