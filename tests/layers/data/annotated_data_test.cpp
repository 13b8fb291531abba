#include <algorithm>
#include <cmath>
#include <limits>
#include <opencv2/imgcodecs.hpp>

#include "data/storage/database.hpp"
#include "doppio.pb.h"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

/// A box of an object: its label, instance, coordinates, and whether it is difficult.
struct Labelled {
  int label, instance;
  float xmin, ymin, xmax, ymax;
  bool difficult = false;
};

/// A record of 1 x `height` x `width` bytes n, n + 1, ... and its objects.
AnnotatedDatum record(int n, int height, int width, const std::vector<Labelled>& objects = {}) {
  AnnotatedDatum result;
  result.set_type(AnnotatedDatum::BBOX);
  Datum& datum = *result.mutable_datum();
  datum.set_channels(1);
  datum.set_height(height);
  datum.set_width(width);
  for (int i = 0; i < height * width; ++i)
    datum.mutable_data()->push_back(static_cast<char>(n + i));
  for (const Labelled& o : objects) {
    AnnotationGroup& group = *result.add_annotation_group();
    group.set_group_label(o.label);
    Annotation& annotation = *group.add_annotation();
    annotation.set_instance_id(o.instance);
    annotation.mutable_bbox()->set_xmin(o.xmin);
    annotation.mutable_bbox()->set_ymin(o.ymin);
    annotation.mutable_bbox()->set_xmax(o.xmax);
    annotation.mutable_bbox()->set_ymax(o.ymax);
    annotation.mutable_bbox()->set_difficult(o.difficult);
  }
  return result;
}

class AnnotatedData : public testing::Test {
 protected:
  std::string make_raw(const std::vector<std::string>& records, Backend backend = Backend::lmdb) {
    std::string path = folder / str("db", ++databases_);
    const auto writer = make_database(path, backend);
    for (std::size_t i = 0; i < records.size(); ++i) writer->put(str("key", 10 + i), records[i]);
    writer->finish();
    return path;
  }

  std::string make(const std::vector<AnnotatedDatum>& records, Backend backend = Backend::lmdb) {
    std::vector<std::string> raw;
    for (const AnnotatedDatum& r : records) raw.push_back(r.SerializeAsString());
    return make_raw(raw, backend);
  }

  static std::string layer(const std::string& source, int batch, const std::string& transform = {},
                           const std::string& more = {}, const std::string& data = {}) {
    return str("type: 'AnnotatedData' data_param { source: '", source, "' batch_size: ", batch, " ",
               data, " } transform_param { ", transform, " } ", more);
  }

  /// The rows of `batches` batches, and their data, as one vector.
  static std::vector<float> run(LayerHarness& h, int batches) {
    std::vector<float> all;
    for (int i = 0; i < batches; ++i) {
      h.forward();
      for (const int t : {0, 1}) {
        const std::vector<float> v = values(h.top(t).data);
        all.insert(all.end(), v.begin(), v.end());
      }
    }
    return all;
  }

  /// The error of the second record of a database whose first one is sound.
  std::string error_in(const std::string& second, const std::string& transform = {},
                       const std::string& more = {}) {
    const std::string db = make_raw({record(0, 2, 2).SerializeAsString(), second});
    LayerHarness h(layer(db, 2, transform, more), {}, {.tops = 2});
    const std::string error = error_of([&] { h.forward(); }), name = "database " + db + ", ";
    EXPECT_TRUE(contains(error, name)) << error;
    return error.substr(std::min(error.size(), name.size()));
  }

  ScratchFolder folder;

 private:
  int databases_ = 0;
};

TEST_F(AnnotatedData, ReadsImagesAndBoxes) {
  const std::vector<AnnotatedDatum> records = {
      record(0, 1, 2, {{2, 5, 0.25f, 0, 0.5f, 1}}), record(9, 1, 2),
      record(20, 1, 2, {{1, 0, 0, 0, 1, 1, true}, {3, 1, 0, 0.5f, 1, 1}})};
  for (const Backend backend : {Backend::lmdb, Backend::leveldb}) {
    LayerHarness h(layer(make(records, backend), 3), {}, {.tops = 2});
    EXPECT_EQ(h.top(0).shape(), Shape({3, 1, 1, 2}));
    EXPECT_EQ(h.top(1).shape(), Shape({1, 1, 1, 8}));
    h.forward();
    expect_values(h.top(0).data, {0, 1, 9, 10, 20, 21});
    EXPECT_EQ(h.top(1).shape(), Shape({1, 1, 3, 8}));
    expect_values(h.top(1).data, {0, 2, 5, 0.25f, 0,    0.5f, 1, 0,  //
                                  2, 1, 0, 0,     0,    1,    1, 1,  //
                                  2, 3, 1, 0,     0.5f, 1,    1, 0});
  }
  LayerHarness data_only(layer(make(records), 1), {});
  data_only.forward();
  expect_values(data_only.top(0).data, {0, 1});
}

