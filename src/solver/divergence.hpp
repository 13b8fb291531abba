#pragma once
#include <string>

namespace doppio {

class Net;

/// Finds the first inf or nan value in the order of the net. Returns a sentence such as "the first
/// such value is in blob 'ip1', a top of layer 'ip1' (InnerProduct), ...", or "" if there is none.
std::string first_non_finite(Net& net);

/// Loss of SoftmaxWithLoss if the true class of every sample gets probability 0: minus the log of
/// the smallest normal float.
constexpr float kSaturatedSoftmaxLoss = 87.3365f;

}  // namespace doppio
