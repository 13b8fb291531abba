#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/image/transformer.hpp"
#include "doppio/tensor.hpp"

namespace doppio {

/// How image files become the input of a net. The result equals what training's data layer makes of
/// the same image in phase TEST, if that resized its images when the database was made.
struct ImagePreparation {
  std::string mean_file;          ///< BlobProto of the size before the crop; may be empty
  std::vector<float> mean_value;  ///< instead of mean_file: none, one, or one per channel
  float scale = 1;                ///< factor after the mean is subtracted
  /// Height and width before the central crop; 0: the mean image's or, without one, the input's.
  Index resize = 0;
  Index views = 1;  ///< as in transform_param.views
};

/// Prepares images for an input of 1 x H x W (gray) or 3 x H x W (B, G, R).
class ImageInput {
 public:
  /// Throws: Error if the preparation does not fit `input`.
  ImageInput(const ImagePreparation& preparation, const Shape& input);

  /// Writes the values of image `file`, once for each view.
  /// Throws: Error that names the file.
  void read(const std::string& file, float* out);

 private:
  Color color_;
  Index height_ = 0, width_ = 0;  // before the crop
  std::unique_ptr<Transformer> transformer_;
};

}  // namespace doppio
