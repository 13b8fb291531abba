#pragma once
#include "doppio/tensor.hpp"

namespace doppio {

/// Copies one of several equal parts of `whole` to `part_of_it`. The parts follow each other along
/// the axis whose size differs between the two; if none does, every part is a copy of the whole.
/// Throws: InternalError if the shapes do not fit.
void copy_part(const Tensor& whole, const ChannelPart& part, Tensor& part_of_it);

/// The reverse: writes a part to its place in `whole` and keeps the rest.
void insert_part(const Tensor& part_of_it, const ChannelPart& part, Tensor& whole);

}  // namespace doppio
