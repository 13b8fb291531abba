#pragma once
#include <optional>
#include <span>
#include <vector>

#include "doppio/net.hpp"
#include "solver/rules/update_rule.hpp"

namespace doppio {

/// The sums of the squares of a parameter's weights and of its gradient. If a parameter is divided
/// into ranges, the sums of the ranges add up to those of the parameter.
struct SquaredNorms {
  double weights = 0, gradient = 0;
};

/// Layer-wise adaptive rate scaling (LARS): replaces a parameter's lr_mult by
///
///     factor = ratio * |w| / (|g| + decay * |w|)
///
/// with the L2 norms of its weights w and of its gradient g after clipping and division by
/// iter_size, or by 1 if a norm is 0. An lr_mult of 0 still freezes the parameter.
///
/// Source: You, Gitman and Ginsburg, "Large batch training of convolutional networks" (2017);
/// matches the forks in which the fields originate. Unlike the paper, these ignore lr_mult, and
/// `decay` is weight_decay without decay_mult. local_lr_auto is that of Intel's Caffe and of
/// NVCaffe 0.16.4. larc is that of NVCaffe 0.17.1 and later: `ratio` includes 1 - momentum, so that
/// momentum does not lengthen the steps, and `decay` is 0. The forks implement both for SGD only.
struct Lars {
  double ratio;
  double decay;
  /// If true, the factor is an upper bound of the learning rate instead of multiplying it.
  bool clips;

  /// Returns the learning rate of a parameter with multiplier `lr_mult`. `step` gives the learning
  /// rate and the factors by which the gradient will be multiplied; `norms` are those before.
  float rate(const UpdateStep& step, float lr_mult, const SquaredNorms& norms) const;
  /// Returns the learning rates of all parameters, whose sums of squares are `norms`.
  std::vector<float> rates(const UpdateStep& step, std::span<const Parameter> parameters,
                           std::span<const SquaredNorms> norms) const;
};

/// Reads the fields of LARS; nothing if it is off. Throws: Error that names a field that is unknown
/// or out of range, or if both forms are on.
std::optional<Lars> lars_of(const SolverParameter& param);

/// Computes the sums of squares of all parameters on ctx's device, and waits for them once. Without
/// `with_weights`, those of the weights are 0.
std::vector<SquaredNorms> squared_norms(Context& ctx, UpdateRule& rule,
                                        std::span<const Parameter> parameters,
                                        bool with_weights = true);

}  // namespace doppio
