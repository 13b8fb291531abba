// `test` and `classify` with several views and several nets, and `mean --pca`.
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "data/image/color_components.hpp"
#include "data/storage/lmdb.hpp"
#include "doppio.pb.h"
#include "doppio/net.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"
#include "tools/run_command.hpp"
#include "tools/training_folder.hpp"

namespace doppio {
namespace {

constexpr char kScores[] =
    "layer { name: 'ip' type: 'InnerProduct' bottom: 'data' top: 'ip' "
    "inner_product_param { num_output: 2 } }\n";

class Averaging : public testing::Test {
 protected:
  Averaging() {
    // Gray images of 4 x 4 of class 1, dark in the central 2 x 2 pixels and white around them.
    cv::Mat image(4, 4, CV_8UC1, cv::Scalar(100));
    image(cv::Rect(1, 1, 2, 2)) = 0;
    cv::imwrite(picture, image);
    Datum datum;
    datum.set_channels(1);
    datum.set_height(4);
    datum.set_width(4);
    datum.set_data(std::string(image.begin<char>(), image.end<char>()));
    datum.set_label(1);
    LmdbWriter writer(folder / "lmdb");
    for (const char* key : {"a", "b"}) writer.put(key, datum.SerializeAsString());
    writer.finish();
  }

  /// Writes weights of a net whose score is `weight` times the sum of the 2 x 2 pixels for class 1,
  /// and `bias` for class 0.
  std::string weights(const std::string& name, float weight, float bias) const {
    Context ctx;
    Net net(ctx, deploy, TEST);
    set_values(net.layer("ip").layer->params[0].data, {0, 0, 0, 0, weight, weight, weight, weight});
    set_values(net.layer("ip").layer->params[1].data, {bias, 0});
    net.save(folder / name);
    return folder / name;
  }

  Outcome test(const std::string& files, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"test", "--model=" + model, "--weights=" + files,
                                          "--iterations=2", "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_doppio(arguments);
  }

  Outcome classify(const std::string& files, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"classify", "--model=" + deploy, "--weights=" + files,
                                          "--resize=4", picture};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_doppio(arguments);
  }

  ScratchFolder folder;
  std::string picture = folder / "picture.png";
  std::string deploy = folder.write(
      "deploy", str("layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 1 "
                    "dim: 1 dim: 2 dim: 2 } } }",
                    kScores, "layer { name: 'p' type: 'Softmax' bottom: 'ip' top: 'p' }"));
  std::string model = folder.write(
      "model", str("layer { name: 'in' type: 'Data' top: 'data' top: 'label' transform_param { "
                   "crop_size: 2 } data_param { backend: LMDB batch_size: 2 source: '",
                   folder / "lmdb", "' } }", kScores,
                   "layer { name: 'a' type: 'Accuracy' bottom: 'ip' bottom: 'label' top: 'a' }"
                   "layer { name: 'l' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' }"));
};

TEST_F(Averaging, TestTakesSeveralViews) {
  // The centre is dark and thus of class 0. Three pixels of each corner are white.
  const std::string file = weights("w", 1, 1);
  EXPECT_EQ(test(file).out, "top-1 error 100.00 % (accuracy 0.00 %) of 4 labels\n");
  EXPECT_EQ(test(file, {"--views=2"}).out, "top-1 error 100.00 % (accuracy 0.00 %) of 4 labels\n");
  const Outcome ten = test(file, {"--views=10", "--quiet=false"});
  EXPECT_EQ(ten.out, "top-1 error 0.00 % (accuracy 100.00 %) of 4 labels\n") << ten.err;
  // Its outputs are also those of the mean, 4/5 + 1/5 * 1/(1 + e): -log(0.85379).
  EXPECT_TRUE(contains(ten.err, "] a = 1\n")) << ten.err;
  EXPECT_TRUE(contains(ten.err, "] Loss: 0.15807")) << ten.err;
  EXPECT_EQ(test(file, {"--set", "in.transform_param.views=5"}).out, ten.out);
}

TEST_F(Averaging, TestAveragesSeveralNets) {
  // `sure` predicts class 0 with certainty, `narrow` predicts class 1 by a small margin.
  const std::string sure = weights("sure", 0, 5), narrow = weights("narrow", 0, -0.1f);
  const Outcome r = test(narrow + "," + sure);
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out, narrow + ": top-1 error 0.00 % (accuracy 100.00 %) of 4 labels\n" + sure +
                       ": top-1 error 100.00 % (accuracy 0.00 %) of 4 labels\n" +
                       "mean of 2 nets: top-1 error 100.00 % (accuracy 0.00 %) of 4 labels\n");
}

