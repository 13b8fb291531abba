#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/image/transformer.hpp"
#include "doppio/tensor.hpp"

namespace doppio {

/// How to turn image files into the input of a net. The result equals that of a data layer in phase
/// TEST on a database whose images were resized on creation.
struct ImagePreparation {
  std::string mean_file;          ///< BlobProto of the size before the crop, or empty
  std::vector<float> mean_value;  ///< alternative to mean_file: none, one, or one per channel
  float scale = 1;                ///< applied after subtraction of the mean
  /// Height and width before the central crop. 0: size of the mean image or, without one, of the
  /// input.
  Index resize = 0;
  Index views = 1;  ///< as in transform_param.views
};

/// Prepares images for an input of 1 x H x W (gray) or 3 x H x W (B, G, R).
class ImageInput {
 public:
  /// Throws: Error if the preparation does not fit `input`.
  ImageInput(const ImagePreparation& preparation, const Shape& input);

  /// Writes the values of image `file` to `out`, once per view. Throws: Error that names the file.
  void read(const std::string& file, float* out);

 private:
  Color color_;
  Index height_ = 0, width_ = 0;  // before the crop
  std::unique_ptr<Transformer> transformer_;
};

}  // namespace doppio
