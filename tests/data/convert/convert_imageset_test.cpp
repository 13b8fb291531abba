#include "data/convert/convert_imageset.hpp"

#include <algorithm>

#include "core/printable.hpp"
#include "data/convert_fixture.hpp"
#include "data/image/datum.hpp"
#include "io/input_file.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;

class Convert : public ConvertTest {
 protected:
  ImagesetOptions options(const std::string& list) {
    ImagesetOptions o;
    o.root = folder / "";
    o.list = folder.write("list.txt", list);
    o.database = folder / "db";
    return o;
  }
};

TEST_F(Convert, StoresPixelsInListOrder) {
  image("a b.png", 1, 2, {1, 2, 3});
  image("c.png", 1, 2, {4, 5, 6});
  const ImagesetResult result = convert_imageset(options("c.png 7\r\na b.png -1\n\n"));
  EXPECT_EQ(result.written, 2);
  const std::vector<Stored> records = read_all(folder / "db");
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].key, "00000000_c.png");
  EXPECT_EQ(records[1].key, "00000001_a b.png");
  EXPECT_EQ(records[0].datum.label(), 7);
  EXPECT_EQ(records[1].datum.label(), -1);
  EXPECT_EQ(records[1].datum.channels(), 3);
  EXPECT_EQ(records[1].datum.height(), 1);
  EXPECT_EQ(records[1].datum.width(), 2);
  EXPECT_EQ(records[1].datum.data(), "\1\1\2\2\3\3");
  EXPECT_FALSE(records[1].datum.encoded());
}

TEST_F(Convert, ConvertsManyImagesAlikeOnAnyNumberOfThreads) {
  std::string list;
  for (int i = 0; i < 100; ++i)
    list += image(str(i, ".png"), 2, 2, cv::Scalar(i, i, i)) + str(" ", i, "\n");
  for (const int threads : {1, 4}) {
    ImagesetOptions o = options(list);
    o.threads = threads;
    o.overwrite = threads > 1;
    std::vector<Index> progress;
    o.progress = [&](Index done, Index total) {
      EXPECT_EQ(total, 100);
      progress.push_back(done);
    };
    convert_imageset(o);
    EXPECT_EQ(progress, (std::vector<Index>{32, 64, 96, 100}));
    const std::vector<Stored> records = read_all(folder / "db");
    ASSERT_EQ(records.size(), 100u);
    for (int i = 0; i < 100; ++i) {
      const Datum& datum = records[static_cast<std::size_t>(i)].datum;
      EXPECT_EQ(datum.label(), i);
      EXPECT_EQ(datum.data(), std::string(12, static_cast<char>(i)));
    }
  }
}

TEST_F(Convert, GrayAndResize) {
  image("a.png", 4, 6, {100, 100, 100});
  ImagesetOptions o = options("a.png 0");
  o.gray = true;
  o.resize_height = 2;
  o.resize_width = 3;
  convert_imageset(o);
  const Datum datum = read_all(o.database)[0].datum;
  EXPECT_EQ(datum.channels(), 1);
  EXPECT_EQ(datum.height(), 2);
  EXPECT_EQ(datum.width(), 3);
  EXPECT_EQ(datum.data(), std::string(6, 100));
}

TEST_F(Convert, ShufflesBySeed) {
  std::string list;
  for (int i = 0; i < 20; ++i) list += image(str(i, ".png"), 1, 1, {}) + str(" ", i, "\n");
  const auto labels = [&](std::uint64_t seed) {
    ImagesetOptions o = options(list);
    o.shuffle = o.overwrite = true;
    o.seed = seed;
    convert_imageset(o);
    std::vector<int> found;
    for (const Stored& r : read_all(o.database)) {
      EXPECT_EQ(r.key.substr(9), str(r.datum.label(), ".png"));
      found.push_back(r.datum.label());
    }
    return found;
  };
  std::vector<int> one = labels(1);
  EXPECT_EQ(one, labels(1));
  EXPECT_NE(one, labels(2));
  EXPECT_FALSE(std::is_sorted(one.begin(), one.end()));
  std::sort(one.begin(), one.end());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(one[static_cast<std::size_t>(i)], i);
}

