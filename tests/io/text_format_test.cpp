#include "io/text_format.hpp"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "doppio.pb.h"
#include "support/expect_error.hpp"

namespace doppio {
namespace {

template <class Message = LayerParameter>
std::string refusal(const std::string& text) {
  Message message;
  TextAdvice advice;
  return error_of([&] { parse_text_format(text, "n", message, advice); });
}

std::string repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(TextFormat, ReadsWhatProtobufReads) {
  const char* texts[] = {
      "name: 'a' type: \"b\" \"c\"; top: 'x', top: 'y'",
      "top: ['x', 'y'] bottom: [] loss_weight: [1, -.5, 2.5e-3F, inf, -nan, 1f]",
      "convolution_param { num_output: 0x1F pad: 07 kernel_size: [3, 5] bias_term: t engine: 1 }",
      "convolution_param < num_output: 4294967295 bias_term: 0 axis: -2147483648 >",
      "param [ { lr_mult: 1 }, < lr_mult: 2. > ] param { } # comment }",
      "name: '\\x41\\101\\n\\t\\\\\\'\\u00e9\\U0001F600 \xC3\xA9'",
      "power_param { scale: 1e400 shift: -1e-400 power: 16777217 }",
      "",
  };
  for (const char* text : texts) {
    LayerParameter ours, theirs;
    TextAdvice advice;
    parse_text_format(text, "n", ours, advice);
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &theirs)) << text;
    EXPECT_EQ(ours.SerializeAsString(), theirs.SerializeAsString()) << text;
  }
}

TEST(TextFormat, KnowsThePlaceOfEveryFieldInCharacters) {
  LayerParameter layer;
  TextAdvice advice;
  const FieldPlaces places =
      parse_text_format("name: '\xC3\xA9' type: 'x'\n\tconvolution_param { kernel_size: [3,\n 5] }",
                        "n", layer, advice);
  EXPECT_EQ(places.at("type").text(), "n:1:11");
  EXPECT_EQ(places.at("convolution_param").text(), "n:2:2");
  EXPECT_EQ(places.at("convolution_param.kernel_size").text(), "n:2:36");
  EXPECT_EQ(places.at("convolution_param.kernel_size[1]").text(), "n:3:2");
}

