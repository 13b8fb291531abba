#include "net/passes/passes.hpp"
#include "support/expect_error.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

constexpr char kData[] =
    "layer { name: 'd' type: 'Data' top: 'x' top: 'label' transform_param { views: 10 } }\n"
    "layer { name: 'ip' type: 'InnerProduct' bottom: 'x' top: 'ip' }\n";

/// Returns "bottoms>type>tops" of every layer after the first two.
std::string outline(const std::string& rest) {
  std::string s;
  const SourcedNet out = average_views(parse_prototxt(kData + rest, "n"));
  EXPECT_EQ(out.layers.size(), static_cast<std::size_t>(out.net.layer_size()));
  for (int i = 2; i < out.net.layer_size(); ++i) {
    const LayerParameter& l = out.net.layer(i);
    for (const std::string& b : l.bottom()) s += b + " ";
    s += "> " + l.type();
    for (const std::string& t : l.top()) s += " > " + t;
    s += '\n';
  }
  return s;
}

TEST(AverageViewsPass, AveragesAheadOfEveryComparisonWithLabels) {
  EXPECT_EQ(outline("layer { name: 'a' type: 'Accuracy' bottom: 'ip' bottom: 'label' top: 'a' }"
                    "layer { name: 'l' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' }"
                    "layer { name: 's' type: 'Silence' bottom: 'label' }"),
            "ip > AverageViews > ip_a_views\n"
            "ip_a_views label > Accuracy > a\n"
            "ip > AverageViews > ip_l_views\n"
            "ip_l_views label > SoftmaxWithLoss\n"
            "label > Silence\n");
}

TEST(AverageViewsPass, TakesTheScoresBeforeASoftmax) {
  EXPECT_EQ(outline("layer { name: 'p' type: 'Softmax' bottom: 'ip' top: 'p' }"
                    "layer { name: 'a' type: 'Accuracy' bottom: 'p' bottom: 'label' top: 'a' }"),
            "ip > Softmax > p\n"
            "ip > AverageViews > p_a_views\n"
            "p_a_views label > Accuracy > a\n");
}

TEST(AverageViewsPass, TakesTheScoresBeforeASoftmaxThatIsCopied) {
  EXPECT_EQ(outline("layer { name: 'p' type: 'Softmax' bottom: 'ip' top: 'p' }"
                    "layer { name: 's' type: 'Split' bottom: 'p' top: 'q' top: 'r' }"
                    "layer { name: 'a' type: 'Accuracy' bottom: 'r' bottom: 'label' top: 'a' }"),
            "ip > Softmax > p\n"
            "p > Split > q > r\n"
            "ip > AverageViews > r_a_views\n"
            "r_a_views label > Accuracy > a\n");
}

TEST(AverageViewsPass, LetsSilenceAndLayersWithOneBottomReadLabels) {
  EXPECT_EQ(outline("layer { name: 's' type: 'Silence' bottom: 'x' bottom: 'label' }"
                    "layer { name: 't' type: 'Silence' bottom: 'label' bottom: 'x' }"
                    "layer { name: 'p' type: 'Power' bottom: 'label' top: 'p' }"),
            "x label > Silence\n"
            "label x > Silence\n"
            "label > Power > p\n");
}

TEST(AverageViewsPass, GivesItsLayersTheNumberOfViewsAndALine) {
  const SourcedNet out = average_views(parse_prototxt(
      str(kData, "layer { name: 'a' type: 'Accuracy' bottom: 'ip' bottom: 'label' top: 'a' }"),
      "n"));
  EXPECT_EQ(out.net.layer(2).name(), "a_views");
  EXPECT_EQ(out.net.layer(2).transform_param().views(), 10u);
  EXPECT_EQ(out.where(2).text(), "n:3:1");
}

TEST(AverageViewsPass, LeavesNetsWithoutViewsAlone) {
  const std::string text =
      "layer { name: 'd' type: 'Data' top: 'x' top: 'label' }"
      "layer { name: 'a' type: 'Accuracy' bottom: 'x' bottom: 'label' top: 'a' }";
  const SourcedNet source = parse_prototxt(text, "n");
  EXPECT_EQ(average_views(source).net.SerializeAsString(), source.net.SerializeAsString());
}

TEST(AverageViewsPass, NamesLayersThatCannotTakeMeans) {
  const std::string text = error_of([] {
    outline(
        "layer { name: 'h' type: 'HingeLoss' bottom: 'ip' bottom: 'label' }\n"
        "layer { name: 'a' type: 'Accuracy' bottom: 'ip' bottom: 'label' top: 'a'"
        " accuracy_param { axis: 2 } }\n"
        "layer { name: 'e' type: 'EuclideanLoss' bottom: 'label' bottom: 'ip' }\n"
        "layer { name: 'o' type: 'Accuracy' bottom: 'label' bottom: 'ip' top: 'o' }\n"
        "layer { name: 'q' type: 'Softmax' bottom: 'ip' top: 'q' }\n"
        "layer { name: 'f' type: 'Flatten' bottom: 'q' top: 'f' }\n"
        "layer { name: 'r' type: 'ReLU' bottom: 'f' top: 'f' }\n"
        "layer { name: 'c' type: 'Accuracy' bottom: 'f' bottom: 'label' top: 'c' }\n"
        "layer { name: 'p' type: 'Softmax' bottom: 'ip' top: 'ip' }\n"
        "layer { name: 'b' type: 'Accuracy' bottom: 'ip' bottom: 'label' top: 'b' }\n");
  });
  for (const char* part :
       {"n:3:1: error: layer 'h' (HingeLoss): labels of images with several views can only be "
        "compared by Accuracy and SoftmaxWithLoss layers, with the classes along axis 1",
        "layer 'a' (Accuracy): labels of images", "layer 'e' (EuclideanLoss): labels of images",
        "layer 'o' (Accuracy): labels of images",
        "layer 'c' (Accuracy): with views, the scores before layer 'q' are needed, but other "
        "layers than Split follow it; let this layer read 'ip'",
        "layer 'b' (Accuracy): with views, the scores before layer 'p' are needed; give that "
        "layer a top of another name than its bottom"})
    EXPECT_TRUE(contains(text, part)) << part << "\n" << text;
}

}  // namespace
}  // namespace doppio
