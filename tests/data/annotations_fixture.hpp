#pragma once
#include <sstream>
#include <string>
#include <vector>

#include "data/convert/convert_annotations.hpp"
#include "data/convert_fixture.hpp"
#include "io/input_file.hpp"

namespace doppio {

struct StoredBoxes {
  std::string key;
  AnnotatedDatum datum;
};

inline std::vector<StoredBoxes> read_boxes(const std::string& database) {
  const auto reader = open_database(database);
  std::vector<StoredBoxes> records(static_cast<std::size_t>(reader->size()));
  for (StoredBoxes& r : records) {
    const Record record = reader->next();
    r.key = record.key;
    EXPECT_TRUE(r.datum.ParseFromString(std::string(record.value)));
  }
  return records;
}

inline std::string object(const std::string& name, const std::string& box,
                          const std::string& more = {}) {
  std::string text = "<object>\n<name>" + name + "</name>\n" + more;
  std::istringstream coordinates(box);
  std::string value;
  text += "<bndbox>";
  for (const std::string edge : {"xmin", "ymin", "xmax", "ymax"})
    if (coordinates >> value) text += "<" + edge + ">" + value + "</" + edge + ">";
  return text + "</bndbox></object>\n";
}

inline std::string voc(const std::string& objects, int width = 0, int height = 0) {
  const std::string size = width == 0 ? ""
                                      : str("<size><width>", width, "</width><height>", height,
                                            "</height><depth>3</depth></size>\n");
  return "<?xml version=\"1.0\"?>\n<annotation>\n" + size + objects + "</annotation>\n";
}

/// A COCO file of the images a.png (id 7, 8 x 4) and b.png (id 5).
inline std::string coco(
    const std::string& annotations,
    const std::string& categories = R"({"id": 9, "name": "cat"}, {"id": 10, "name": "ant"})",
    const std::string& images =
        R"({"id": 7, "file_name": "a.png", "width": 8, "height": 4},
                        {"id": 5, "file_name": "b.png"})") {
  return R"({"info": {"year": 2017, "deep": [[1], {"id": 1}]}, "images": [)" + images +
         R"(], "annotations": [)" + annotations + R"(], "categories": [)" + categories + "]}";
}

class AnnotationsTest : public ConvertTest {
 protected:
  AnnotationsTest() {
    image("a.png", 4, 8, {1, 2, 3});
    image("b.png", 10, 10, {4, 5, 6});
  }

  AnnotationsOptions options(const std::string& annotations) const {
    AnnotationsOptions o;
    o.root = folder / "";
    o.annotations = annotations;
    o.database = folder / "db";
    o.overwrite = true;
    return o;
  }

  /// Options for the VOC annotation `xml` of a.png.
  AnnotationsOptions one_voc(const std::string& xml) const {
    folder.write("a.xml", xml);
    return options(folder.write("list.txt", "a.png a.xml\n"));
  }
  AnnotationsOptions one_coco(const std::string& json) const {
    return options(folder.write("coco.json", json));
  }

  static std::string error(const AnnotationsOptions& o) {
    return error_of([&] { convert_annotations(o); });
  }

  std::string labels_text() const { return read_file(folder / "db_labelmap.prototxt"); }
};

}  // namespace doppio
