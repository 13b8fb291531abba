#include "net/weights/blob_file.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "net/passes/passes.hpp"
#include "support/expect_error.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

constexpr int kMany = 300;  // enough values to stay in the file

void add_values(BlobProto& blob, int count, float first) {
  blob.mutable_shape()->add_dim(count);
  for (int i = 0; i < count; ++i) blob.add_data(first + static_cast<float>(i));
}

void write(const std::string& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

/// Expects that `blob` contains `first`, `first` + 1, and so on.
void expect_counts_from(float first, const BlobFile& in, const BlobProto& blob, Index count) {
  Tensor tensor;
  tensor.reshape({count});
  in.read(blob, tensor);
  for (Index i = 0; i < count; ++i)
    ASSERT_EQ(tensor.read_host()[i], first + static_cast<float>(i)) << i;
}

TEST(BlobFile, LeavesLongDataInTheFile) {
  const ScratchFolder folder;
  NetParameter net;
  net.set_name("n");
  LayerParameter& layer = *net.add_layer();
  layer.set_name("a");
  add_values(*layer.add_blobs(), kMany, 5);
  add_values(*layer.add_blobs(), 3, -1);
  layer.mutable_inner_product_param()->set_num_output(7);
  write(folder / "w", net.SerializeAsString());

  BlobFile in(folder / "w");
  NetParameter skim;
  ASSERT_TRUE(in.parse(skim));
  EXPECT_EQ(skim.name(), "n");
  EXPECT_FALSE(skim.layer(0).has_inner_product_param());  // not needed for weights
  EXPECT_EQ(skim.layer(0).blobs(0).data_size(), 0);
  EXPECT_EQ(skim.layer(0).blobs(0).shape().dim(0), kMany);
  EXPECT_EQ(skim.layer(0).blobs(1).data_size(), 3);
  expect_counts_from(5, in, skim.layer(0).blobs(0), kMany);
  expect_counts_from(-1, in, skim.layer(0).blobs(1), 3);

  Tensor wrong;
  wrong.reshape({kMany + 1});
  EXPECT_EQ(error_of([&] { in.read(skim.layer(0).blobs(0), wrong); }),
            "holds 300 values where 301 are needed (301)");
}

TEST(BlobFile, SurvivesTheUpgradeOfOldGenerations) {
  const ScratchFolder folder;
  for (const bool oldest : {false, true}) {
    NetParameter old;
    V1LayerParameter& layer = *old.add_layers();
    if (oldest) layer.mutable_layer()->set_type("innerproduct");
    add_values(oldest ? *layer.mutable_layer()->add_blobs() : *layer.add_blobs(), kMany, 1);
    write(folder / "w", old.SerializeAsString());

    BlobFile in(folder / "w");
    SourcedNet skim;
    ASSERT_TRUE(in.parse(skim.net));
    const SourcedNet upgraded = upgrade(skim);
    ASSERT_EQ(upgraded.net.layer_size(), 1);
    expect_counts_from(1, in, upgraded.net.layer(0).blobs(0), kMany);
  }
}

TEST(BlobFile, ReadsDataInPiecesAndForgedPlaces) {
  const ScratchFolder folder;
  BlobProto first, second;
  add_values(first, kMany, 0);
  for (int i = 0; i < kMany; ++i) second.add_data(static_cast<float>(kMany + i));
  SolverState state;
  *state.add_history() = first;
  state.mutable_history(0)->mutable_unknown_fields()->AddVarint(100000, 1u << 30);
  state.mutable_history(0)->mutable_unknown_fields()->AddVarint(100001, 64);
  std::string blob = state.history(0).SerializeAsString() + second.SerializeAsString();
  std::string bytes = {26, static_cast<char>(blob.size() % 128 + 128),
                       static_cast<char>(blob.size() / 128)};
  write(folder / "s", bytes + blob);

  BlobFile in(folder / "s");
  SolverState skim;
  ASSERT_TRUE(in.parse(skim));
  expect_counts_from(0, in, skim.history(0), 2 * kMany);
}

TEST(BlobFile, RefusesWhatIsCutShortOrNotAMessage) {
  const ScratchFolder folder;
  NetParameter net;
  LayerParameter& layer = *net.add_layer();
  layer.set_name("a");
  add_values(*layer.add_blobs(), kMany, 5);
  const std::string whole = net.SerializeAsString();
  NetParameter skim;
  for (std::size_t n = 0; n < whole.size(); ++n) {
    write(folder / "w", whole.substr(0, n));
    ASSERT_FALSE(BlobFile(folder / "w").parse(skim)) << n;
  }
  write(folder / "w", std::string(20, '\xff'));
  EXPECT_FALSE(BlobFile(folder / "w").parse(skim));
  EXPECT_ERROR(BlobFile("/none"), "cannot read /none: No such file");
}

TEST(BlobFile, NoticesThatTheFileShrank) {
  const ScratchFolder folder;
  SolverState state;
  add_values(*state.add_history(), kMany, 0);
  write(folder / "s", state.SerializeAsString());
  BlobFile in(folder / "s");
  ASSERT_TRUE(in.parse(state));
  std::filesystem::resize_file(folder / "s", 100);
  Tensor tensor;
  tensor.reshape({kMany});
  EXPECT_ERROR(in.read(state.history(0), tensor), "was cut short");
}

TEST(BlobFile, RefusesWhatIsNoFileAtOnce) {
  const ScratchFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_ERROR(BlobFile(folder / "pipe"), "is a pipe, a file was expected");
  EXPECT_ERROR(BlobFile("/dev/zero"), "is a device");
  EXPECT_ERROR(BlobFile(folder / ""), "is a folder");
}

}  // namespace
}  // namespace doppio