TEST_F(AnnotatedData, WithoutBoxesThereIsOneRow) {
  LayerHarness h(layer(make({record(0, 1, 1), record(1, 1, 1, {{1, 0, 0, 0, 1, 1}})}), 1), {},
                 {.tops = 2});
  h.forward();
  expect_values(h.top(1).data, std::vector<float>(8, -1));
  h.forward();
  expect_values(h.top(1).data, {0, 1, 0, 0, 0, 1, 1, 0});
  h.forward();
  expect_values(h.top(1).data, std::vector<float>(8, -1));
}

TEST_F(AnnotatedData, CropsMoveBoxes) {
  // The central 2 x 2 pixels of 4 x 4; the second box lies beyond, the third partly.
  const std::string db = make({record(
      0, 4, 4, {{1, 0, 0.25f, 0.25f, 0.5f, 0.5f}, {2, 0, 0, 0, 0.25f, 1}, {3, 0, 0.5f, 0, 1, 1}})});
  for (const std::string crop : {"crop_size: 2", "crop_h: 2 crop_w: 2"}) {
    LayerHarness h(layer(db, 1, crop + " scale: 2 mean_value: 1", "phase: TEST"), {}, {.tops = 2});
    h.forward();
    expect_values(h.top(0).data, {8, 10, 16, 18});
    expect_values(h.top(1).data, {0, 1, 0, 0, 0, 0.5f, 0.5f, 0, 0, 3, 0, 0.5f, 0, 1, 1, 0});
  }
  LayerHarness flat(layer(db, 1, "crop_h: 2 crop_w: 4 emit_constraint {}", "phase: TEST"), {},
                    {.tops = 2});
  flat.forward();
  EXPECT_EQ(flat.top(0).shape(), Shape({1, 1, 2, 4}));
  expect_values(flat.top(1).data, {0, 1,     0, 0.25f, 0, 0.5f, 0.5f, 0,    0, 2, 0, 0,
                                   0, 0.25f, 1, 0,     0, 3,    0,    0.5f, 0, 1, 1, 0});
  LayerHarness centre(layer(db, 1, "crop_size: 2 emit_constraint {}", "phase: TEST"), {},
                      {.tops = 2});
  centre.forward();
  expect_values(centre.top(1).data, {0, 1, 0, 0, 0, 0.5f, 0.5f, 0, 0, 3, 0, 0.5f, 0, 1, 1, 0});
}

/// A bright pixel on black, and a box around it.
AnnotatedDatum dot(int row, int column, int size) {
  const auto unit = 1 / static_cast<float>(size);
  const auto x = static_cast<float>(column) * unit, y = static_cast<float>(row) * unit;
  AnnotatedDatum result = record(0, size, size, {{1, 0, x, y, x + unit, y + unit}});
  std::string& pixels = *result.mutable_datum()->mutable_data();
  std::fill(pixels.begin(), pixels.end(), '\0');
  pixels[static_cast<std::size_t>(row) * static_cast<std::size_t>(size) +
         static_cast<std::size_t>(column)] = '\xff';
  return result;
}

TEST_F(AnnotatedData, BoxesStayAroundTheirObjects) {
  // Resizing takes the nearest pixel, at most one of the result away.
  constexpr int kCrop = 36;
  constexpr float kNear = 1.1f / kCrop;
  const std::string text =
      layer(make({dot(2, 1, 8), dot(6, 7, 8)}), 40,
            "mirror: true crop_size: 36 expand_param { max_expand_ratio: 3 } "
            "resize_param { height: 48 width: 48 interp_mode: NEAREST }",
            "annotated_data_param { batch_sampler { sampler { min_scale: 0.3 max_scale: 1 } } }");
  LayerHarness h(text, {}, {.tops = 2});
  h.forward();
  const std::vector<float> pixels = values(h.top(0).data), rows = values(h.top(1).data);
  int checked = 0;
  for (std::size_t r = 0; r < rows.size(); r += 8) {
    const auto pixel = [&](int y, int x) {
      return pixels[(static_cast<std::size_t>(rows[r]) * kCrop + static_cast<std::size_t>(y)) *
                        kCrop +
                    static_cast<std::size_t>(x)];
    };
    for (int y = 0; y < kCrop; ++y)
      for (int x = 0; x < kCrop; ++x) {
        const float cx = (static_cast<float>(x) + 0.5f) / kCrop,
                    cy = (static_cast<float>(y) + 0.5f) / kCrop;
        const float inside =
            std::min({cx - rows[r + 3], rows[r + 5] - cx, cy - rows[r + 4], rows[r + 6] - cy});
        if (std::abs(inside) < kNear) continue;
        EXPECT_EQ(pixel(y, x), inside > 0 ? 255 : 0) << r << " " << y << " " << x;
        checked += inside > 0;
      }
  }
  EXPECT_GT(checked, 30);
}

