#pragma once
#include <opencv2/imgcodecs.hpp>

#include "data/image/image_file.hpp"
#include "data/storage/database.hpp"
#include "doppio.pb.h"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {

struct Stored {
  std::string key;
  Datum datum;
};

inline std::vector<Stored> read_all(const std::string& database) {
  const auto reader = open_database(database);
  std::vector<Stored> records(static_cast<std::size_t>(reader->size()));
  for (Stored& r : records) {
    const Record record = reader->next();
    r.key = record.key;
    EXPECT_TRUE(r.datum.ParseFromString(std::string(record.value)));
  }
  return records;
}

class ConvertTest : public testing::Test {
 protected:
  /// Writes an image of one colour (b, g, r). Returns its name in the folder.
  std::string image(const std::string& name, int height, int width, cv::Scalar bgr) {
    cv::imwrite(folder / name, cv::Mat(height, width, CV_8UC3, bgr));
    return name;
  }

  ScratchFolder folder;
};

}  // namespace doppio
