// Sizes that no blob can have, in every layer that multiplies sizes.
#include <gtest/gtest.h>

#include "doppio/net.hpp"
#include "net/passes/passes.hpp"
#include "support/expect_error.hpp"

namespace doppio {
namespace {

struct Hostile {
  const char* field;  // that the message names
  const char* type;
  const char* param;  // fields of the layer
  std::vector<Shape> bottoms = {{1, 3, 12, 12}};
  int tops = 1;
};

const std::vector<Shape> kNone;
const std::vector<Shape> kTwoMaps = {{1, 3, 12, 12}, {1, 3, 12, 12}};
const std::vector<Shape> kSequence = {{2, 3, 4}, {2, 3}};
const std::vector<Shape> kRegions = {{1, 3, 12, 12}, {2, 5}};

const Hostile kHostile[] = {
    {"pad", "Convolution", "convolution_param { num_output: 1 kernel_size: 3 pad: 2000000000 }"},
    {"pad", "Convolution", "convolution_param { num_output: 1 kernel_size: 3 pad: 4294967295 }"},
    {"pad", "Convolution", "convolution_param { num_output: 1 kernel_size: 3 pad: 1048576 }"},
    {"pad_w", "Convolution",
     "convolution_param { num_output: 1 kernel_size: 3 pad_h: 1 pad_w: 1073741824 }"},
    {"stride", "Convolution",
     "convolution_param { num_output: 1 kernel_size: 3 stride: 2000000000 }"},
    {"dilation", "Convolution",
     "convolution_param { num_output: 1 kernel_size: 3 dilation: 4294967295 }"},
    {"kernel_size", "Convolution", "convolution_param { num_output: 1 kernel_size: 4294967295 }"},
    {"kernel_size", "Convolution",
     "convolution_param { num_output: 1 kernel_size: 1048576 pad: 1048576 }"},
    {"kernel_size", "Convolution",
     "convolution_param { num_output: 1 kernel_size: 40000 pad: 20000 engine: GEMM }"},
    {"num_output", "Convolution", "convolution_param { num_output: 4294967295 kernel_size: 3 }"},
    {"num_output", "Convolution", "convolution_param { num_output: 1073741824 kernel_size: 1 }"},
    {"pad", "Deconvolution", "convolution_param { num_output: 1 kernel_size: 3 pad: 4294967295 }"},
    {"stride", "Deconvolution",
     "convolution_param { num_output: 1 kernel_size: 3 stride: 1048576 }"},
    {"stride", "Deconvolution",
     "convolution_param { num_output: 1 kernel_size: 3 stride: 2147483648 }"},
    {"num_output", "Deconvolution", "convolution_param { num_output: 4294967295 kernel_size: 3 }"},
    {"kernel_size", "Im2col", "convolution_param { kernel_size: 1048576 pad: 1048576 }"},
    {"kernel_size", "Im2col", "convolution_param { kernel_size: 40000 pad: 20000 }"},
    {"pad", "Im2col", "convolution_param { kernel_size: 1 pad: 1000000 }"},
    {"kernel_size", "Im2col",
     "convolution_param { axis: 0 kernel_size: 2000000 pad: 1000000 stride: 1000000 }"},
    {"kernel_size", "Pooling", "pooling_param { kernel_size: 4294967295 }"},
    {"kernel_w", "Pooling", "pooling_param { kernel_h: 3 kernel_w: 4294967295 }"},
    {"stride", "Pooling", "pooling_param { kernel_size: 3 stride: 4294967295 }"},
    {"pad", "Pooling", "pooling_param { kernel_size: 1048576 pad: 4294967295 }"},
    {"kernel_size", "Pooling", "pooling_param { kernel_size: 100000 pad: 99999 stride: 100000 }"},
    {"pyramid_height", "SPP", "spp_param { pyramid_height: 4294967295 }"},
    {"offset", "Crop", "crop_param { offset: 4294967295 }", kTwoMaps},
    {"height", "Interp", "interp_param { height: 2147483647 width: 2147483647 }"},
    {"zoom_factor", "Interp", "interp_param { zoom_factor: 2147483647 }"},
    {"zoom_factor", "Interp", "interp_param { zoom_factor: 1048576 }"},
    {"pad_beg", "Interp", "interp_param { zoom_factor: 2 pad_beg: -2147483648 }"},
    {"scale", "Upsample", "upsample_param { scale: 1e9 }"},
    {"scale", "Upsample", "upsample_param { scale: 1048576 }"},
    {"scale_h", "Upsample", "upsample_param { scale_h: 4294967295 scale_w: 1 }", kTwoMaps},
    {"upsample_h", "Upsample", "upsample_param { upsample_h: 4294967295 upsample_w: 4294967295 }",
     kTwoMaps},
    {"tiles", "Tile", "tile_param { tiles: 2147483647 }"},
    {"stride", "Reorg", "reorg_param { stride: 4294967295 }"},
    {"order", "Permute", "permute_param { order: 4294967295 }"},
    {"slice_point", "Slice", "slice_param { slice_point: 4294967295 }", {{1, 3, 12, 12}}, 2},
    {"shape", "Reshape", "reshape_param { shape { dim: 9223372036854775807 dim: 2 } }"},
    {"shape", "Reshape", "reshape_param { shape { dim: 9223372036854775807 dim: 2 dim: -1 } }"},
    {"num_output", "InnerProduct", "inner_product_param { num_output: 4294967295 }"},
    {"num_output", "InnerProduct",
     "inner_product_param { num_output: 4294967295 transpose: true }"},
    {"input_dim", "Embed", "embed_param { num_output: 4294967295 input_dim: 4294967295 }"},
    {"num_output", "Embed", "embed_param { num_output: 1073741824 input_dim: 2 }"},
    {"num_output", "RNN", "recurrent_param { num_output: 4294967295 }", kSequence},
    {"num_output", "LSTM", "recurrent_param { num_output: 4294967295 }", kSequence},
    {"pooled_h", "ROIPooling",
     "roi_pooling_param { pooled_h: 4294967295 pooled_w: 4294967295 spatial_scale: 1 }", kRegions},
    {"group_size", "PSROIPooling",
     "psroi_pooling_param { output_dim: 1 group_size: 2147483647 spatial_scale: 1 }", kRegions},
    {"feat_stride",
     "Proposal",
     "proposal_param { feat_stride: 4294967295 }",
     {{1, 18, 2, 2}, {1, 36, 2, 2}, {1, 3}}},
    {"num_classes",
     "DetectionOutput",
     "detection_output_param { num_classes: 4294967295 }",
     {{1, 4}, {1, 4}, {1, 2, 4}}},
    {"num_classes",
     "DetectionEvaluate",
     "detection_evaluate_param { num_classes: 4294967295 }",
     {{1, 1, 1, 7}, {1, 1, 1, 8}}},
    {"num_classes",
     "MultiBoxLoss",
     "multibox_loss_param { num_classes: 4294967295 }",
     {{1, 4}, {1, 4}, {1, 2, 4}, {1, 1, 1, 8}}},
    {"top_k", "ArgMax", "argmax_param { top_k: 4294967295 }"},
    {"group", "ShuffleChannel", "shuffle_channel_param { group: 4294967295 }"},
    {"num_axes", "Scale", "scale_param { axis: 1 num_axes: 2147483647 }"},
    {"shape", "Input", "input_param { shape { dim: 9223372036854775807 dim: 2 } }", kNone},
    {"shape", "Input", "input_param { shape { dim: 4294967296 dim: 4294967296 } }", kNone},
    {"shape", "Parameter", "parameter_param { shape { dim: 1099511627776 } }", kNone},
    {"shape", "DummyData", "dummy_data_param { shape { dim: 4294967296 dim: 4294967296 } }", kNone},
    {"num", "DummyData",
     "dummy_data_param { num: 4294967295 channels: 4294967295 height: 1 width: 1 }", kNone},
    {"channels", "MemoryData",
     "memory_data_param { batch_size: 1 channels: 4294967295 height: 4294967295 width: 1 }", kNone,
     2},
    {"batch_size", "MemoryData",
     "memory_data_param { batch_size: 4294967295 channels: 3 height: 100 width: 100 }", kNone, 2},
    {"prefetch", "Data", "data_param { source: 'x' batch_size: 1 prefetch: 4294967295 }", kNone, 2},
};

std::string net_of(const Hostile& h) {
  std::string input, layer = str("layer { name: 't' type: '", h.type, "' ", h.param);
  for (std::size_t b = 0; b < h.bottoms.size(); ++b) {
    input += str("layer { name: 'in", b, "' type: 'Input' top: 'b", b, "' input_param { shape {");
    for (const Index dim : h.bottoms[b].dims()) input += str(" dim: ", dim);
    input += " } } }\n";
    layer += str(" bottom: 'b", b, "'");
  }
  for (int t = 0; t < h.tops; ++t) layer += str(" top: 't", t, "'");
  return input + layer + " }";
}

/// A dry run allocates nothing, so a size that is wrongly accepted does no harm.
TEST(Sizes, ThatAreTooLargeAreErrorsThatNameTheField) {
  for (const Hostile& h : kHostile) {
    SCOPED_TRACE(str(h.type, ": ", h.param));
    Context ctx;
    ctx.dry_run = true;
    NetState state;
    state.set_phase(TRAIN);

    const std::string message =
        error_of([&] { Net(ctx, parse_prototxt(net_of(h), "net.prototxt"), state); });

    EXPECT_NE(message.find(h.field), std::string::npos) << message;
    EXPECT_EQ(message.find("net.prototxt:"), 0u) << message;
  }
}

}  // namespace
}  // namespace doppio
