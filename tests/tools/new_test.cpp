// `doppio new`, and the commands that take its folder.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <random>

#include "data/storage/lmdb.hpp"
#include "doppio.pb.h"
#include "doppio/net.hpp"
#include "io/input_file.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"
#include "tools/project/like_net.hpp"
#include "tools/project/picture_folder.hpp"
#include "tools/run_command.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;

/// A folder of pictures that a net can tell apart: reddish and bluish noise.
class NewTest : public testing::Test {
 protected:
  void add(const std::string& path, const cv::Scalar& color) {
    fs::create_directories(fs::path(pictures / path).parent_path());
    cv::Mat image(24, 32, CV_8UC3);
    cv::RNG random(++seed_);
    random.fill(image, cv::RNG::UNIFORM, 0, 120);
    cv::imwrite(pictures / path, image + color);
  }
  void add_class(const std::string& name, int count, const cv::Scalar& color) {
    for (int i = 0; i < count; ++i) add(str(name, "/", i, ".png"), color);
  }
  void add_two_classes(int count) {
    add_class("big cats", count, red);
    add_class("dogs", count, blue);
  }

  Outcome make(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"new", project, "--images=" + pictures / ""};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_doppio(arguments);
  }
  std::string listed(const std::string& name) const { return read_file(project + "/" + name); }

  const cv::Scalar red{0, 0, 130}, blue{130, 0, 0};
  ScratchFolder folder, pictures;
  std::string project = folder / "pets";

 private:
  std::uint64_t seed_ = 0;
};

TEST_F(NewTest, FromPicturesToClassesInThreeCommands) {
  add_two_classes(10);
  const Outcome made = make();
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_TRUE(contains(made.out,
                       "2 classes (big cats 10, dogs 10), 16 pictures to train on, 4 for "
                       "validation, net like cifar10_alexnet\nnext: doppio train --solver="))
      << made.out;
  EXPECT_EQ(listed("labels.txt"), "big cats\ndogs\n");

  const Outcome trained = run_doppio({"train", "--solver=" + project});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const Outcome tested = run_doppio({"test", "--model=" + project});
  EXPECT_TRUE(contains(tested.out, "(accuracy 100.00 %) of 4 labels")) << tested.out << tested.err;

  const Outcome classified =
      run_doppio({"classify", "--model=" + project, "--top=1", "--format=csv", pictures / "dogs"});
  EXPECT_EQ(classified.exit_code, 0) << classified.err;
  EXPECT_EQ(std::count(classified.out.begin(), classified.out.end(), '\n'), 11);
  EXPECT_TRUE(classified.out.starts_with("image,rank,class,name,score\n"));
  EXPECT_TRUE(contains(classified.out, pictures / "dogs/9.png" + ",1,1,dogs,")) << classified.out;
  EXPECT_FALSE(contains(classified.out, "big cats")) << classified.out;
}

TEST_F(NewTest, ClassifyGivesTheProbabilitiesOfTheTestPhase) {
  add_two_classes(6);
  ASSERT_EQ(make({"--like=cifar10_alexnet", "--epochs=2"}).exit_code, 0);
  ASSERT_EQ(run_doppio({"train", "--solver=" + project}).exit_code, 0);
  // The test net, with its labels and losses, on the pictures of val_lmdb.
  const std::string test_net = project + "/train_val.prototxt";
  std::string weights;
  for (const auto& entry : fs::directory_iterator(project))
    if (entry.path().extension() == ".caffemodel")
      weights = std::max(weights, entry.path().string());
  Context ctx;
  Net net(ctx, test_net, TEST);
  net.copy_weights(weights);
  net.forward();
  const Blob& scores = net.blob(net.layers().back().bottom_names[0]);
  const Outcome r =
      run_doppio({"classify", "--model=" + project, "--format=json", "--top=2",
                  "--root=" + pictures / "", project + "/val.txt", "--weights=" + weights});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const nlohmann::json predictions = nlohmann::json::parse(r.out);
  ASSERT_EQ(static_cast<Index>(predictions.size()), scores.shape()[0]);
  const float* x = scores.data.read_host();
  for (std::size_t i = 0; i < predictions.size(); ++i)
    for (const auto& c : predictions[i]["classes"]) {
      const std::size_t k = c["class"];
      const double other = x[2 * i + 1 - k], own = x[2 * i + k];
      EXPECT_NEAR(c["score"].get<double>(), 1 / (1 + std::exp(other - own)), 1e-6);
    }
  EXPECT_TRUE(contains(r.err, "images with a label")) << r.err;
}