TEST_F(Averaging, TestTakesAModelForEachNet) {
  const std::string file = weights("w", 0, -1);
  const std::string reversed = folder.write(
      "reversed", str("layer { name: 'in' type: 'Input' top: 'x' top: 'label' input_param { shape "
                      "{ dim: 2 dim: 2 } shape { dim: 2 } } }"
                      "layer { name: 'ip' type: 'Scale' bottom: 'x' top: 'y' scale_param { axis: 0 "
                      "num_axes: 0 } }"
                      "layer { name: 'l' type: 'SoftmaxWithLoss' bottom: 'y' bottom: 'label' }"));
  const auto error = [&](const std::string& models, const std::string& files) {
    return run_doppio({"test", "--model=" + models, "--weights=" + files, "--quiet"}).err;
  };
  EXPECT_TRUE(contains(error(model + "," + model, file),
                       "--model names 2 files and --weights 1; give one model, or one for each"));
  Context ctx;
  Net net(ctx, reversed, TEST);
  net.save(folder / "r");
  EXPECT_TRUE(contains(error(model + "," + reversed, file + "," + folder / "r"),
                       model + " and " + reversed +
                           " read different labels, so their scores cannot be averaged; give their "
                           "data layers the same source and batch_size"));
  const std::string three = error(reversed + "," + model, folder / "r," + file + "," + file);
  EXPECT_TRUE(contains(three, "--model names 2 files and --weights 3")) << three;
  const std::string scores = folder.write("scores", str("layer { name: 'in' type: 'Input' top: "
                                                        "'data' input_param { shape { dim: 2 dim: "
                                                        "4 } } }",
                                                        kScores));
  EXPECT_TRUE(contains(error(scores, file + "," + file), "has no scores that could be averaged"));
}

TEST_F(Averaging, TestRefusesNetsOfOtherClasses) {
  const auto shaped = [&](const std::string& name, int classes) {
    const std::string text = str(
        "layer { name: 'in' type: 'Input' top: 'x' top: 'label' input_param { shape { dim: 2 "
        "dim: 1 } shape { dim: 2 } } } layer { name: 'ip' type: 'InnerProduct' bottom: 'x' "
        "top: 'y' inner_product_param { num_output: ",
        classes, " } } layer { name: 'l' type: 'SoftmaxWithLoss' bottom: 'y' bottom: 'label' }");
    const std::string file = folder.write(name, text);
    Context ctx;
    Net(ctx, file, TEST).save(file + ".caffemodel");
    return file;
  };
  const std::string two = shaped("two", 2), three = shaped("three", 3);
  const Outcome r = run_doppio({"test", "--model=" + two + "," + three, "--quiet",
                                "--weights=" + two + ".caffemodel," + three + ".caffemodel"});
  EXPECT_TRUE(contains(r.err, str("the scores of ", two, " are 2 x 2 and those of ", three,
                                  " 2 x 3, so they cannot be averaged; the nets need the same "
                                  "classes, and their data layers the same source and batch_size")))
      << r.err;
}

TEST_F(Averaging, TestExplainsViewsThatDoNotFit) {
  const std::string file = weights("w", 1, 1);
  const Outcome r = test(file, {"--views=3"});
  EXPECT_TRUE(contains(r.err, "views must be 1, 2, 5 or 10, it is 3")) << r.err;
  const Outcome none = run_doppio({"test", "--model=" + deploy, "--weights=" + file, "--views=2"});
  EXPECT_TRUE(contains(none.err, "has no Data or ImageData layer, which could take several views"))
      << none.err;
  EXPECT_EQ(test(file, {"--views=-1"}).exit_code, 2);
  const std::string no_comparison = folder.write(
      "no_comparison", str("layer { name: 'in' type: 'Data' top: 'data' top: 'label' "
                           "transform_param { crop_size: 2 } data_param { backend: LMDB "
                           "batch_size: 2 source: '",
                           folder / "lmdb", "' } }", kScores,
                           "layer { name: 'p' type: 'Softmax' bottom: 'ip' top: 'p' }"));
  const Outcome softmax = test(file, {"--views=10", "--model=" + no_comparison});
  EXPECT_EQ(softmax.exit_code, 1);
  EXPECT_TRUE(contains(softmax.err,
                       "no layer compares the average over the views with the labels; "
                       "add an Accuracy layer, or leave --views"))
      << softmax.err;
}