TEST_F(Convert, EncodedKeepsFilesThatAreAsWanted) {
  image("a.PNG", 2, 3, {1, 2, 3});
  const std::string file = read_file(folder / "a.PNG");
  ImagesetOptions o = options("a.PNG 5");
  o.encoded = o.overwrite = true;
  const auto convert = [&] {
    convert_imageset(o);
    Datum datum = read_all(o.database)[0].datum;
    EXPECT_TRUE(datum.encoded());
    EXPECT_FALSE(datum.has_channels());
    EXPECT_EQ(datum.label(), 5);
    return datum.data();
  };
  EXPECT_EQ(convert(), file);
  o.gray = true;
  EXPECT_EQ(decode_image(convert(), Color::as_stored).channels(), 1);
  o.gray = false;
  o.encoded = false;
  o.encode_type = "jpg";
  EXPECT_TRUE(convert().starts_with("\xff\xd8\xff"));
  o.encode_type = "png";
  o.resize_height = o.resize_width = 7;
  EXPECT_EQ(decode_image(convert(), Color::as_stored).rows, 7);
  o.encode_type = "xyz";
  EXPECT_ERROR(convert(), "no encoder for the format 'xyz'");
}

TEST_F(Convert, DamagedImagesFailWithAListAndLeaveNothing) {
  image("good.png", 1, 1, {});
  folder.write("bad.png", "no image");
  const std::string error = error_of(
      [&] { convert_imageset(options("good.png 0\nbad.png 1\ngood.png 2\nnone.png 3\n")); });
  EXPECT_TRUE(contains(error, "2 of 4 images cannot be read")) << error;
  EXPECT_TRUE(contains(error, "\n  " + folder / "bad.png" + ": cannot decode the image"));
  EXPECT_TRUE(contains(error, "\n  " + folder / "none.png" + ": cannot read"));
  EXPECT_FALSE(fs::exists(folder / "db"));
}

TEST_F(Convert, DamagedImagesAreSkippedWhenAsked) {
  image("good.png", 1, 1, {});
  folder.write("bad.png", "no image");
  ImagesetOptions o = options("bad.png 1\ngood.png 2\n");
  o.on_error = OnError::skip;
  const ImagesetResult result = convert_imageset(o);
  EXPECT_EQ(result.written, 1);
  ASSERT_EQ(result.damaged.size(), 1u);
  EXPECT_TRUE(contains(result.damaged[0], "bad.png: cannot decode"));
  EXPECT_EQ(read_all(o.database)[0].key, "00000001_good.png");

  o.list = folder.write("list.txt", "bad.png 1");
  o.overwrite = true;
  EXPECT_ERROR(convert_imageset(o), "none of 1 images can be read");
}

TEST_F(Convert, MakesLevelDbToo) {
  image("a.png", 1, 2, {1, 2, 3});
  ImagesetOptions o = options("a.png 7");
  o.backend = "leveldb";
  convert_imageset(o);
  EXPECT_EQ(find_backend(o.database), Backend::leveldb);
  EXPECT_EQ(read_all(o.database)[0].datum.label(), 7);
}

TEST_F(Convert, ResumesWhereItStopped) {
  std::string list;
  for (int i = 0; i < 10; ++i) list += image(str(i, ".png"), 1, 1, cv::Scalar(i, i, i)) + " 1\n";
  ImagesetOptions o = options(list);
  o.shuffle = o.resume = true;
  o.seed = 3;
  convert_imageset(o);
  const std::vector<Stored> whole = read_all(o.database);

  o.database = folder / "part";
  {
    const auto part = make_database(o.database, Backend::lmdb);
    for (int i = 0; i < 4; ++i)
      part->put(whole[static_cast<std::size_t>(i)].key,
                whole[static_cast<std::size_t>(i)].datum.SerializeAsString());
    part->finish();
  }
  const ImagesetResult result = convert_imageset(o);
  EXPECT_EQ(result.resumed, 4);
  EXPECT_EQ(result.written, 6);
  const std::vector<Stored> resumed = read_all(o.database);
  ASSERT_EQ(resumed.size(), 10u);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(resumed[i].key, whole[i].key);
    EXPECT_EQ(resumed[i].datum.data(), whole[i].datum.data());
  }
  EXPECT_EQ(convert_imageset(o).written, 0);  // the conversion is complete
  o.seed = 4;
  EXPECT_ERROR(convert_imageset(o), "is not what this list makes");
  EXPECT_EQ(read_all(o.database).size(), 10u);
}

TEST_F(Convert, AFailureLeavesWhatCanBeResumed) {
  std::string list;
  for (int i = 0; i < 1100; ++i) list += "a.png 1\n";
  image("a.png", 1, 1, {});
  ImagesetOptions o = options(list + "late.png 2\n");
  o.resume = true;
  EXPECT_ERROR(convert_imageset(o), "1 of 1101 images cannot be read");
  EXPECT_EQ(last_key(o.database + ".partial"), "00000999_a.png");
  image("late.png", 1, 1, {});
  EXPECT_EQ(convert_imageset(o).written, 101);
  EXPECT_EQ(read_all(o.database).back().key, "00001100_late.png");
}

