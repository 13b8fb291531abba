#include "data/convert/convert_annotations.hpp"

#include "data/annotations_fixture.hpp"
#include "data/convert/class_labels.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;

class Annotations : public AnnotationsTest {};

TEST_F(Annotations, VocBoxesAreFractionsOfTheStatedSize) {
  folder.write("a.xml", voc(object("dog", "2 1 4 2", "<difficult>1</difficult>\n") +
                                object("cat", "1 1 8 4") + object("dog", "0 0 6 3"),
                            16, 4));
  folder.write("b.xml", voc(""));
  const AnnotationsResult result =
      convert_annotations(options(folder.write("list.txt", "a.png a.xml\nb.png\tb.xml\r\n")));
  const std::vector<StoredBoxes> records = read_boxes(folder / "db");
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].key, "00000000_a.png");
  const AnnotatedDatum& first = records[0].datum;
  EXPECT_TRUE(first.has_type());
  EXPECT_EQ(first.type(), AnnotatedDatum::BBOX);
  EXPECT_EQ(first.datum().data(), read_file(folder / "a.png"));
  EXPECT_TRUE(first.datum().encoded());
  EXPECT_EQ(first.datum().label(), -1);
  ASSERT_EQ(first.annotation_group_size(), 2);
  const AnnotationGroup &dogs = first.annotation_group(0), &cats = first.annotation_group(1);
  EXPECT_EQ(dogs.group_label(), 2);
  EXPECT_EQ(cats.group_label(), 1);
  ASSERT_EQ(dogs.annotation_size(), 2);
  ASSERT_EQ(cats.annotation_size(), 1);
  EXPECT_EQ(dogs.annotation(0).instance_id(), 0);
  EXPECT_EQ(dogs.annotation(1).instance_id(), 1);
  EXPECT_EQ(cats.annotation(0).instance_id(), 0);
  const NormalizedBBox& box = dogs.annotation(0).bbox();
  EXPECT_EQ(box.xmin(), 0.125f);
  EXPECT_EQ(box.ymin(), 0.25f);
  EXPECT_EQ(box.xmax(), 0.25f);
  EXPECT_EQ(box.ymax(), 0.5f);
  EXPECT_TRUE(box.difficult());
  EXPECT_FALSE(dogs.annotation(1).bbox().difficult());
  EXPECT_EQ(cats.annotation(0).bbox().xmax(), 0.5f);
  EXPECT_EQ(cats.annotation(0).bbox().ymax(), 1);
  EXPECT_EQ(records[1].datum.annotation_group_size(), 0);
  EXPECT_TRUE(records[1].datum.has_type());

  EXPECT_EQ(result.total, 2);
  EXPECT_EQ(result.written, 2);
  EXPECT_EQ(result.boxes, 3);
  EXPECT_EQ(result.without_boxes, 1);
  EXPECT_EQ(result.other_size.count, 1);
  EXPECT_TRUE(contains(result.other_size.first, "a.png: the annotation states 16 x 4 pixels"));
  ASSERT_EQ(result.classes.size(), 2u);
  EXPECT_EQ(result.classes[0].name, "cat");
  EXPECT_EQ(result.classes[0].boxes, 1);
  EXPECT_EQ(result.classes[1].label, 2);
  EXPECT_EQ(result.classes[1].boxes, 2);
  EXPECT_EQ(result.label_map, folder / "db_labelmap.prototxt");
}