TEST_F(NewTest, LeavesOutWhatCannotBeTrainedOnAndSaysWhy) {
  add_two_classes(4);
  add("birds/one.png", red);
  fs::create_directories(pictures / "empty");
  std::ofstream(pictures / "dogs/broken.jpg") << "no picture";
  std::ofstream(pictures / "dogs/notes.txt") << "no picture";
  std::ofstream(pictures / "loose.png") << "no picture";
  fs::copy(pictures / "dogs/0.png", pictures / "dogs/copy.png");
  fs::copy(pictures / "dogs/1.png", pictures / "big cats/dog.png");
  const Outcome r = make();
  ASSERT_EQ(r.exit_code, 0) << r.err;
  for (const char* warning :
       {"class 'empty' has no pictures and is left out", "left out 1 file in ",
        ", which belong to no class",
        "left out 1 file in the class folders: hidden, without the ending of a picture",
        "left out 1 picture that cannot be read:\n  dogs/broken.jpg: ",
        "used only once: 1 picture with the same content as others of the class:\n"
        "  dogs/0.png = dogs/copy.png",
        "left out 1 picture with the same content as one of another class:\n"
        "  big cats/dog.png = dogs/1.png",
        "1 class without a picture for validation, because there is only one:\n  birds"})
    EXPECT_TRUE(contains(r.err, warning)) << warning << '\n' << r.err;
  const std::string lists = listed("train.txt") + listed("val.txt");
  for (const char* left_out : {"copy.png", "dog.png", "broken", "dogs/1.png", "notes"})
    EXPECT_FALSE(contains(lists, left_out)) << left_out;
  EXPECT_EQ(std::count(lists.begin(), lists.end(), '\n'), 4 + 3 + 1);
  EXPECT_EQ(listed("labels.txt"), "big cats\nbirds\ndogs\n");
}

TEST_F(NewTest, ValidatesWithTheTrainingPicturesIfThereAreNoOthers) {
  add_two_classes(1);
  const Outcome r = make();
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "its accuracy says nothing about other pictures")) << r.err;
  EXPECT_EQ(listed("train.txt"), listed("val.txt"));
  EXPECT_EQ(listed("train.txt"), "big cats/0.png 0\ndogs/0.png 1\n");
}

TEST_F(NewTest, KeepsAGivenDivision) {
  add("train/a/1.png", red);
  add("train/b/1.png", blue);
  add("test/a/2.png", red);
  add("test/b/2.png", blue);
  ASSERT_EQ(make().exit_code, 0);
  EXPECT_EQ(listed("train.txt"), "train/a/1.png 0\ntrain/b/1.png 1\n");
  EXPECT_EQ(listed("val.txt"), "test/a/2.png 0\ntest/b/2.png 1\n");
}

TEST_F(NewTest, MistakesAreErrorsAndLeaveNothing) {
  const auto expect = [&](const Outcome& r, const std::string& message) {
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_TRUE(contains(r.err, message)) << r.err;
    EXPECT_TRUE(fs::is_empty(folder / ""));
  };
  expect(make(), "has pictures of 0 classes; at least two are needed");
  add_class("only", 2, red);
  expect(make(), "has pictures of 1 class; at least two are needed");
  add_class("other", 2, blue);
  expect(make({"--like=alexnett"}), "there is no such net; did you mean 'alexnet'?");
  expect(make({"--images=gone"}), "gone is not a folder");
  const std::string bad = pictures.write("bad.caffemodel", "no weights");
  expect(make({"--weights=" + bad}), "bad.caffemodel");
  expect(make({"--weights=" + bad, "--like=lenet"}), "bad.caffemodel");
  for (const char* name : {"a,b", ".", ".."})
    expect(run_doppio({"new", folder / name, "--images=" + pictures / ""}), "name");
}

