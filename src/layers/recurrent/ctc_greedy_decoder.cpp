#include <algorithm>
#include <vector>

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Greedy CTC decoding: the most probable class of each step, on the host.
///
/// Bottoms: probabilities T x N x C; markers T x N, 0 where a sequence begins: text n ends before
/// the first such step after step 0; optionally the true texts T x N, each ended by a negative
/// class. Tops: N x T x 1 x 1 classes without blanks and, if ctc_merge_repeated, without
/// repetitions, padded with -1; optionally scores N x 1 x 1 x 1, minus the sum of the
/// probabilities; with true texts, as the last of two or three tops, the fraction of texts that
/// match. No gradient. Throws: Error if the bottoms' sizes do not fit each other.
/// Source: Graves et al. (2006), connectionist temporal classification; types and fields are those
/// of a fork of Caffe, which also accepts a text that only begins with the true one.
class CtcGreedyDecoder final : public Layer {
 public:
  explicit CtcGreedyDecoder(const LayerParameter& layer) : p_(layer.ctc_decoder_param()) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& x = bottom[0]->shape();
    require(x.axes() >= 3 && x.count_from(2) > 0,
            "bottom 0 must hold probabilities, T x N x C, it is ", x.text());
    T_ = x[0], N_ = x[1], C_ = x.count_from(2);
    for (std::size_t b = 1; b < bottom.size(); ++b)
      require(bottom[b]->count() == T_ * N_, "bottom ", b, " must hold a value for each of ", T_,
              " steps of ", N_, " texts, it is ", bottom[b]->shape().text());
    require(top.size() <= bottom.size(), "the accuracy of texts needs the right ones as bottom 2");
    require_field(p_.blank_index() < C_, "ctc_decoder_param.blank_index", "blank_index ",
                  p_.blank_index(), " is not one of the ", C_, " classes");
    has_accuracy_ = bottom.size() == 3 && top.size() > 1;
    has_scores_ = top.size() > (has_accuracy_ ? 2u : 1u);
    top[0]->reshape({N_, T_, 1, 1});
    if (has_scores_) top[1]->reshape({N_, 1, 1, 1});
    if (has_accuracy_) top.back()->reshape({1, 1, 1, 1});
  }

  void forward(Context&, Bottoms bottom, Tops top) override {
    float* classes = top[0]->data.write_host();
    float* scores = has_scores_ ? top[1]->data.write_host() : nullptr;
    std::fill_n(classes, N_ * T_, -1.0f);
    Index right = 0;
    for (Index n = 0; n < N_; ++n) {
      float score = 0;
      const std::vector<float> text = decode(bottom, n, score);
      std::copy(text.begin(), text.end(), classes + n * T_);
      if (scores) scores[n] = score;
      if (has_accuracy_ && text == right_text(*bottom[2], n)) ++right;
    }
    if (has_accuracy_)
      top.back()->data.write_host()[0] = static_cast<float>(right) / static_cast<float>(N_);
  }

 private:
  std::vector<float> decode(Bottoms bottom, Index n, float& score) const {
    const float* probabilities = bottom[0]->data.read_host();
    const float* marks = bottom[1]->data.read_host();
    const Index blank = p_.blank_index() < 0 ? C_ - 1 : p_.blank_index();
    std::vector<float> text;
    Index before = -1;
    for (Index t = 0; t < T_ && (t == 0 || marks[t * N_ + n] != 0); ++t) {
      const float* of_step = probabilities + (t * N_ + n) * C_;
      const Index best = std::max_element(of_step, of_step + C_) - of_step;
      score -= of_step[best];
      const bool repeated = p_.ctc_merge_repeated() && best == before;
      if (best != blank && !repeated) text.push_back(static_cast<float>(best));
      before = best;
    }
    return text;
  }

  std::vector<float> right_text(const Blob& texts, Index n) const {
    const float* classes = texts.data.read_host();
    std::vector<float> text;
    for (Index t = 0; t < T_ && classes[t * N_ + n] >= 0; ++t) text.push_back(classes[t * N_ + n]);
    return text;
  }

  CTCDecoderParameter p_;
  Index T_ = 0, N_ = 0, C_ = 0;
  bool has_scores_ = false, has_accuracy_ = false;
};

DOPPIO_REGISTER_LAYER("CTCGreedyDecoder", CtcGreedyDecoder, .bottoms = {2, 3}, .tops = {1, 3},
                      .no_grad_bottoms = 0b111, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
