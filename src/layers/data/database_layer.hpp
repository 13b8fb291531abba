#pragma once
#include <memory>
#include <string>
#include <vector>

#include "layers/data/image_layer.hpp"

namespace doppio {

/// Base of Data and AnnotatedData: reads images from the database of data_param, or from several
/// that form one.
class DatabaseLayer : public ImageLayer {
 protected:
  /// `height` and `width` of all images before the crop; 0 if unknown.
  explicit DatabaseLayer(const LayerParameter& layer, Index height = 0, Index width = 0);

  /// Returns a reader of records.
  virtual std::unique_ptr<ImageReader> make_reader() const = 0;

  DecodeOptions decode_options() const {
    return {.color = transformer().color(), .min_side = read().min_side};
  }

 private:
  std::unique_ptr<ImageSource> open_source() const override;
  std::string missing_source() const override;
  std::vector<std::string> paths() const;
  void check_backend(const std::string& path) const;

  const DataParameter param_;
};

}  // namespace doppio
