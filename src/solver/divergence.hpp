#pragma once
#include <string>

namespace doppio {

class Net;

/// Where the first value that is inf or nan stands, following the order of the net: a sentence such
/// as "the first such value is in blob 'ip1', a top of layer 'ip1' (InnerProduct), ..."; empty if
/// there is none.
std::string first_non_finite(Net& net);

/// Loss at which SoftmaxWithLoss stands if every sample's true class gets probability 0: the log of
/// the smallest float.
constexpr float kSaturatedSoftmaxLoss = 87.3365f;

}  // namespace doppio