TEST_F(AnnotatedData, MirrorsBoxes) {
  LayerHarness h(layer(make({dot(0, 1, 4)}), 20, "mirror: true"), {}, {.tops = 2});
  h.forward();
  const std::vector<float> pixels = values(h.top(0).data), rows = values(h.top(1).data);
  ASSERT_EQ(rows.size(), 160u);
  int mirrored = 0;
  for (std::size_t i = 0; i < 20; ++i) {
    const auto column = static_cast<std::size_t>(std::lround(rows[i * 8 + 3] * 4));
    EXPECT_EQ(pixels[i * 16 + column], 255);
    mirrored += column == 2;
  }
  EXPECT_GT(mirrored, 3);
  EXPECT_LT(mirrored, 17);
}

constexpr char kAll[] =
    "mirror: true crop_h: 9 crop_w: 8 mean_value: 3 distort_param { brightness_prob: 0.5 "
    "brightness_delta: 32 contrast_prob: 0.5 contrast_lower: 0.5 contrast_upper: 1.5 } "
    "expand_param { prob: 0.5 max_expand_ratio: 3 } "
    "resize_param { height: 10 width: 12 interp_mode: [LINEAR, AREA, NEAREST, CUBIC, LANCZOS4] } "
    "noise_param { saltpepper: true saltpepper_param { fraction: 0.02 } } "
    "emit_constraint { emit_type: CENTER }";
constexpr char kSamplers[] =
    "annotated_data_param { batch_sampler { max_sample: 1 max_trials: 1 } batch_sampler { sampler "
    "{ min_scale: 0.3 max_scale: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2 } sample_constraint { "
    "min_jaccard_overlap: 0.1 } max_sample: 1 max_trials: 50 } }";

TEST_F(AnnotatedData, BatchesDependOnlyOnSeedAndPlace) {
  std::vector<AnnotatedDatum> records;
  for (int i = 0; i < 10; ++i)
    records.push_back(record(i, 12 + i, 20 - i,
                             {{i, 0, 0.1f, 0.2f, 0.5f, 0.7f}, {1, 1, 0.4f, 0.1f, 0.9f, 0.8f}}));
  const std::string db = make(records);
  const auto text = [&](int batch, const std::string& data) {
    return layer(db, batch, kAll, kSamplers, "shuffle: true " + data);
  };
  LayerHarness one(text(4, "threads: 1"), {}, {.tops = 2});
  const std::vector<float> first = run(one, 5), expected = run(one, 6);
  EXPECT_NE(first, std::vector<float>(expected.begin(),
                                      expected.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                             first.size(), expected.size()))));
  for (const int threads : {1, 2, 4}) {
    LayerHarness resumed(text(4, str("threads: ", threads, " prefetch: 2")), {}, {.tops = 2});
    EXPECT_EQ(run(resumed, 5), first) << threads;
    resumed.layer().seek({20});
    EXPECT_EQ(run(resumed, 6), expected) << threads;
  }
  LayerHarness other(text(4, ""), {}, {.tops = 2});
  other.ctx().seed = 99;
  EXPECT_NE(run(other, 5), first);
  // The batch's size changes who shares a batch, not what becomes of an image.
  LayerHarness small(text(2, ""), {}), large(text(4, ""), {});
  std::vector<float> halves;
  for (int i = 0; i < 2; ++i) {
    small.forward();
    const std::vector<float> half = values(small.top(0).data);
    halves.insert(halves.end(), half.begin(), half.end());
  }
  large.forward();
  EXPECT_EQ(values(large.top(0).data), halves);
}

