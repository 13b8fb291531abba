#include "core/with_context.hpp"
#include "data/augment/annotated_reader.hpp"
#include "data/augment/expand.hpp"
#include "doppio/extend/registry.hpp"
#include "layers/data/database_layer.hpp"

namespace doppio {
namespace {

constexpr Index kRow = 8;  // image, label, instance, xmin, ymin, xmax, ymax, difficult

/// Images and the boxes of their objects from a database of AnnotatedDatum records, in its order or
/// shuffled, epoch after epoch, with random augmentation for training a detector.
///
/// Tops: data, batch_size x C x H x W; objects, 1 x 1 x G x 8, rows (image, label, instance, xmin,
/// ymin, xmax, ymax, difficult), in fractions of the image, or one row of -1 if the batch has none.
/// Random draws depend on ctx.seed, the layer's name and the image's number since the start of
/// training, not on threads, batch_size or shards.
/// Throws: Error that names database and record if that is no AnnotatedDatum, or has a bad label,
/// box or image. Source: Liu et al., "SSD: Single Shot MultiBox Detector" (2016); matches SSD's
/// Caffe except as listed at Augmenter.
class AnnotatedData final : public DatabaseLayer {
 public:
  explicit AnnotatedData(const LayerParameter& p)
      : DatabaseLayer(without_augmentation(p), known(p).height(), known(p).width()),
        transform_(p.transform_param()),
        boxes_assumed_(p.annotated_data_param().has_anno_type()),
        augmenter_(std::make_shared<Augmenter>(transform_, p.annotated_data_param())) {
    require_field(transformer().views() == 1, "transform_param.views",
                  "AnnotatedData gives one view of an image");
    const std::string& map = p.annotated_data_param().label_map_file();
    if (!map.empty())
      labels_ = with_context(field_context("annotated_data_param.label_map_file"),
                             [&] { return read_label_map(map); });
  }

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    DatabaseLayer::reshape(ctx, bottom, top.first(1));
    if (top.size() > 1 && !shown()) top[1]->reshape({1, 1, 1, kRow});
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    DatabaseLayer::forward(ctx, bottom, top.first(1));
    if (top.size() < 2) return;
    std::vector<float> rows;
    for (std::size_t i = 0; i < static_cast<std::size_t>(top[0]->shape()[0]); ++i)
      rows.insert(rows.end(), shown()->rows[i].begin(), shown()->rows[i].end());
    if (rows.empty()) rows.assign(kRow, -1);
    top[1]->reshape({1, 1, static_cast<Index>(rows.size()) / kRow, kRow});
    std::copy(rows.begin(), rows.end(), top[1]->data.write_host());
  }

 private:
  std::unique_ptr<ImageReader> make_reader() const override {
    return make_annotated_reader({decode_options(), augmenter_, labels_, boxes_assumed_});
  }

  void write_label(const Image& image, const Transformer::View& view, DataBatch& batch,
                   Index i) const override {
    std::vector<ImageObject> objects = *image.objects;
    const auto pixels = [](Index n) { return static_cast<int>(n); };
    const cv::Rect shown_part(pixels(view.w0), pixels(view.h0), pixels(view.width),
                              pixels(view.height));
    project_objects(objects,
                    fractions(shown_part, cv::Size(pixels(image.width), pixels(image.height))),
                    transform_.has_emit_constraint() ? &transform_.emit_constraint() : nullptr);
    if (view.mirror) mirror_objects(objects);
    const ResizeParameter& p = transform_.resize_param();
    const bool in_pixels = p.resize_mode() == ResizeParameter::FIT_SMALL_SIZE &&
                           p.width_scale() > 0 && p.height_scale() > 0;
    const float x = in_pixels ? static_cast<float>(view.width) / p.width_scale() : 1;
    const float y = in_pixels ? static_cast<float>(view.height) / p.height_scale() : 1;
    std::vector<float>& rows = batch.rows[static_cast<std::size_t>(i)];
    rows.clear();
    for (const ImageObject& o : objects)
      rows.insert(rows.end(),
                  {static_cast<float>(i), exact_float(o.label, "label"),
                   exact_float(o.instance, "instance_id"), o.box.xmin * x, o.box.ymin * y,
                   o.box.xmax * x, o.box.ymax * y, o.difficult ? 1.0f : 0.0f});
  }

  /// Clears the fields of transform_param that Augmenter handles.
  static LayerParameter without_augmentation(LayerParameter p) {
    TransformationParameter& transform = *p.mutable_transform_param();
    transform.clear_resize_param();
    transform.clear_noise_param();
    transform.clear_emit_constraint();
    transform.clear_distort_param();
    transform.clear_expand_param();
    return p;
  }

  /// Returns the size of all images, if resizing makes it equal.
  static ResizeParameter known(const LayerParameter& p) {
    const ResizeParameter& resize = p.transform_param().resize_param();
    return resize.resize_mode() == ResizeParameter::FIT_SMALL_SIZE ? ResizeParameter() : resize;
  }

  const TransformationParameter transform_;
  const bool boxes_assumed_;
  const std::shared_ptr<const Augmenter> augmenter_;
  std::set<int> labels_;
};
DOPPIO_REGISTER_LAYER_ON(Device::any, "AnnotatedData", AnnotatedData, .bottoms = exactly(0),
                         .tops = {1, 2}, .is_source = true);

}  // namespace
}  // namespace doppio
