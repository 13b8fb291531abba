#pragma once
#include <string>

#include "doppio/shape.hpp"
#include "net/format/source_map.hpp"

namespace doppio {

/// The size of the images that a net's data layer reads in phase TEST, before the crop: C x H x W.
/// It is taken from the layer's database or, if there is none, from its mean file. Throws: Error
/// with what to do if neither exists.
Shape stored_image(const SourcedNet& test_net);

/// Writes the deploy net (see deploy()) of `net`, which has rules for phase TEST, to `file`, or to
/// standard output if it is empty. `image` is the size of the images before the crop.
///
/// The Input layer's mean_file is relative to the folder of `file`. Its size is that to which
/// images are resized. If a net with a crop has no mean file, a mean image of its mean_value is
/// therefore written to FILE_mean.binaryproto, FILE without its ending. Throws: Error if the net
/// has no data layer, or does not work without its labels.
void write_deploy_net(const SourcedNet& net, const Shape& image, const std::string& file);

}  // namespace doppio