TEST_F(AnnotatedData, ImagesOfABatchOfOneMayDifferInSize) {
  const std::string db =
      make({record(0, 2, 4, {{1, 0, 0, 0, 1, 1}}), record(0, 4, 2, {{1, 0, 0.5f, 0, 1, 0.5f}})});
  const std::string small = "resize_param { resize_mode: FIT_SMALL_SIZE height: 6 width: 6 ";
  LayerHarness h(layer(db, 1, small + "}"), {}, {.tops = 2});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({1, 1, 6, 12}));
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({1, 1, 12, 6}));
  expect_values(h.top(1).data, {0, 1, 0, 0.5f, 0, 1, 0.5f, 0});
  LayerHarness scaled(layer(db, 1, small + "height_scale: 3 width_scale: 6 }"), {}, {.tops = 2});
  scaled.forward();
  expect_values(scaled.top(1).data, {0, 1, 0, 0, 0, 2, 2, 0});
  LayerHarness two(layer(db, 2, small + "}"), {}, {.tops = 2});
  EXPECT_ERROR(two.forward(),
               "record 'key11': the image is 1 x 12 x 6 and the first one 1 x 6 x 12");
}

TEST_F(AnnotatedData, DecodesImageFiles) {
  AnnotatedDatum file = record(0, 1, 1, {{1, 0, 0, 0, 1, 0.5f}});
  std::vector<unsigned char> png;
  cv::imencode(".png", cv::Mat(3, 5, CV_8UC3, cv::Scalar(1, 2, 3)), png);
  file.mutable_datum()->set_encoded(true);
  file.mutable_datum()->set_data(std::string(png.begin(), png.end()));
  const std::string db = make({file});
  LayerHarness h(layer(db, 1, "resize_param { height: 2 width: 1 }"), {}, {.tops = 2});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({1, 3, 2, 1}));
  expect_values(h.top(0).data, {1, 1, 2, 2, 3, 3});
  LayerHarness lab(
      layer(db, 1, "resize_param { height: 1 width: 1 } noise_param { convert_to_lab: true }"), {},
      {.tops = 2});
  lab.forward();
  EXPECT_LT(values(lab.top(0).data)[0], 1);  // nearly black
  LayerHarness gray(layer(db, 1, "force_gray: true"), {}, {.tops = 2});
  EXPECT_EQ(gray.top(0).shape(), Shape({1, 1, 3, 5}));
  // Three planes of raw bytes are the same.
  AnnotatedDatum raw = record(1, 2, 1);
  raw.mutable_datum()->set_channels(3);
  raw.mutable_datum()->set_data({1, 1, 2, 2, 3, 3});
  LayerHarness planes(layer(make({raw}), 1), {}, {.tops = 2});
  planes.forward();
  expect_values(planes.top(0).data, {1, 1, 2, 2, 3, 3});
}

TEST_F(AnnotatedData, NamesTheRecordThatIsDamaged) {
  const auto with_box = [](int label, float xmin, float xmax) {
    return record(0, 2, 2, {{label, 0, xmin, 0, xmax, 1}}).SerializeAsString();
  };
  const std::string record11 = "record 'key11': ";
  EXPECT_TRUE(contains(error_in("\xff\xff"), record11 + "the record is damaged or holds no boxes"));
  EXPECT_TRUE(contains(error_in(record(0, 2, 2).datum().SerializeAsString()),
                       record11 + "the record is damaged or holds no boxes: it is not an Annot"));
  EXPECT_EQ(error_in(with_box(-3, 0, 1)), record11 + "label -3 is negative");
  EXPECT_EQ(error_in(with_box(1, std::numeric_limits<float>::quiet_NaN(), 1)),
            record11 + "box (nan, 0, 1, 1) of label 1 has a coordinate that is not a number");
  EXPECT_EQ(error_in(with_box(1, 0.75f, 0.5f)),
            record11 +
                "box (0.75, 0, 0.5, 1) of label 1 is inverted; it must be (xmin, ymin, "
                "xmax, ymax)");
  EXPECT_TRUE(
      contains(error_in(with_box((1 << 24) + 1, 0, 1)), record11 + "label 16777217 is too large"));
  AnnotatedDatum bad = record(0, 2, 2);
  bad.mutable_datum()->set_encoded(true);
  EXPECT_TRUE(contains(error_in(bad.SerializeAsString()), record11 + "cannot decode the image"));
  bad = record(0, 2, 2);
  bad.mutable_datum()->clear_data();
  for (int i = 0; i < 4; ++i) bad.mutable_datum()->add_float_data(1);
  EXPECT_TRUE(contains(error_in(bad.SerializeAsString()), record11 + "the record holds floats"));
  bad.mutable_datum()->set_channels(2);
  bad.mutable_datum()->set_data("01234567");
  EXPECT_TRUE(contains(error_in(bad.SerializeAsString()), record11 + "the image has 2 channels"));
}

