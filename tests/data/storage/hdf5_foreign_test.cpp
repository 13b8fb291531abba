// Files that other programs write with the HDF5 library.
#include <hdf5.h>

#include <algorithm>

#include "data/storage/hdf5.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

class Hdf5Foreign : public testing::Test {
 protected:
  Hdf5Foreign() : file_(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)) {}

  /// Creates the dataset "x" of `count` elements in chunks of at most 4.
  hid_t create(hid_t type, hsize_t count, hid_t creation = H5Pcreate(H5P_DATASET_CREATE)) {
    const hsize_t chunk = std::min<hsize_t>(count, 4);
    H5Pset_chunk(creation, 1, &chunk);
    const hid_t space = H5Screate_simple(1, &count, nullptr);
    return H5Dcreate2(file_, "x", type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  }

  /// Closes the file and all its open objects, then reads "x".
  std::vector<float> read() {
    close();
    Tensor t;
    const auto h5 = open_hdf5(name);
    h5->read("x", t);
    EXPECT_EQ(h5->shape("x"), t.shape());
    return values(t);
  }
  /// Returns the error of shape("x"), which must equal that of read("x").
  std::string error() {
    close();
    Tensor t;
    const auto h5 = open_hdf5(name);
    const std::string found = error_of([&] { h5->shape("x"); });
    EXPECT_EQ(error_of([&] { h5->read("x", t); }), found);
    return found;
  }
  void close() {
    hid_t open[64];
    for (ssize_t i = H5Fget_obj_ids(file_, H5F_OBJ_ALL & ~H5F_OBJ_FILE, 64, open); i-- > 0;)
      H5Oclose(open[i]);
    EXPECT_GE(H5Fclose(file_), 0);
  }

  ScratchFolder folder;
  const std::string name = folder / "a.h5";
  hid_t file_;
};

TEST_F(Hdf5Foreign, UnwrittenElementsHaveTheFillValue) {
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  const short fill = 7, row[] = {1, 2, 3};
  H5Pset_fill_value(creation, H5T_NATIVE_SHORT, &fill);
  const hid_t x = create(H5T_STD_I16BE, 10, creation);
  const hid_t space = H5Dget_space(x);
  const hsize_t first = 0, stride = 2, count = 3;
  H5Sselect_hyperslab(space, H5S_SELECT_SET, &first, &stride, &count, nullptr);
  const hid_t three = H5Screate_simple(1, &count, nullptr);
  ASSERT_GE(H5Dwrite(x, H5T_NATIVE_SHORT, three, space, H5P_DEFAULT, row), 0);
  EXPECT_EQ(read(), (std::vector<float>{1, 7, 2, 7, 3, 7, 7, 7, 7, 7}));
}

TEST_F(Hdf5Foreign, TheDefaultFillValueIsZero) {
  create(H5T_IEEE_F32LE, 3);
  EXPECT_EQ(read(), (std::vector<float>{0, 0, 0}));
}

TEST_F(Hdf5Foreign, RefusesUnwrittenElementsWithoutFillValueAndInWeights) {
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
  create(H5T_IEEE_F32LE, 3, creation);
  EXPECT_EQ(error(), name + ": 'x' has values that were never written");
}

TEST_F(Hdf5Foreign, RefusesUnwrittenElementsWhereAsked) {
  create(H5T_IEEE_F32LE, 3);
  close();
  Tensor t;
  EXPECT_EQ(error_of([&] { open_hdf5(name)->read("x", t, Hdf5Reader::Unwritten::error); }),
            name + ": 'x' has values that were never written");
}

