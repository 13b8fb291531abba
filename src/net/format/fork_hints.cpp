#include "net/format/fork_hints.hpp"

#include <algorithm>
#include <array>

namespace doppio {

namespace {

constexpr std::string_view kFloat = "everything is computed in 32-bit floats";
constexpr std::string_view kScaling = "gradients are 32-bit floats and need no scaling";
constexpr std::string_view kEngine = "the program chooses how to compute";
constexpr std::string_view kCache = "prefetching keeps up without it";
constexpr std::string_view kRanks = "it divides work among machines";

struct Hint {
  std::string_view message, field, why;
};

constexpr auto kHints = std::to_array<Hint>({
    {"NetParameter", "default_forward_type", kFloat},
    {"NetParameter", "default_backward_type", kFloat},
    {"NetParameter", "default_forward_math", kFloat},
    {"NetParameter", "default_backward_math", kFloat},
    {"NetParameter", "global_grad_scale", kScaling},
    {"NetParameter", "global_grad_scale_adaptive", kScaling},
    {"NetParameter", "default_conv_algos_override", kEngine},
    {"NetParameter", "default_cudnn_math_override", kEngine},
    {"NetParameter", "reduce_buckets", kRanks},
    {"NetParameter", "eltwise_mem_sharing", "memory is shared wherever that is possible"},
    {"NetParameter", "engine", kEngine},
    {"NetParameter", "compile_net_state", kEngine},
    {"NetParameter", "multinode", kRanks},
    {"LayerParameter", "forward_type", kFloat},
    {"LayerParameter", "backward_type", kFloat},
    {"LayerParameter", "forward_math", kFloat},
    {"LayerParameter", "backward_math", kFloat},
    {"LayerParameter", "debug", "debug_info of the net does this for all layers"},
    {"LayerParameter", "cudnn_math_override", kEngine},
    {"LayerParameter", "engine", kEngine},
    {"LayerParameter", "multinode", kRanks},
    {"LayerParameter", "mn_activation_param", kRanks},
    {"LayerParameter", "mn_grad_compress_param", kRanks},
    {"LayerParameter", "split_param", kEngine},
    {"LayerParameter", "quantization_param", kFloat},
    {"SolverParameter", "solver_data_type", kFloat},
    {"SolverParameter", "store_blobs_in_old_format", "weights are written as Caffe reads them"},
    {"SolverParameter", "engine", kEngine},
    {"TransformationParameter", "use_gpu_transform", kEngine},
    {"TransformationParameter", "forward_packing", kEngine},
    {"TransformationParameter", "display", "there is no window to show images in"},
    {"DataParameter", "parser_threads", kCache},
    {"DataParameter", "cache", kCache},
    {"DataParameter", "precache", kCache},
    {"ImageDataParameter", "cache", kCache},
    {"ImageDataParameter", "precache", kCache},
    {"ConvolutionParameter", "cudnn_convolution_algo_seeker", kEngine},
    {"ConvolutionParameter", "conv_algos_override", kEngine},
    {"ConvolutionParameter", "conv_algorithm", kEngine},
    {"ReLUParameter", "fuse", kEngine},
    {"BatchNormParameter", "engine", kEngine},
    {"ConcatParameter", "engine", kEngine},
    {"DropoutParameter", "engine", kEngine},
    {"EltwiseParameter", "engine", kEngine},
    {"InnerProductParameter", "engine", kEngine},
});

}  // namespace

std::string_view why_passed_over(std::string_view message, std::string_view field) {
  const auto* const hint = std::find_if(kHints.begin(), kHints.end(), [=](const Hint& h) {
    return h.message == message && h.field == field;
  });
  return hint == kHints.end() ? std::string_view{} : hint->why;
}

}  // namespace doppio