TEST_F(AnnotatedData, RecordsMayHaveLabelsInsteadOfBoxes) {
  AnnotatedDatum labelled = record(0, 2, 2);
  labelled.clear_type();
  const std::string text = labelled.SerializeAsString();
  EXPECT_TRUE(contains(error_in(text), "the record has a label, but no boxes"));
  LayerHarness h(layer(make({labelled}), 1, "", "annotated_data_param { anno_type: BBOX }"), {},
                 {.tops = 2});
  h.forward();
  expect_values(h.top(1).data, std::vector<float>(8, -1));
}

TEST_F(AnnotatedData, LabelsAreThoseOfTheMap) {
  const std::string map =
      folder.write("map.prototxt", "item { name: 'none' label: 0 } item { name: 'cat' label: 4 }");
  const std::string param = "annotated_data_param { label_map_file: '" + map + "' }";
  const auto with_label = [](int label) {
    return record(0, 2, 2, {{label, 0, 0, 0, 1, 1}}).SerializeAsString();
  };
  EXPECT_EQ(error_in(with_label(3), "", param),
            "record 'key11': label 3 is not in the label_map_file");
  LayerHarness h(layer(make_raw({with_label(4)}), 1, "", param), {}, {.tops = 2});
  h.forward();
  expect_values(h.top(1).data, {0, 4, 0, 0, 0, 1, 1, 0});
  folder.write("map.prototxt", "item { name: 'none'\n lable: 0 }");
  const std::string error =
      error_of([&] { LayerHarness(layer("db", 1, "", param), {}, {.tops = 2}); });
  EXPECT_TRUE(contains(error, map + ":2:2: error: ")) << error;
  folder.write("map.prototxt", "");
  EXPECT_ERROR(LayerHarness(layer("db", 1, "", param), {}, {.tops = 2}), map + " has no labels");
}

TEST_F(AnnotatedData, SkipsDamagedRecordsWhenAsked) {
  const std::string db = make_raw({record(0, 1, 1, {{1, 0, 0, 0, 1, 1}}).SerializeAsString(),
                                   record(1, 1, 1, {{-1, 0, 0, 0, 1, 1}}).SerializeAsString(),
                                   record(2, 1, 1).SerializeAsString()});
  LayerHarness h(layer(db, 3, "", "", "on_error: SKIP max_skipped: 0.5"), {}, {.tops = 2});
  h.forward();
  expect_values(h.top(0).data, {0, 2, 2});
  expect_values(h.top(1).data, {0, 1, 0, 0, 0, 1, 1, 0});
}

TEST_F(AnnotatedData, DryRunGuessesTheShapeOfAMissingDatabase) {
  LayerParameter param;
  param.set_type("AnnotatedData");
  param.mutable_data_param()->add_source(folder / "none_lmdb");
  param.mutable_data_param()->set_batch_size(5);
  param.mutable_transform_param()->mutable_resize_param()->set_height(30);
  param.mutable_transform_param()->mutable_resize_param()->set_width(40);
  Context ctx;
  ctx.dry_run = true;
  Blob data, labels;
  Blob* const tops[] = {&data, &labels};
  LayerRegistry::instance().find("AnnotatedData", Device::cpu).make(param)->reshape(ctx, {}, tops);
  EXPECT_EQ(data.shape(), Shape({5, 3, 30, 40}));
  EXPECT_EQ(labels.shape(), Shape({1, 1, 1, 8}));
}

TEST_F(AnnotatedData, RefusesBadParameters) {
  const std::string db = make({record(0, 4, 4)});
  const auto error = [&](const std::string& transform) {
    return error_of([&] { LayerHarness(layer(db, 1, transform, "phase: TEST"), {}, {.tops = 2}); });
  };
  EXPECT_EQ(error("crop_size: 2 views: 10"), "AnnotatedData gives one view of an image");
  EXPECT_EQ(error("crop_h: 2"), "give crop_size, or both crop_h and crop_w");
  EXPECT_EQ(error("crop_size: 2 crop_h: 2 crop_w: 2"), "give crop_size, or both crop_h and crop_w");
  EXPECT_TRUE(
      contains(error("crop_h: 2 crop_w: 5"), "crop_size 2 x 5 exceeds the image, 1 x 4 x 4"));
  EXPECT_TRUE(contains(error("resize_param {}"), "height 0 and width 0: give both"));
  for (const std::string field :
       {"resize_param", "noise_param", "emit_constraint", "distort_param", "expand_param"})
    EXPECT_EQ(error_of([&] {
                LayerHarness(str("type: 'Data' data_param { source: '", db,
                                 "' batch_size: 1 } transform_param { ", field, " {} }"),
                             {}, {.tops = 2});
              }),
              field + " is for images with boxes, in AnnotatedData; other layers cannot use it");
}

}  // namespace
}  // namespace doppio