TEST_F(Hdf5Foreign, ReadsCompressedNumbersOfEveryWidth) {
  const hid_t types[] = {H5T_STD_I8LE,  H5T_STD_U8BE,  H5T_STD_U16BE,  H5T_STD_I32BE,
                         H5T_STD_I64LE, H5T_STD_U64BE, H5T_IEEE_F32BE, H5T_IEEE_F64LE};
  for (const hid_t type : types) {
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_shuffle(creation);
    H5Pset_deflate(creation, 6);
    const hid_t x = create(type, 5, creation);
    const float out[] = {0, 1, 2, 100, 127};
    H5Dwrite(x, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
    EXPECT_EQ(read(), (std::vector<float>{0, 1, 2, 100, 127}));
    file_ = H5Fcreate(name.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  }
  close();
}

TEST_F(Hdf5Foreign, NamesTheTypeOfWhatIsNoNumber) {
  const hid_t type = H5Tenum_create(H5T_NATIVE_INT8);
  signed char value = 0;
  H5Tenum_insert(type, "FALSE", &value);
  value = 1;
  H5Tenum_insert(type, "TRUE", &value);
  create(type, 3);
  EXPECT_EQ(error(), name + ": 'x' is of type bool (an enum); store it as uint8 or float32");
}

TEST_F(Hdf5Foreign, NamesAFilterThatIsMissing) {
  const H5Z_class2_t filter = {H5Z_CLASS_T_VERS,
                               300,
                               1,
                               1,
                               "pack",
                               nullptr,
                               nullptr,
                               [](unsigned, std::size_t, const unsigned*, std::size_t bytes,
                                  std::size_t*, void**) { return bytes; }};
  H5Zregister(&filter);
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_filter(creation, 300, 0, 0, nullptr);
  const hid_t x = create(H5T_IEEE_F32LE, 2, creation);
  const float out[] = {1, 2};
  H5Dwrite(x, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
  H5Dclose(x);
  H5Pclose(creation);
  close();
  ASSERT_GE(H5Zunregister(300), 0);
  EXPECT_EQ(error_of([&] { open_hdf5(name)->shape("x"); }),
            name +
                ": 'x' is compressed by filter 300 (pack), which this system does not have; "
                "store it with gzip, or uncompressed");
}

TEST_F(Hdf5Foreign, ChecksSizesBeforeTakingMemory) {
  create(H5T_IEEE_F32LE, hsize_t{1} << 30);
  EXPECT_TRUE(contains(error(), "declares 4294.97 MB but stores 0 MB"));
}

TEST_F(Hdf5Foreign, RefusesLinksToOtherFilesHoweverTheyAreReached) {
  const std::string other = folder / "other.h5";
  const auto written = create_hdf5(other);
  written->write_int("x", 1);
  written->close();
  H5Lcreate_external("other.h5", "/", file_, "there", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_soft("/there/x", file_, "x", H5P_DEFAULT, H5P_DEFAULT);
  EXPECT_EQ(error(), name +
                         ": 'x' is a link to another file ('other.h5'), which is not "
                         "supported; copy the data into this file");
  Tensor t;
  EXPECT_ERROR(open_hdf5(name)->read("there/x", t), "'there' is a link");
  EXPECT_ERROR(open_hdf5(name)->datasets("/"), "is a link to another");
}

TEST_F(Hdf5Foreign, EndsOnLinksThatRunInCircles) {
  H5Lcreate_soft("/y", file_, "x", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_soft("/x", file_, "y", H5P_DEFAULT, H5P_DEFAULT);
  const hid_t group = H5Gcreate2(file_, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_hard(file_, "g", group, "g", H5P_DEFAULT, H5P_DEFAULT);
  EXPECT_EQ(error(), name + ": 'x' is a link that cannot be followed");
  EXPECT_EQ(error_of([&] { open_hdf5(name)->datasets("g"); }),
            name + ": 'g' has groups nested more than 64 deep");
}

TEST_F(Hdf5Foreign, RefusesIntegersOutOfRange) {
  const hid_t space = H5Screate(H5S_SCALAR);
  const hid_t x =
      H5Dcreate2(file_, "x", H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const long long value = 1LL << 40;
  H5Dwrite(x, H5T_NATIVE_LLONG, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value);
  close();
  EXPECT_EQ(error_of([&] { open_hdf5(name)->read_int("x"); }),
            name + ": 'x' is 1099511627776, which is out of range");
}

TEST_F(Hdf5Foreign, FindsTheSignatureAfterAUserBlock) {
  H5Fclose(file_);
  const hid_t creation = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_userblock(creation, 1024);
  const hid_t file = H5Fcreate(name.c_str(), H5F_ACC_TRUNC, creation, H5P_DEFAULT);
  H5Gcreate2(file, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Fclose(file);
  EXPECT_TRUE(is_hdf5(name));
}

}  // namespace
}  // namespace doppio