TEST_F(Averaging, ClassifyTakesSeveralViews) {
  const std::string file = weights("w", 1, 1);
  const auto best = [&](const std::vector<std::string>& more) {
    const Outcome r = classify(file, more);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return r.out.substr(r.out.find('\n') + 1);
  };
  EXPECT_EQ(best({}), "0.7311 - \"0\"\n0.2689 - \"1\"\n");
  EXPECT_EQ(best({"--views=10"}), "0.8538 - \"1\"\n0.1462 - \"0\"\n");
}

TEST_F(Averaging, ClassifyAveragesSeveralNets) {
  // The probabilities of class 1 are 1 / (1 + e^5) = 0.0067 and 1 / (1 + e^-1) = 0.7311.
  const Outcome r = classify(weights("sure", 0, 5) + "," + weights("narrow", 0, -1));
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.out, "0.6311 - \"0\"\n0.3689 - \"1\"\n")) << r.out;
}

TEST_F(Averaging, ClassifyExplainsWhatDoesNotFit) {
  const std::string file = weights("w", 1, 1);
  const Outcome small = classify(file, {"--views=10", "--resize=0"});
  EXPECT_TRUE(contains(small.err,
                       "10 views of an image need it larger than the net's input of 1 x "
                       "2 x 2; give a size to resize it to"))
      << small.err;
  const std::string scores = folder.write(
      "scores", str("layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 1 "
                    "dim: 1 dim: 2 dim: 2 } } }",
                    kScores));
  const std::string three = folder.write(
      "three",
      "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 1 dim: 1 "
      "dim: 2 dim: 2 } } } layer { name: 'ip3' type: 'InnerProduct' bottom: 'data' top: "
      "'ip' inner_product_param { num_output: 3 } } "
      "layer { name: 'p' type: 'Softmax' bottom: 'ip' top: 'p' }");
  {
    Context ctx;
    Net(ctx, three, TEST).save(folder / "three.caffemodel");
  }
  const Outcome classes =
      classify(file + "," + folder / "three.caffemodel", {"--model=" + deploy + "," + three});
  EXPECT_TRUE(contains(classes.err, deploy + " has 2 classes and " + three +
                                        " 3, so their probabilities cannot be averaged; give "
                                        "models of the same classes"))
      << classes.err;
  const Outcome r = classify(file, {"--views=2", "--model=" + scores});
  EXPECT_TRUE(contains(r.err, "has no Softmax layer, so there are no probabilities")) << r.err;
  EXPECT_EQ(classify(file, {"--views=-1"}).exit_code, 2);
}

TEST(MeanPca, PrintsAndWritesComponentsThatTrainingTakes) {
  const TrainingFolder folder;
  const Outcome r =
      run_doppio({"mean", folder / "train_lmdb", "--pca=" + folder / "pca.binaryproto"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const ColorComponents c = read_color_components(folder / "pca.binaryproto");
  // Uniform noise from 0 to 255 in every channel has a variance of (256 * 256 - 1) / 12 = 5461.
  for (const double variance : c.variances) EXPECT_NEAR(variance, 5461, 900);
  EXPECT_TRUE(contains(r.out, str("component [0]: variance ", c.variances[0]).substr(0, 28)))
      << r.out;
  EXPECT_TRUE(contains(r.out, "component [2]: variance ")) << r.out;

  folder.write_net("mirror: true", "mirror: true pca_file: \"" + folder / "pca.binaryproto" + "\"");
  const Outcome train = run_doppio(folder.train({"--set", "max_iter=2"}));
  EXPECT_EQ(train.exit_code, 0) << train.err;
}

}  // namespace
}  // namespace doppio
