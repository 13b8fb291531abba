#include "data/annotations_fixture.hpp"
#include "data/convert/convert_annotations.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;

class AnnotationErrors : public AnnotationsTest {};

TEST_F(AnnotationErrors, BadXmlIsNamedWithItsLine) {
  const std::string at = folder / "a.png" + ": " + folder / "a.xml";
  const auto problem = [&](const std::string& xml) { return error(one_voc(xml)); };
  EXPECT_TRUE(contains(problem("<annotation>\n<object>\n</annotation>"), at + ":3: malformed XML"));
  EXPECT_TRUE(contains(problem(""), "malformed XML"));
  EXPECT_TRUE(contains(problem("<html></html>"), at + ":1: the root element is <html>"));
  EXPECT_TRUE(contains(problem("<annotation>\n<object><name>dog</name></object></annotation>"),
                       at + ":2: the object 'dog' has no <bndbox>"));
  EXPECT_TRUE(contains(problem(voc("<object><bndbox/></object>")), "an object has no <name>"));
  EXPECT_TRUE(contains(problem(voc(object("dog", "1 2 3"))), "<bndbox> has no <ymax>"));
  EXPECT_TRUE(contains(problem(voc(object("dog", "1 x 3 4"))), "<ymin> is 'x', expected a number"));
  EXPECT_TRUE(contains(problem(voc(object("dog", "nan 1 3 4"))), "<xmin> is nan"));
  EXPECT_TRUE(contains(problem(voc(object("dog", "1 1 1e30 4"))), "<xmax> is 1e+30"));
  EXPECT_TRUE(contains(problem(voc(object("dog", "4 1 2 2"))),
                       "the box of 'dog' is inverted: (4, 1, 2, 2)"));
  EXPECT_TRUE(contains(problem(voc(object("dog", "1 1 2 2"), -8, 4)), "<width> is -8"));
  EXPECT_TRUE(contains(problem(voc(object("dog", "8 1 9 2"), 8, 4)),
                       "the box (8, 1, 9, 2) of 'dog' lies outside the image of 8 x 4 pixels"));
  EXPECT_TRUE(contains(problem(voc(object("dog", "1 1 2 2"), 4, 8)),
                       "the annotation states 4 x 8 pixels and the image has 8 x 4"));
  EXPECT_TRUE(contains(problem("<!DOCTYPE a [<!ENTITY x \"dog\">]><annotation><object>"
                               "<name>&x;</name></object></annotation>"),
                       "the object '&x;' has no <bndbox>"));
  EXPECT_FALSE(fs::exists(folder / "db"));
  EXPECT_FALSE(fs::exists(folder / "db_labelmap.prototxt"));
}

TEST_F(AnnotationErrors, DamageIsListedOrSkipped) {
  folder.write("a.xml", voc(object("dog", "1 1 2 2")));
  folder.write("bad.xml", voc(object("zebra", "1 1 x 2")));
  folder.write("bad.png", "no image");
  AnnotationsOptions o = options(
      folder.write("list.txt", "a.png a.xml\nb.png bad.xml\nbad.png a.xml\na.png none.xml\n"));
  const std::string all = error(o);
  EXPECT_TRUE(contains(all, "3 of 4 images or their annotations cannot be used")) << all;
  EXPECT_TRUE(contains(all, "\n  " + folder / "b.png" + ": " + folder / "bad.xml" + ":"));
  EXPECT_TRUE(contains(all, "\n  " + folder / "bad.png" + ": cannot decode"));
  EXPECT_TRUE(contains(all, "cannot read " + folder / "none.xml"));
  EXPECT_FALSE(fs::exists(o.database));
  o.on_error = OnError::skip;
  const AnnotationsResult result = convert_annotations(o);
  EXPECT_EQ(result.written, 1);
  EXPECT_EQ(result.damaged.size(), 3u);
  EXPECT_EQ(read_boxes(o.database).size(), 1u);
  EXPECT_FALSE(contains(labels_text(), "zebra"));
}