TEST(TextFormat, DepthIsLimited) {
  for (const char* open : {"a { ", "a < ", "a: [ ", "a { b: [ ", "a: { "})
    EXPECT_TRUE(refusal(repeat(open, 50'000)).ends_with("error: nested more than 100 levels deep"))
        << open;
  EXPECT_EQ(refusal(repeat("a {", 90) + repeat("}", 90)),
            "n:1:1: error: LayerParameter has no field 'a'");
}

TEST(TextFormat, LongNamesAreCut) {
  const std::string name(300'000, 'a');
  EXPECT_EQ(refusal(name + ": 1"),
            "n:1:1: error: LayerParameter has no field '" + name.substr(0, 60) + "...'");
  EXPECT_EQ(refusal("phase: " + name), "n:1:8: error: '" + name.substr(0, 60) +
                                           "...' is not a value of phase; it takes TRAIN, TEST");
  EXPECT_EQ(refusal("loss_weight: 1" + name), "n:1:14: error: '1" + name.substr(0, 199) +
                                                  "...' is not a number; a blank may be "
                                                  "missing");
}

TEST(TextFormat, NamesValuesOfTheWrongKind) {
  const std::pair<const char*, const char*> cases[] = {
      {"name: conv1", "1:7: error: 'name' takes text in quotes: name: \"conv1\""},
      {"name: 3", "1:7: error: 'name' takes text in quotes, not '3'"},
      {"name { }", "1:6: error: 'name' takes text in quotes, not { }"},
      {"loss_weight: 'x'",
       "1:14: error: 'loss_weight' takes a number, not 'x'; leave the quotes out"},
      {"loss_weight: -x", "1:14: error: 'loss_weight' takes a number, not '-x'"},
      {"propagate_down: yes", "1:17: error: 'propagate_down' takes true or false, not 'yes'"},
      {"propagate_down: 2", "1:17: error: 'propagate_down' takes true or false, not '2'"},
      {"phase: 'TRAIN'",
       "1:8: error: 'phase' takes one of TRAIN, TEST, not 'TRAIN'; leave the quotes out"},
      {"phase: 7", "1:8: error: 'phase' takes one of TRAIN, TEST, not '7'"},
      {"phase: TRIAN",
       "1:8: error: 'TRIAN' is not a value of phase; did you mean 'TRAIN'?; it takes TRAIN, TEST"},
      {"convolution_param { num_output: 1.5 }",
       "1:33: error: 'num_output' takes an integer of at least 0, not '1.5'"},
      {"convolution_param { num_output: -1 }",
       "1:33: error: 'num_output' takes an integer of at least 0, not '-1'"},
      {"convolution_param { num_output: 4294967296 }",
       "1:33: error: '4294967296' is too large for 'num_output'"},
      {"convolution_param: 3",
       "1:20: error: 'convolution_param' takes { fields of ConvolutionParameter }, not '3'"},
      {"name: ['a', 'b']", "1:7: error: 'name' takes text in quotes, not a list"},
      {"top: [['a']]", "1:7: error: 'top' takes text in quotes, not a list"},
      {"name: 'a'\nname: 'b'",
       "2:1: error: 'name' is given twice, first in line 1; leave one of them out"},
      {"relu_param { }\nrelu_param { }",
       "2:1: error: 'relu_param' is given twice, first in line 1"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_TRUE(refusal(text).starts_with(std::string("n:") + message)) << refusal(text);
}

TEST(TextFormat, NamesMistakesInTheGrammar) {
  const std::pair<const char*, const char*> cases[] = {
      {"name 'a'", "1:6: error: after 'name' ':' and text in quotes are expected, not 'a'"},
      {"name = 'a'", "1:6: error: a field and its value are separated by ':', not by '='"},
      {"nmae = 'a'", "1:6: error: a field and its value are separated by ':', not by '='"},
      {"name:", "1:6: error: 'name' takes text in quotes, not the end of the file"},
      {"name: }", "1:7: error: 'name' takes text in quotes, not '}'"},
      {"relu_param 3", "1:12: error: 'relu_param' takes { fields of ReLUParameter }, not '3'"},
      {"\n relu_param { ",
       "2:13: error: 'relu_param {' has no closing '}' before the end of the file"},
      {"foo { ", "1:5: error: '{' has no closing '}' before the end of the file"},
      {"relu_param { >", "1:14: error: 'relu_param {' of line 1 is closed by '}', not by '>'"},
      {"foo { ( ]", "1:9: error: the '{' of line 1 is closed by '}', not by ']'"},
      {"name: 'a' }", "1:11: error: '}' closes nothing; there is one too many, here or before"},
      {"'name': 'a'",
       "1:1: error: a field of LayerParameter is expected, not 'name'; names of fields have no "
       "quotes"},
      {"loss_weight: 0,5",
       "1:16: error: a field of LayerParameter is expected, not '5'; decimals are written with a "
       "point, and lists as [1, 2]"},
      {"top: ['a' 'b' : ]",
       "1:15: error: the list of 'top' continues with , or ends with ], not ':'"},
      {"name: 'a", "1:7: error: the text that begins here has no closing ' on its line"},
      {"name: 'a\n'", "1:7: error: the text that begins here has no closing ' on its line"},
      {"name: \"C:\\data\"",
       "1:7: error: '\\d' in this text stands for no character; write \\\\ for a backslash, or / "
       "in "
       "a path"},
      {"name: '\\xg'", "1:7: error: '\\x' in this text stands for no character"},
      {"loss_weight: 1.2.3", "1:14: error: '1.2.3' is not a number"},
      {"loss_weight: 1e", "1:14: error: '1e' is not a number; a blank may be missing"},
      {"loss_weight: 01.5",
       "1:14: error: '01.5' begins with 0, which is for octal numbers; leave the 0 out"},
      {"// x", "1:1: error: a comment begins with #, not with //"},
      {"name: 'a' \x01", "1:11: error: '\\x01' has no meaning outside of quotes"},
      {"[ext]: 1", "1:1: error: a field of LayerParameter is expected, not '['"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_TRUE(refusal(text).starts_with(std::string("n:") + message)) << refusal(text);
}

TEST(TextFormat, NamesCharactersOfWordProcessors) {
  EXPECT_EQ(refusal("name: \xE2\x80\x9C"
                    "a\xE2\x80\x9D"),
            "n:1:7: error: U+201C LEFT DOUBLE QUOTATION MARK, which looks like '\"'; type that "
            "instead");
  EXPECT_EQ(refusal("name:\xC2\xA0'a'"),
            "n:1:6: error: U+00A0 NO-BREAK SPACE, which looks like a blank; type that instead");
  EXPECT_EQ(refusal("loss_weight: \xE2\x88\x92"
                    "1"),
            "n:1:14: error: U+2212 MINUS SIGN, which looks like '-'; type that instead");
  EXPECT_EQ(
      refusal("name: \"a\xE2\x80\x9D"),
      "n:1:7: error: the text that begins here has no closing \" on its line; there is U+201D "
      "RIGHT DOUBLE QUOTATION MARK, which looks like '\"'");
  EXPECT_EQ(refusal("na\xE2\x80\x8Bme: 'a'"),
            "n:1:3: error: U+200B ZERO WIDTH SPACE, which is invisible; delete it");
}

TEST(TextFormat, AMissingBraceIsFoundWhereTheNextMessageOfTheOuterOneBegins) {
  EXPECT_EQ(refusal<NetParameter>("layer {\n relu_param {\n}\nlayer { }"),
            "n:4:1: error: 'layer' is a field of NetParameter, not of LayerParameter; is the '}' "
            "missing that closes 'layer {' of line 1?");
}

TEST(TextFormat, ShowsNoMoreThanTwentyErrors) {
  const std::string error = refusal(repeat("x: 1\n", 1000));
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 20);
  EXPECT_TRUE(error.ends_with("\nand 980 more errors")) << error;
}

TEST(TextFormat, CountsTheFieldsOfTheOutermostMessage) {
  const std::string text = "base_lr: 1 net_param { name: 'x' } name: max_iter base_lr: 2";
  EXPECT_EQ(known_fields(text, *SolverParameter::descriptor()), 2);
  EXPECT_EQ(known_fields(text, *NetParameter::descriptor()), 1);
}

}  // namespace
}  // namespace doppio