TEST_F(Convert, StopsWhenToldAndIsContinued) {
  std::string list;
  for (int i = 0; i < 1100; ++i) list += "a.png 1\n";
  image("a.png", 1, 1, {});
  ImagesetOptions o = options(list);
  o.stop = [asked = 0]() mutable { return ++asked > 10; };
  const ImagesetResult part = convert_imageset(o);
  EXPECT_TRUE(part.stopped);
  EXPECT_EQ(part.written, 320);
  EXPECT_EQ(part.total, 1100);
  EXPECT_FALSE(fs::exists(o.database));
  o.stop = nullptr;
  EXPECT_ERROR(convert_imageset(o), "--resume");
  o.resume = true;
  const ImagesetResult rest = convert_imageset(o);
  EXPECT_EQ(rest.resumed, 320);
  EXPECT_EQ(rest.written, 780);
  EXPECT_EQ(read_all(o.database).size(), 1100u);
}

TEST_F(Convert, AFailedReplacementLeavesTheOldDatabase) {
  image("a.png", 1, 1, {});
  ImagesetOptions o = options("a.png 7");
  convert_imageset(o);
  o = options("a.png 8\ngone.png 8");
  o.overwrite = true;
  EXPECT_ERROR(convert_imageset(o), "1 of 2 images cannot be read");
  EXPECT_EQ(read_all(o.database).at(0).datum.label(), 7);
  EXPECT_FALSE(fs::exists(o.database + ".partial"));
}

TEST_F(Convert, ResumingRefusesForeignKeys) {
  image("a.png", 1, 1, {});
  ImagesetOptions o = options("a.png 7\na.png 8");
  o.resume = true;
  for (const char* key :
       {"-2000000_", "-1", "_", "a", "99999999999999999999_a.png", "9223372036854775807",
        "00000005_a.png", "00000000_b.png", "0_a.png", "\x01\xFF"}) {
    const auto writer = make_database(o.database, Backend::lmdb, IfThere::replace);
    writer->put(key, "v");
    writer->finish();
    EXPECT_ERROR(convert_imageset(o),
                 str("its last record '", printable(key), "' is not what this list makes"));
    EXPECT_EQ(open_database(o.database)->size(), 1);
  }
}

TEST_F(Convert, CheckSizeNamesTheOddImage) {
  image("a.png", 1, 2, {});
  image("b.png", 2, 2, {});
  ImagesetOptions o = options("a.png 0\nb.png 0");
  EXPECT_EQ(convert_imageset(o).written, 2);
  o.check_size = o.overwrite = true;
  EXPECT_EQ(error_of([&] { convert_imageset(o); }),
            "check_size: '00000001_b.png' is 3 x 2 x 2 and '00000000_a.png' is 3 x 1 x 2");
}

TEST_F(Convert, ListsMayComeFromAnySystem) {
  image("a.png", 1, 1, {});
  image("b c.png", 1, 1, {});
  convert_imageset(
      options("\xEF\xBB\xBF"
              "a.png\t+1\r\nb c.png  -2 \r\n\r\n"));
  const std::vector<Stored> records = read_all(folder / "db");
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].datum.label(), 1);
  EXPECT_EQ(records[1].datum.label(), -2);
}

TEST_F(Convert, LabelsThatNoFloatHoldsAreTooLarge) {
  image("a.png", 1, 1, {});
  const auto error = [&](const std::string& label) {
    return error_of([&] { convert_imageset(options("a.png " + label)); });
  };
  const std::string at = folder / "list.txt" + ":1: error: ";
  EXPECT_EQ(error("3000000000"),
            at + "label 3000000000 is too large, at most 16777216 can be trained");
  EXPECT_TRUE(contains(error("16777217"), "is too large"));
  EXPECT_TRUE(contains(error("-99999999999999999999"), "is too large"));
  EXPECT_TRUE(contains(error("+-1"), "is not an integer"));
  EXPECT_EQ(convert_imageset(options("a.png 16777216")).written, 1);
}

TEST_F(Convert, SeveralLabelsOnALineAreNamed) {
  image("a.png", 1, 1, {});
  image("b 2.png", 1, 1, {});
  const auto error = [&](const std::string& list) {
    return error_of([&] { convert_imageset(options(list)); });
  };
  EXPECT_TRUE(
      contains(error("a.png 1 0  1\n"),
               "list.txt:1: error: an image has one label, but 'a.png' has several: '1 0  1'; "
               "HDF5Data reads several"));
  EXPECT_TRUE(contains(error("b 2.png 3 4\n"), "'b 2.png' has several: '3 4'"));
  EXPECT_TRUE(contains(error("gone.png 1 0\n"), "if the line has several labels, use HDF5Data"));
  EXPECT_TRUE(contains(error("a.png 1,0\n"), "HDF5Data reads several"));
  EXPECT_TRUE(contains(error("a.png Annotations/a.xml\n"), "AnnotatedData"));
  fs::copy_file(folder / "a.png", folder / "c 7");
  EXPECT_EQ(convert_imageset(options("c 7 3\n")).written, 1);
}

