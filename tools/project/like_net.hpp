#pragma once
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/shape.hpp"
#include "net/format/source_map.hpp"

namespace doppio {

/// A net that serves as a pattern: one of models/, or a folder with the same three files.
struct LikeNet {
  std::string name;      ///< of the folder
  std::string shown;     ///< "models/NAME" or the folder's path, for texts
  SourcedNet train_val;  ///< train_val.prototxt, for both phases
  SolverParameter solver;
  Shape input;     ///< C x H x W of deploy.prototxt
  Index crop = 0;  ///< side of the crop when testing; 0: none

  /// Side of the square to which pictures are resized: the input's or, with a crop, about an eighth
  /// more (256 for 227 and 224). Pictures that all have one size S x S with a good margin keep it.
  Index stored_side(const Shape& common) const;
};

/// Reads net `name` of models_folder() or, if it contains a slash, of that folder. Throws: Error
/// with the nearest names if there is none.
LikeNet read_like(const std::string& name);

/// Returns the name of the net in models_folder() whose layers all have weights in the file: of
/// several, the one with the net's name that the file states, else the first. Throws: Error if
/// there is none.
std::string like_of_weights(const std::string& weights);

/// What a net is to be adapted to.
struct Target {
  std::string name;    ///< of the new net
  std::string folder;  ///< with train_lmdb, val_lmdb and mean.binaryproto; ends with '/'
  Index classes = 0;
  Index train = 0, val = 0;  ///< numbers of pictures
  std::string weights = {};  ///< fine-tune from these; empty: train from scratch
  double epochs = 0;         ///< 0: by the number of pictures
  std::uint64_t seed = 1;
};

/// Returns the net for other pictures: other data, and as many outputs as classes. When weights are
/// given, the layers with these outputs get new names, so that they start anew, and learn ten times
/// as fast as the others.
SourcedNet adapted_net(const LikeNet& like, const Target& target);

/// Returns a solver for that net. All that does not
/// depend on the data, such as the rule, momentum and weight decay, is that of `like`.
///
/// Batches have at most a quarter of the pictures. The learning rate starts at that of `like`,
/// times the square root of the ratio of the batch sizes, and a tenth of that for fine-tuning; it
/// falls linearly to 0. Training takes 30 epochs (10 for fine-tuning), at least 600 iterations
/// (300), and at most as many as `like` takes.
SolverParameter adapted_solver(const LikeNet& like, const Target& target);

/// Returns how often that training reads each picture.
double adapted_epochs(const LikeNet& like, const Target& target);

}  // namespace doppio
