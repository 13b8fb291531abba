#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/convert/convert_imageset.hpp"

namespace doppio {

/// The pictures of a class, as paths below the root, in order.
struct PictureClass {
  std::string name;
  std::vector<std::string> train, val;
};

/// Labelled pictures, divided into those to train on and those to validate with.
struct PictureSet {
  std::string root;                   ///< ends with '/'
  std::vector<PictureClass> classes;  ///< sorted by name; the position is the label
  bool val_is_train = false;  ///< there are too few pictures: those of val are those of train
  std::vector<std::string> warnings;  ///< what was left out, and why
  Shape common;                       ///< H x W of all pictures, or without axes if they differ

  Index train_count() const;
  Index val_count() const;
};

struct PictureOptions {
  std::string folder;
  double val_share = 0.2;  ///< part of each class that is set aside for validation
  std::uint64_t seed = 1;  ///< of the choice
  Progress progress = nullptr;
};

/// Reads a folder of pictures with one folder per class, or with folders `train` and `val` (or
/// `valid`, `validation`, `test`) that have one folder per class each.
///
/// Every picture is decoded once. Those that cannot be read are left out, and so are copies: a
/// picture that occurs several times in a class is used once, for training if it is in both sets,
/// and one that occurs in several classes is not used at all. A class of one picture is only
/// trained on. If no class has two, the same pictures serve for training and validation. Throws:
/// Error unless there are at least two classes with pictures.
PictureSet read_pictures(const PictureOptions& options);

/// Writes lines "path label" of the pictures to train on or to validate with.
void write_list(const std::string& file, const PictureSet& set, bool train);

}  // namespace doppio