TEST_F(NewTest, ReplacesAndRemovesNothing) {
  add_two_classes(2);
  const std::string mine = folder.write("pets", "a file");
  EXPECT_EQ(make().exit_code, 1);
  EXPECT_EQ(read_file(mine), "a file");
  fs::remove(mine);
  // The pictures may lie anywhere, even where an unfinished folder could have been.
  fs::copy(pictures / "", folder / "pets.partial", fs::copy_options::recursive);
  EXPECT_EQ(make({"--images=" + folder / "pets.partial"}).exit_code, 0);
  EXPECT_TRUE(fs::exists(folder / "pets.partial/dogs/0.png"));
}

TEST_F(NewTest, FindsTheNetOfWeights) {
  add_two_classes(3);
  Context ctx;
  Net squeezenet(ctx, "models/squeezenet/deploy.prototxt", TEST);
  const std::string weights = folder / "w.caffemodel";
  squeezenet.save(weights);
  const Outcome r = make({"--weights=" + weights});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.out, "net like squeezenet\n")) << r.out;
  EXPECT_TRUE(contains(listed("solver.prototxt"), "weights: \"" + weights + "\"\n"));
  EXPECT_TRUE(contains(listed("train_val.prototxt"), "name: \"conv10_pets\"\n"));
}

TEST_F(NewTest, DeployCommandMakesTheSameNet) {
  add_two_classes(3);
  ASSERT_EQ(make({"--like=squeezenet"}).exit_code, 0);  // with a crop and mean_value
  const std::string train_val = project + "/train_val.prototxt";
  const Outcome r = run_doppio({"deploy", train_val, "-o", project + "/again.prototxt"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  std::string again = listed("again.prototxt");
  again.replace(again.find("again_mean"), 10, "deploy_mean");
  EXPECT_EQ(again, listed("deploy.prototxt"));
  EXPECT_EQ(listed("again_mean.binaryproto"), listed("deploy_mean.binaryproto"));

  EXPECT_TRUE(contains(run_doppio({"deploy", train_val}).out, "type: \"Input\""));
  const std::string before = listed("train_val.prototxt");
  const Outcome onto_itself = run_doppio({"deploy", train_val, "-o", train_val});
  EXPECT_EQ(onto_itself.exit_code, 2);
  EXPECT_EQ(listed("train_val.prototxt"), before);
}

TEST_F(NewTest, FlagsOverrideTheMeanButNotTheSizeBeforeTheCrop) {
  add_two_classes(3);
  ASSERT_EQ(make({"--like=cifar10_alexnet", "--epochs=1"}).exit_code, 0);
  ASSERT_EQ(run_doppio({"train", "--solver=" + project}).exit_code, 0);
  const auto scores = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"classify", "--model=" + project, "--format=csv",
                                          pictures / "dogs/0.png"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_doppio(arguments).out;
  };
  const std::string stated = scores({});
  EXPECT_EQ(scores({"--mean=" + project + "/mean.binaryproto"}), stated);
  EXPECT_EQ(scores({"--scale=0.0125"}), stated);
  EXPECT_NE(scores({"--scale=0.5"}), stated);
  const std::string other = scores({"--mean_value=0,0,0"});
  EXPECT_NE(other, stated);
  EXPECT_EQ(scores({"--mean_value=0,0,0", "--resize=32"}), other);
  EXPECT_NE(scores({"--mean_value=0,0,0", "--resize=28"}), other);
}

TEST_F(NewTest, ExtractsFeaturesOfImages) {
  add_two_classes(3);
  ASSERT_EQ(make({"--like=cifar10_quick", "--epochs=1"}).exit_code, 0);
  ASSERT_EQ(run_doppio({"train", "--solver=" + project}).exit_code, 0);
  const Outcome r =
      run_doppio({"extract", "--model=" + project, "ip1,prob", folder / "a," + folder / "b",
                  pictures / "dogs", pictures / "big cats/1.png"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  LmdbReader features(folder / "a");
  EXPECT_EQ(features.size(), 4);
  Datum datum;
  ASSERT_TRUE(datum.ParseFromString(std::string(features.next().value)));
  EXPECT_EQ(datum.float_data_size(), 64);
  const Outcome none =
      run_doppio({"extract", "--model=" + project + "/deploy.prototxt",
                  "--weights=" + project + "/pets_iter_1.caffemodel", "ip1", folder / "c"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_TRUE(contains(none.err, "needs images")) << none.err;
}

TEST(Models, AreListedWithTheirFigures) {
  const Outcome r = run_doppio({"models"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_FALSE(contains(r.out, "?")) << r.out;
  for (const char* text :
       {"\nalexnet ", "\nvgg16 ", "60,965,224", "724.4 million", "92.86 % top-1"})
    EXPECT_TRUE(contains(r.out, text)) << text << r.out;
}

class NewLike : public NewTest, public testing::WithParamInterface<std::string> {};

TEST_P(NewLike, EveryNetOfModelsCanBeAdapted) {
  add_class("a", 3, red);
  add_class("b", 3, blue);
  add_class("c", 3, red);
  const Outcome r = make({"--like=" + GetParam()});  // builds the nets for training and testing
  ASSERT_EQ(r.exit_code, 0) << r.err;
  Context ctx;
  ctx.dry_run = true;
  Net net(ctx, project + "/deploy.prototxt", TEST);
  EXPECT_EQ(net.blob("prob").shape().count(), 3);
}

INSTANTIATE_TEST_SUITE_P(, NewLike,
                         testing::Values("alexnet", "alexnet_paper", "caffenet", "cifar10_alexnet",
                                         "cifar10_full", "cifar10_quick", "fashion_alexnet",
                                         "googlenet", "lenet", "mobilenet_v1", "resnet50",
                                         "squeezenet", "vgg16"),
                         [](const auto& net) { return net.param; });

TEST(AdaptedSolver, ScalesWithTheNumberOfPictures) {
  const LikeNet like = read_like("models/cifar10_quick");
  Target target{.name = "n", .folder = "n/", .classes = 2, .train = 16, .val = 4};
  const SolverParameter few = adapted_solver(like, target);
  EXPECT_EQ(few.max_iter(), 600);
  EXPECT_FLOAT_EQ(few.base_lr(), 0.001f * std::sqrt(4.0f / 100));
  EXPECT_EQ(few.test_iter(0), 1);
  target.train = 16000;
  target.val = 4001;
  const SolverParameter many = adapted_solver(like, target);
  EXPECT_EQ(many.max_iter(), 4000);  // that of cifar10_quick
  EXPECT_FLOAT_EQ(many.base_lr(), 0.001f);
  EXPECT_EQ(many.momentum(), 0.9f);
  EXPECT_EQ(many.weight_decay(), 0.004f);
  target.epochs = 10;
  EXPECT_EQ(adapted_solver(like, target).max_iter(), 1600);
  target.weights = "w.caffemodel";
  EXPECT_FLOAT_EQ(adapted_solver(like, target).base_lr(), 0.0001f);
  EXPECT_EQ(adapted_solver(like, target).weights(0), "w.caffemodel");
}

TEST(AdaptedNet, NewOutputsLearnFasterWhenWeightsAreGiven) {
  const LikeNet like = read_like("models/caffenet");
  Target target{.name = "pets",
                .folder = "pets/",
                .classes = 2,
                .train = 16,
                .val = 4,
                .weights = "w.caffemodel"};
  const NetParameter net = adapted_net(like, target).net;
  const auto fc8 = std::find_if(net.layer().begin(), net.layer().end(),
                                [](const auto& layer) { return layer.name() == "fc8_pets"; });
  ASSERT_NE(fc8, net.layer().end());
  EXPECT_EQ(fc8->inner_product_param().num_output(), 2u);
  EXPECT_EQ(fc8->param(0).lr_mult(), 10);
  EXPECT_EQ(fc8->param(1).lr_mult(), 20);
}

}  // namespace
}  // namespace doppio
