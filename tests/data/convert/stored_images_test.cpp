#include "data/convert/stored_images.hpp"

#include "data/convert/convert_idx.hpp"
#include "data/convert/convert_imageset.hpp"
#include "data/convert_fixture.hpp"

namespace doppio {
namespace {

using Labels = std::map<int, Index>;

Index bytes_in(const std::string& database) {
  const auto reader = open_database(database);
  std::size_t bytes = 0;
  for (Index i = 0; i < reader->size(); ++i) bytes += reader->next().value.size();
  return static_cast<Index>(bytes);
}

TEST(StoredImages, OrdersSizesByPixelsThenHeight) {
  StoredImages stored;
  stored.add(0, {4, 6}, 10);
  EXPECT_EQ(stored.smallest, stored.largest);
  stored.add(0, {3, 8}, 10);
  EXPECT_EQ(stored.smallest, (ImageSize{3, 8}));
  EXPECT_EQ(stored.largest, (ImageSize{4, 6}));
  stored.add(2, {1, 23}, 5);
  stored.add(0, {25, 1}, 5);

  EXPECT_EQ(stored.smallest, (ImageSize{1, 23}));
  EXPECT_EQ(stored.largest, (ImageSize{25, 1}));
  EXPECT_EQ(stored.labels, (Labels{{0, 3}, {2, 1}}));
  EXPECT_EQ(stored.count, 4);
  EXPECT_EQ(stored.bytes, 30);
}

class ConversionCounts : public ConvertTest {
 protected:
  ImagesetOptions options(const std::string& list) {
    ImagesetOptions o;
    o.root = folder / "";
    o.list = folder.write("list.txt", list);
    o.database = folder / "db";
    return o;
  }
};

TEST_F(ConversionCounts, ImagesetCountsWhatItWrites) {
  image("a.png", 4, 6, {1, 2, 3});
  image("b.png", 8, 2, {1, 2, 3});
  folder.write("bad.png", "no image");
  ImagesetOptions o = options("a.png 3\nb.png -1\nbad.png 5\nb.png 3\n");
  o.on_error = OnError::skip;
  const StoredImages stored = convert_imageset(o).stored;
  EXPECT_EQ(stored.labels, (Labels{{-1, 1}, {3, 2}}));
  EXPECT_EQ(stored.smallest, (ImageSize{8, 2}));
  EXPECT_EQ(stored.largest, (ImageSize{4, 6}));
  EXPECT_EQ(stored.count, 3);
  EXPECT_EQ(stored.bytes, bytes_in(o.database));
}

TEST_F(ConversionCounts, ImagesetCountsSizesAsStored) {
  image("a.png", 4, 6, {1, 2, 3});
  ImagesetOptions o = options("a.png 0\n");
  o.resize_height = 2;
  o.resize_width = 5;
  o.encode_type = "png";
  const StoredImages stored = convert_imageset(o).stored;
  EXPECT_EQ(stored.smallest, (ImageSize{2, 5}));
  EXPECT_EQ(stored.largest, (ImageSize{2, 5}));
  EXPECT_EQ(stored.bytes, bytes_in(o.database));
}

TEST_F(ConversionCounts, AResumedConversionCountsItsOwnImages) {
  image("a.png", 4, 6, {1, 2, 3});
  image("b.png", 2, 2, {1, 2, 3});
  ImagesetOptions o = options("a.png 0\n");
  o.resume = true;
  convert_imageset(o);
  o.list = folder.write("list.txt", "a.png 0\nb.png 1\n");
  const ImagesetResult more = convert_imageset(o);
  EXPECT_EQ(more.resumed, 1);
  EXPECT_EQ(more.stored.labels, (Labels{{1, 1}}));
  EXPECT_EQ(more.stored.largest, (ImageSize{2, 2}));
  EXPECT_EQ(convert_imageset(o).stored.count, 0);
}

TEST_F(ConversionCounts, IdxCountsLabels) {
  IdxOptions o;
  o.images =
      folder.write("images", std::string("\0\0\x08\x03\0\0\0\3\0\0\0\1\0\0\0\2", 16) + "abcdef");
  o.labels = folder.write("labels", std::string("\0\0\x08\x01\0\0\0\3", 8) + "\4\4\xff");
  o.database = folder / "db";
  const StoredImages stored = convert_idx(o);
  EXPECT_EQ(stored.labels, (Labels{{4, 2}, {255, 1}}));
  EXPECT_EQ(stored.smallest, (ImageSize{1, 2}));
  EXPECT_EQ(stored.largest, (ImageSize{1, 2}));
  EXPECT_EQ(stored.bytes, bytes_in(o.database));
}

}  // namespace
}  // namespace doppio
