#pragma once
#include <memory>
#include <string>
#include <vector>

#include "tools/image_files.hpp"

namespace doppio {

/// Prints the classes of images to standard output.
class Predictions {
 public:
  /// Prints up to `top` classes of an image, with names from `labels` if it is not empty.
  Predictions(int top, const std::vector<std::string>& labels)
      : top_(static_cast<std::size_t>(top)), labels_(labels) {}
  virtual ~Predictions() = default;
  /// Prints the classes with the highest `scores`, which has one per class.
  void print(const ImageFile& image, const std::vector<double>& scores);
  /// Ends the output. Logs the accuracy if the images had labels.
  void finish();

 protected:
  struct Class {
    std::size_t number;
    std::string name;  // the number if there are no labels
    double score;
  };

  virtual void begin() {}
  virtual void write(const ImageFile& image, const std::vector<Class>& best) = 0;
  virtual void end() {}

 private:
  std::size_t top_ = 0;
  std::vector<std::string> labels_;
  std::size_t printed_ = 0, labelled_ = 0, right_ = 0;
  bool begun_ = false;
};

/// `format` is one of these; `top` is the number of classes to print:
///
/// text: as Caffe's classification example, a heading and lines `0.9995 - "name"`.
/// csv:  lines image,rank,class,name,score (RFC 4180) after a line with these names.
/// json: an array of {"image": ..., "classes": [{"class": 3, "name": ..., "score": ...}, ...]}.
///
/// Throws: UsageError for another format.
std::unique_ptr<Predictions> make_predictions(const std::string& format, int top,
                                              const std::vector<std::string>& labels);

}  // namespace doppio
