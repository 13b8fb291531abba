#pragma once
#include <string>
#include <vector>

#include "doppio.pb.h"

namespace doppio {

/// Today's name of a type of the old form `layers`: SOFTMAX_LOSS is "SoftmaxWithLoss"; NONE is "".
std::string type_name(V1LayerParameter::LayerType type);

/// The word of the old form for a type by either name, whatever its case: "ReLU" is "RELU"; empty
/// if the old form has no such type.
std::string old_type_name(const std::string& type);

/// All words for types of the old form.
std::vector<std::string> old_type_names();

/// Whether layers of this type can be built on some device.
bool is_layer_type(const std::string& type);

/// The message for a layer whose type is unknown, with what replaces it if that is known.
std::string unknown_type(const LayerParameter& layer);

}  // namespace doppio