TEST_F(Annotations, CocoAndVocGiveTheSameRecords) {
  folder.write(
      "a.xml",
      voc(object("cat", "1 1 4 3") + object("ant", "0.5 0 8 4") + object("cat", "0 0 2 2"), 8, 4));
  folder.write("b.xml", voc(object("cat", "3 0 10 7")));
  const std::string map =
      folder.write("map.prototxt",
                   "item { name: 'none' label: 0 } item { name: 'cat' label: 1 }\n"
                   "item { name: 'ant' label: 2 display_name: 'Ant' }");
  AnnotationsOptions from_voc = options(folder.write("list.txt", "a.png a.xml\nb.png b.xml\n"));
  from_voc.database = folder / "voc";
  from_voc.label_map = map;
  convert_annotations(from_voc);
  AnnotationsOptions from_coco = one_coco(coco(
      R"({"image_id": 5, "category_id": 9, "bbox": [3, 0, 7, 7], "iscrowd": 0, "id": 3,
          "segmentation": {"counts": [1, 2, {"bbox": 1}], "size": [4, 8]}},
         {"image_id": 7, "category_id": 9, "bbox": [1, 1, 3, 2], "segmentation": [[1, 2, 3, 4]]},
         {"segmentation": [], "bbox": [0.5, 0, 7.5, 4], "category_id": 10, "image_id": 7},
         {"image_id": 7, "category_id": 9, "bbox": [0, 0, 2, 2], "attributes": {"bbox": null}})"));
  from_coco.database = folder / "coco";
  convert_annotations(from_coco);
  const std::vector<StoredBoxes> one = read_boxes(folder / "voc"),
                                 two = read_boxes(folder / "coco");
  ASSERT_EQ(one.size(), 2u);
  ASSERT_EQ(two.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(one[i].key, two[i].key);
    EXPECT_EQ(one[i].datum.DebugString(), two[i].datum.DebugString());
  }
  EXPECT_EQ(one[0].datum.annotation_group_size(), 2);
  EXPECT_EQ(one[1].datum.annotation_group(0).annotation(0).bbox().xmin(), 0.3f);
  EXPECT_FALSE(fs::exists(folder / "voc_labelmap.prototxt"));
  const LabelMap made = read_class_labels(folder / "coco_labelmap.prototxt");
  ASSERT_EQ(made.item_size(), 3);
  EXPECT_EQ(made.item(0).name(), "none_of_the_above");
  EXPECT_EQ(made.item(0).label(), 0);
  EXPECT_EQ(made.item(1).name(), "cat");
  EXPECT_EQ(made.item(2).name(), "ant");
  EXPECT_EQ(made.item(2).label(), 2);
}

TEST_F(Annotations, TheLayerReadsWhatIsWritten) {
  convert_annotations(one_voc(voc(object("dog", "2 1 4 2", "<difficult>1</difficult>"), 8, 4)));
  LayerHarness h(str("type: 'AnnotatedData' data_param { source: '", folder / "db",
                     "' batch_size: 1 } annotated_data_param { label_map_file: '",
                     folder / "db_labelmap.prototxt", "' }"),
                 {}, {.tops = 2});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({1, 3, 4, 8}));
  EXPECT_EQ(values(h.top(0).data)[0], 1);
  expect_values(h.top(1).data, {0, 1, 0, 0.25f, 0.25f, 0.5f, 0.5f, 1});
}

TEST_F(Annotations, ImagesAreStoredAsAsked) {
  AnnotationsOptions o = one_voc(voc(object("dog", "2 1 4 2")));
  o.resize_height = o.resize_width = 2;
  o.encoded = false;
  convert_annotations(o);
  AnnotatedDatum stored = read_boxes(o.database)[0].datum;
  EXPECT_EQ(stored.datum().data(), "\1\1\1\1\2\2\2\2\3\3\3\3");
  EXPECT_EQ(stored.annotation_group(0).annotation(0).bbox().xmin(), 0.25f);
  o.encode_type = "jpg";
  o.gray = true;
  convert_annotations(o);
  stored = read_boxes(o.database)[0].datum;
  const cv::Mat decoded = decode_image(stored.datum().data(), Color::as_stored);
  EXPECT_EQ(decoded.channels(), 1);
  EXPECT_EQ(decoded.rows, 2);
  o.backend = "leveldb";
  convert_annotations(o);
  EXPECT_EQ(find_backend(o.database), Backend::leveldb);
  EXPECT_EQ(read_boxes(o.database).size(), 1u);
}