TEST_F(Convert, LookalikeCharactersAreNamedWithTheirColumn) {
  image("a.png", 1, 1, {});
  const auto error = [&](const std::string& list) {
    return error_of([&] { convert_imageset(options(list)); });
  };
  EXPECT_TRUE(contains(error("a.png\u00A0"
                             "1\n"),
                       "list.txt:1:6: error: no label; a line is \"path label\"; here is U+00A0 "
                       "NO-BREAK SPACE, which looks like a blank"));
  EXPECT_TRUE(contains(error("a.png \u22121\n"), ":1:7: error: label '\u22121' is not an integer"));
  EXPECT_TRUE(contains(error("a.png\u200B 1\n"), "its name holds U+200B ZERO WIDTH SPACE"));
}

TEST_F(Convert, ListsOfAnotherKindAreNamed) {
  image("a.png", 1, 1, {});
  ImagesetOptions o = options("");
  o.list = folder / "a.png";
  EXPECT_EQ(error_of([&] { convert_imageset(o); }),
            o.list + " is not a text file; it is a PNG image");
  o.list = folder / ".";
  EXPECT_EQ(error_of([&] { convert_imageset(o); }), o.list + " is a folder, a file was expected");
}

TEST_F(Convert, PathsThatMissTheirFileGetAHint) {
  fs::create_directory(folder / "img");
  image("img/a.png", 1, 1, {});
  const auto error = [&](const std::string& root, const std::string& list) {
    ImagesetOptions o = options(list);
    o.root = root;
    return error_of([&] { convert_imageset(o); });
  };
  EXPECT_TRUE(
      contains(error(folder / "img", "a.png 1"), "did you mean '" + folder / "img" + "/'?"));
  EXPECT_TRUE(contains(error(folder / "", "img\\a.png 1"), "write / instead of \\ in the list"));
  EXPECT_TRUE(contains(error(folder / "", " img/a.png 1"),
                       "the blank or quote before the path belongs to it"));
  EXPECT_TRUE(
      contains(error("no/", folder / "img/a.png 1"), "it is there without the root folder"));
}

TEST_F(Convert, TurnedPicturesAreStoredAsANetSeesThem) {
  image("wide.jpg", 8, 16, {1, 2, 3});
  std::string jpeg = read_file(folder / "wide.jpg");
  jpeg.insert(
      2, std::string("\xff\xe1\0\x22"
                     "Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
                     36));
  folder.write("turned.jpg", jpeg);
  image("tall.jpg", 16, 8, {1, 2, 3});
  ImagesetOptions o = options("turned.jpg 0\ntall.jpg 1");
  o.check_size = o.overwrite = true;
  for (const bool encoded : {false, true}) {
    o.encoded = encoded;
    EXPECT_EQ(convert_imageset(o).written, 2);
    const auto database = open_database(o.database);
    for (int i = 0; i < 2; ++i) {
      DatumReader reader;
      EXPECT_EQ(reader.read(database->next().value).shape(), Shape({3, 16, 8}));
    }
  }
}

TEST_F(Convert, ListErrorsHaveFileAndLine) {
  image("a.png", 1, 1, {});
  const std::string error =
      error_of([&] { convert_imageset(options("a.png 1\na.png cat\n\na.png\na.png 1.5\n")); });
  const std::string list = folder / "list.txt";
  EXPECT_TRUE(contains(error, list + ":2: error: label 'cat' is not an integer")) << error;
  EXPECT_TRUE(contains(error, list + ":4: error: no label; a line is \"path label\""));
  EXPECT_TRUE(contains(error, list + ":5: error: label '1.5' is not an integer"));
  EXPECT_FALSE(fs::exists(folder / "db"));
  EXPECT_ERROR(convert_imageset(options("")), "is empty");
  ImagesetOptions none = options("");
  none.list = "nolist";
  EXPECT_ERROR(convert_imageset(none), "cannot read nolist: No such");
}

TEST_F(Convert, RefusesImpossibleOptions) {
  ImagesetOptions o = options("a 1");
  o.backend = "sqlite";
  EXPECT_ERROR(convert_imageset(o), "there is no backend 'sqlite'");
  o.backend = "lmdb";
  o.resize_height = 5;
  EXPECT_ERROR(convert_imageset(o), "resize_height 5 and resize_width 0: give both");
  o.resize_height = 0;
  fs::create_directory(o.database);
  folder.write("db/notes.txt", "");
  EXPECT_ERROR(convert_imageset(o), "exists already");
}

}  // namespace
}  // namespace doppio
