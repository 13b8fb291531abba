#pragma once
#include <string>

#include "data/convert/convert_imageset.hpp"
#include "data/convert/stored_images.hpp"

namespace doppio {

struct IdxOptions {
  std::string images;    ///< file such as MNIST's train-images-idx3-ubyte, or its .gz
  std::string labels;    ///< file such as train-labels-idx1-ubyte, or its .gz
  std::string database;  ///< folder to create
  bool overwrite = false;
  Progress progress = nullptr;
  std::string backend = "lmdb";  ///< or "leveldb"
};

/// Creates a database of gray images and labels from files in MNIST's idx format. Keys are "%08d".
/// Throws: Error, and removes the database, if a file is invalid.
StoredImages convert_idx(const IdxOptions& options);

}  // namespace doppio