TEST_F(Annotations, ShufflesBySeed) {
  std::string list;
  for (int i = 0; i < 20; ++i) list += image(str(i, " x.png"), 4, 8, {}) + " a.xml\n";
  one_voc(voc(object("dog", "2 1 4 2")));
  AnnotationsOptions o = options(folder.write("list.txt", list));
  const auto keys = [&](bool shuffle, std::uint64_t seed) {
    o.shuffle = shuffle;
    o.seed = seed;
    convert_annotations(o);
    std::string all;
    for (const StoredBoxes& r : read_boxes(o.database)) all += r.key.substr(9) + ",";
    return all;
  };
  EXPECT_TRUE(keys(false, 1).starts_with("0 x.png,1 x.png,2 x.png,"));
  EXPECT_EQ(keys(true, 1), keys(true, 1));
  EXPECT_NE(keys(true, 1), keys(true, 2));
}

TEST_F(Annotations, CrowdsAreDifficultOrLeftOut) {
  AnnotationsOptions o =
      one_coco(coco(R"({"image_id": 7, "category_id": 9, "bbox": [0, 0, 2, 2], "iscrowd": 1},
              {"image_id": 7, "category_id": 9, "bbox": [0, 0, 4, 2], "iscrowd": 0})"));
  convert_annotations(o);
  AnnotationGroup group = read_boxes(o.database)[0].datum.annotation_group(0);
  ASSERT_EQ(group.annotation_size(), 2);
  EXPECT_TRUE(group.annotation(0).bbox().difficult());
  EXPECT_FALSE(group.annotation(1).bbox().difficult());
  o.crowds = CrowdBoxes::skip;
  EXPECT_EQ(convert_annotations(o).boxes, 1);
  group = read_boxes(o.database)[0].datum.annotation_group(0);
  ASSERT_EQ(group.annotation_size(), 1);
  EXPECT_EQ(group.annotation(0).bbox().xmax(), 0.5f);
  EXPECT_EQ(group.annotation(0).instance_id(), 0);
}

TEST_F(Annotations, UnusualBoxesAreCounted) {
  const AnnotationsResult result = convert_annotations(one_voc(
      voc(object("dog", "-1 1 9 2") + object("dog", "3 1 3 2") + object("cat", "0 0 8 4"), 8, 4)));
  EXPECT_EQ(result.outside.count, 1);
  EXPECT_TRUE(contains(result.outside.first, "a.png: box (-1, 1, 9, 2) of 'dog'"))
      << result.outside.first;
  EXPECT_EQ(result.empty.count, 1);
  EXPECT_TRUE(contains(result.empty.first, "box (3, 1, 3, 2)"));
  EXPECT_EQ(result.other_size.count, 0);
  EXPECT_EQ(result.boxes, 2);
  const AnnotatedDatum stored = read_boxes(folder / "db")[0].datum;
  EXPECT_EQ(stored.annotation_group(0).annotation(0).bbox().xmin(), -0.125f);
  EXPECT_EQ(stored.annotation_group(0).annotation(0).bbox().xmax(), 1.125f);
}

TEST_F(Annotations, PartsAndOrderInAnObjectDoNotMatter) {
  convert_annotations(
      one_voc("<annotation><object><part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
              "<bndbox><xmax> 4 </xmax><xmin>2</xmin><ymin>1</ymin><ymax>2.0</ymax></bndbox>"
              "<difficult>1</difficult><name> dog\n</name></object></annotation>"));
  const AnnotatedDatum stored = read_boxes(folder / "db")[0].datum;
  ASSERT_EQ(stored.annotation_group_size(), 1);
  const NormalizedBBox& box = stored.annotation_group(0).annotation(0).bbox();
  EXPECT_EQ(box.xmin(), 0.25f);
  EXPECT_EQ(box.ymax(), 0.5f);
  EXPECT_TRUE(box.difficult());
  EXPECT_TRUE(contains(labels_text(), "name: \"dog\""));
}

TEST_F(Annotations, CocoCategoriesMayBeMappedById) {
  AnnotationsOptions o =
      one_coco(coco(R"({"image_id": 7, "category_id": 10, "bbox": [0, 0, 2, 2]})"));
  o.label_map = folder.write("map.prototxt",
                             "item { name: 'none_of_the_above' label: 0 }\n"
                             "item { name: '9' label: 3 } item { name: '10' label: 4 }");
  convert_annotations(o);
  EXPECT_EQ(read_boxes(o.database)[0].datum.annotation_group(0).group_label(), 4);
}

}  // namespace
}  // namespace doppio
