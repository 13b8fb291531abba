#pragma once
#include <string>

#include "data/convert/convert_imageset.hpp"

namespace doppio {

struct IdxOptions {
  std::string images;    ///< file of the format of MNIST's train-images-idx3-ubyte, or a .gz of it
  std::string labels;    ///< likewise train-labels-idx1-ubyte
  std::string database;  ///< folder to make
  bool overwrite = false;
  Progress progress = nullptr;
  std::string backend = "lmdb";  ///< or "leveldb"
};

/// Makes a database of gray images and labels in MNIST's idx format; keys are "%08d". Returns the
/// number of records. Throws: Error, and removes the database, if a file is not what it should be.
Index convert_idx(const IdxOptions& options);

}  // namespace doppio
