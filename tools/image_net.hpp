#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/arena.hpp"
#include "doppio/net.hpp"
#include "tools/image_files.hpp"
#include "tools/image_input.hpp"

namespace doppio {

/// The names of a net's files.
struct Member;
class Overrides;

/// A net whose input is an image.
class ImageNet {
 public:
  /// Reads the net and its weights. `keep` names the blobs that are read after run(); without any,
  /// it is scores(). `arena` holds the blobs of all nets, which never run at the same time. Throws:
  /// Error unless the net has one Input layer with one top of N x C x H x W.
  ImageNet(Context& ctx, const Member& files, Overrides& overrides,
           const std::vector<std::string>& keep, const std::shared_ptr<Arena>& arena);
  ~ImageNet();
  ImageNet(ImageNet&&) noexcept;

  const std::string& model() const { return model_; }
  Net& net() { return *net_; }
  Index views() const { return views_; }
  /// The blob of scores: the top of the last Softmax, else the only output. Throws: Error if there
  /// are several outputs and no Softmax.
  const std::string& scores() const { return scores_; }
  /// True if the scores are the output of a Softmax layer.
  bool has_probabilities() const { return probabilities_; }
  /// Number of scores of an image.
  std::size_t classes() const;

  /// Number of images that run() takes at once.
  std::size_t batch() const;
  /// Runs the net on `images`, views() items of a blob for each. Returns an Error for each image
  /// that cannot be read, whose items are meaningless.
  std::vector<std::optional<Error>> run(std::span<const ImageFile> images);

 private:
  void find_scores();

  std::string model_;
  Index views_ = 1;
  std::unique_ptr<Net> net_;
  std::unique_ptr<ImageInput> input_;
  std::string scores_;
  bool probabilities_ = false;
};

}  // namespace doppio