TEST_F(AnnotationErrors, BadListsAreNamedWithTheirLine) {
  const auto problem = [&](const std::string& list) {
    return error(options(folder.write("list.txt", list)));
  };
  EXPECT_TRUE(contains(problem("a.png a.xml\na.png\n"),
                       "list.txt:2: error: no annotation; a line is \"IMAGE ANNOTATION.xml\""));
  EXPECT_TRUE(contains(problem("a.png 7\n"), "list.txt:1: error: '7' is no file of boxes"));
  EXPECT_TRUE(contains(problem("a.png a.json\n"), "'a.json' is a JSON file of one image"));
  EXPECT_TRUE(contains(problem(""), "is empty"));
}

TEST_F(AnnotationErrors, BadJsonIsNamed) {
  const std::string file = folder / "coco.json";
  const auto problem = [&](const std::string& json) { return error(one_coco(json)); };
  const std::string syntax = problem("{\"images\": [\n{\"id\" 5}]}");
  EXPECT_TRUE(contains(syntax, file + ":2:7: error: malformed JSON: syntax error")) << syntax;
  EXPECT_TRUE(contains(problem("{\"images\": [1e999]}"), "malformed JSON"));
  EXPECT_TRUE(contains(problem("[]"), file + ": error: expected an object with images"));
  EXPECT_TRUE(contains(problem("{\"images\": []}"), "the file has no 'annotations'"));
  EXPECT_TRUE(contains(problem("{\"images\": {}}"), "images is not a list"));
  EXPECT_TRUE(contains(problem("{\"images\": 5}"), "images is not a list"));
  EXPECT_TRUE(contains(problem("{\"images\": [[]]}"), "images[0] is not an object"));
  EXPECT_TRUE(contains(problem("{\"images\": [], \"images\": []}"), "has 'images' twice"));
  EXPECT_TRUE(contains(problem(coco("", "", "")), "the file has no images"));
  for (const std::string start : {"[", "{\"a\":", "{\"info\":[", "{\"images\":[{\"x\":["}) {
    std::string bomb;
    for (int i = 0; i < 100'000; ++i) bomb += start;
    problem(bomb);
  }
  std::string nested = "{\"info\": ";
  for (int i = 0; i < 100'000; ++i) nested += '[';
  EXPECT_TRUE(contains(problem(nested), "nested more than 100 deep"));
}

TEST_F(AnnotationErrors, BadCocoRecordsAreNamed) {
  const auto problem = [&](const std::string& annotations) {
    return error(one_coco(coco(annotations)));
  };
  EXPECT_TRUE(contains(problem(R"({"image_id": 99, "category_id": 9, "bbox": [0, 0, 1, 1]})"),
                       "annotations[0]: there is no image with the id 99"));
  EXPECT_TRUE(contains(problem(R"({"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1]})"),
                       "annotations[0]: there is no category with the id 1"));
  EXPECT_TRUE(contains(problem(R"({"category_id": 9})"), "annotations[0] has no image_id"));
  EXPECT_TRUE(contains(problem(R"({"image_id": 7, "category_id": 9})"),
                       folder / "a.png" + ": annotations[0] has no bbox"));
  EXPECT_TRUE(contains(problem(R"({"image_id": 7, "category_id": 9, "bbox": [1, 2, 3]})"),
                       "bbox must be [x, y, width, height]"));
  EXPECT_TRUE(contains(problem(R"({"image_id": 7, "category_id": 9, "bbox": [1, 2, -3, 1]})"),
                       "bbox has the negative size -3 x 1"));
  EXPECT_TRUE(contains(problem(R"({"image_id": 7, "category_id": 9, "bbox": [1, 2, 1e300, 1]})"),
                       "bbox is 1e+300"));
  const auto images = [&](const std::string& list) {
    return error(one_coco(coco("", R"({"id": 1, "name": "cat"})", list)));
  };
  EXPECT_TRUE(
      contains(images(R"({"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"})"),
               "images[1]: the id 1 of 'b.png' is that of 'a.png' already"));
  EXPECT_TRUE(contains(images(R"({"id": 1})"), "images[0] has no file_name"));
  EXPECT_TRUE(contains(images(R"({"file_name": "a.png"})"), "images[0] has no id"));
  EXPECT_TRUE(contains(images(R"({"id": 1, "file_name": "a.png", "width": 0.5})"),
                       "images[0]: width is 0.5, expected a number of pixels"));
  EXPECT_TRUE(
      contains(error(one_coco(coco("", R"({"id": 1, "name": "x"}, {"id": 1, "name": "y"})"))),
               "two categories have the id 1"));
  EXPECT_TRUE(
      contains(error(one_coco(coco("", R"({"id": 1, "name": "x"}, {"id": 2, "name": "x"})"))),
               "the categories 1 and 2 are both called 'x'"));
}

TEST_F(AnnotationErrors, LabelMapsAreChecked) {
  AnnotationsOptions o = one_voc(voc(object("dog", "1 1 2 2")));
  const auto problem = [&](const std::string& map) {
    o.label_map = folder.write("map.prototxt", map);
    return error(o);
  };
  const std::string unknown = problem("item { name: 'cat' label: 1 }");
  EXPECT_TRUE(contains(unknown, "the class 'dog' is not in the label map " + o.label_map +
                                    ": add it there, or remove its boxes"));
  EXPECT_TRUE(contains(problem("item { name: 'dog' label: 0 }"), "has the label 0"));
  EXPECT_TRUE(contains(problem("item { name: 'dog' }"), "an item needs a name and a label"));
  EXPECT_TRUE(contains(problem("item { name: 'dog' label: -1 }"), "label -1 is negative"));
  EXPECT_TRUE(contains(problem("item { name: 'dog' label: 1 }\nitem { name: 'dog' label: 2 }"),
                       "'dog' has the labels 1 and 2"));
  EXPECT_TRUE(contains(problem(""), "has no labels"));
  o.write_label_map = folder / "other.prototxt";
  EXPECT_TRUE(contains(error(o), "give one of them"));
}

TEST_F(AnnotationErrors, AnotherLabelMapIsKept) {
  AnnotationsOptions o = one_voc(voc(object("dog", "1 1 2 2")));
  o.overwrite = false;
  o.write_label_map = folder.write("labels.prototxt", "item { name: 'cat' label: 1 }");
  EXPECT_TRUE(contains(error(o), "labels.prototxt exists already and has other classes"));
  EXPECT_FALSE(fs::exists(o.database));
  o.overwrite = true;
  EXPECT_EQ(convert_annotations(o).label_map, o.write_label_map);
  EXPECT_TRUE(contains(read_file(o.write_label_map), "name: \"dog\""));
  o.overwrite = false;
  o.database = folder / "second";
  EXPECT_EQ(convert_annotations(o).written, 1);  // the same classes
  o.write_label_map = o.database + "/labels.prototxt";
  EXPECT_TRUE(contains(error(o), "a file within the database"));
}

TEST_F(AnnotationErrors, RefusesImpossibleOptions) {
  AnnotationsOptions o = one_voc(voc(object("dog", "1 1 2 2")));
  o.resize_height = 5;
  EXPECT_TRUE(contains(error(o), "resize_height 5 and resize_width 0: give both"));
  o.resize_height = 0;
  o.backend = "sqlite";
  EXPECT_TRUE(contains(error(o), "there is no backend 'sqlite'"));
  o.backend = "lmdb";
  o.annotations = folder / "none.json";
  EXPECT_TRUE(contains(error(o), "cannot read " + folder / "none.json"));
}

}  // namespace
}  // namespace doppio
