#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "doppio/extend/layer.hpp"
#include "doppio/extend/registry.hpp"

namespace doppio {

class NetParameter;
class GraphReplay;
struct FusionPlan;  // which layers absorb which (net/passes/plan_fusion.hpp)
struct GradientGroups;
struct Graph;
struct Liveness;
struct PassKey;
struct SourcedNet;  // a NetParameter with the source location of each layer
                    // (net/format/source_map.hpp)

enum Phase : int;  // TRAIN and TEST, from doppio.pb.h
class NetState;    // phase, level and stages: what include and exclude rules are checked against

/// The passes that a net will run, which determine how long its blobs are needed.
enum class Passes { forward, forward_and_backward };

/// What copying weights did to one layer.
struct CopiedLayer {
  enum class Outcome { loaded, fresh, skipped, mismatched };
  std::string name;
  Outcome outcome = Outcome::loaded;
  std::string detail;  ///< shapes; for a mismatch, both shapes
};

/// One learnable parameter of a net.
struct Parameter {
  std::string layer;     ///< name of the layer that owns it
  Index index = 0;       ///< position among that layer's params
  Blob* blob = nullptr;  ///< data and grad; shared parameters appear once, with their owner
  float lr_mult = 1;
  float decay_mult = 1;
  int parts = 1;  ///< devices that hold a part of it each (Context::peers); 1 if this is all of it
};

/// A layer of a net, with its bottoms and tops.
struct NetLayer {
  std::string name;
  std::string type;
  LayerTraits traits;
  std::unique_ptr<Layer> layer;
  std::vector<Blob*> bottoms, tops;
  std::vector<std::string> bottom_names, top_names;
  std::unique_ptr<bool[]> wanted;  ///< for each bottom: whether backward computes its gradient
  bool needs_backward = false;
  std::vector<float> loss_weights;  ///< one per top
};

/// A directed acyclic graph of layers, run in the order of the file.
///
/// The constructor filters layers by state, inserts splits, infers all shapes and reports all
/// problems of the prototxt together, each with file and line. Memory is allocated on first use.
///
/// If the context has peers, the net is one part of the net that the prototxt describes, see
/// NetParameter.model_parallel: its passes run together with those of the other parts, and it reads
/// and writes weights of its own shapes only.
class Net {
 public:
  /// Reads a prototxt of any Caffe generation. Throws: Error.
  Net(Context& ctx, const std::string& prototxt_file, const NetState& state);
  Net(Context& ctx, const std::string& prototxt_file, Phase phase);
  /// Builds a net from a message, without source lines. Old formats are upgraded.
  Net(Context& ctx, const NetParameter& param, const NetState& state);
  /// Builds a net that the caller has read and may have modified.
  Net(Context& ctx, SourcedNet source, const NetState& state, const Shard& shard = {});
  ~Net();
  Net(const Net&) = delete;
  Net& operator=(const Net&) = delete;

  const std::string& name() const;
  Phase phase() const { return phase_; }
  const Shard& shard() const { return shard_; }
  Context& context() { return ctx_; }

  /// Reshapes and runs every layer; returns the sum of loss_weight * top over all layers.
  float forward();
  /// Computes the gradients of the last forward(). Adds to the gradients of parameters.
  void backward();
  /// Runs both and returns the loss. On an accelerator only reading the loss waits for the device,
  /// and passes are captured and replayed as CUDA graphs (Context::graph_capture). So are those of
  /// forward() if no backward pass may follow.
  float forward_backward();
  /// Runs only layer `i` of these passes. forward_layer() returns its part of the loss.
  float forward_layer(std::size_t i);
  void backward_layer(std::size_t i);
  /// Sets all parameter gradients to zero.
  void clear_grads();
  /// Infers all shapes again. Call it after changing the shape of an input blob.
  void reshape();

  /// Reuses the memory of blobs and their gradients: each is released after the last layer that
  /// needs it in `passes`, or not computed if none does; reading it is an Error. Tops of data
  /// layers, outputs() and blobs named in `keep` stay. Nets that never run at the same time may
  /// share an `arena`. Accelerators only skip blobs that no layer needs. Throws: Error for an
  /// unknown `keep`.
  void save_memory(Passes passes, const std::vector<std::string>& keep = {},
                   std::shared_ptr<Arena> arena = nullptr);
  /// Releases all blobs that save_memory() does not keep.
  void release_blobs();

  bool has_blob(const std::string& name) const;
  /// Throws: Error with the nearest names if there is no such blob.
  Blob& blob(const std::string& name);
  const std::vector<std::string>& blob_names() const;
  std::vector<NetLayer>& layers() { return layers_; }
  const std::vector<NetLayer>& layers() const { return layers_; }
  /// Throws: Error with the nearest names if there is no such layer.
  NetLayer& layer(const std::string& name);
  /// True if a preceding layer absorbed `layer`, one of layers(), in the last pass (layer fusion).
  bool is_fused(const NetLayer& layer) const;
  const FusionPlan& fusion() const { return *fusion_; }
  /// Tops of Input layers, in order.
  const std::vector<std::string>& inputs() const { return inputs_; }
  /// Blobs that no layer consumes, in alphabetical order as in Caffe.
  const std::vector<std::string>& outputs() const { return outputs_; }
  /// Number of passes that replayed a captured graph, for tests.
  std::uint64_t replay_count() const;
  /// Weight of blob `name` in the loss; 0 if it is not a loss.
  float loss_weight(const std::string& name) const;
  /// Every parameter once, in layer order, including those with lr_mult 0. A solver's history has
  /// the same order.
  std::vector<Parameter>& parameters() { return parameters_; }
  /// Indices of all parameters(), in groups whose gradients forward_backward() completes one after
  /// the other. On an accelerator it records event i after group i.
  const std::vector<std::vector<std::size_t>>& gradient_groups() const;
  /// Sets a function that backward() on the CPU calls with the number of each gradient group as
  /// soon as the group is complete. It may start to change the parameters of that group.
  void set_gradient_hook(std::function<void(std::size_t group)> hook) {
    gradient_hook_ = std::move(hook);
  }

  /// Copies weights by layer name from a .caffemodel (or .caffemodel.h5) of any Caffe generation.
  /// Returns the outcome for every layer that has parameters. A mismatch does not throw; see
  /// require_no_mismatch(). Throws: Error if the file does not match its checksum.
  std::vector<CopiedLayer> copy_weights(const std::string& file);
  /// Makes the parameters views of `other`'s, by layer name.
  void share_weights(Net& other);
  /// Writes the filtered net and its weights to `out`, as in a .caffemodel.
  void to_proto(NetParameter& out, bool with_grads = false) const;
  /// Writes to_proto(), or HDF5 if the name ends in .h5, atomically: temporary file, sync, rename.
  /// Returns the file's SHA-256 in hexadecimal digits.
  std::string save(const std::string& file, bool with_grads = false);

  /// Number of forward passes so far, part of the key of random numbers. Snapshots save and restore
  /// it.
  std::uint64_t passes() const { return passes_; }
  void set_passes(std::uint64_t passes) { passes_ = passes; }

  /// Logs the mean absolute value of data and grad of every top and parameter in each pass.
  void set_debug_info(bool on) { debug_info_ = on; }

 private:
  void run_layer(std::size_t i);
  float loss_of(std::size_t i);
  float loss();
  void begin_pass();
  float run_on_device(bool backward);
  PassKey pass_key(bool backward) const;
  void run_after_sources(bool backward);
  void build(SourcedNet source, const NetState& state);
  void make_layers(const Graph& graph);
  void set_up_parameters(const Graph& graph);
  ChannelPart part_of(std::size_t i) const;
  bool runs_backward(const NetLayer& layer) const;
  bool is_inference(const NetLayer& layer) const;
  std::vector<Follower> followers_of(std::size_t i);
  void fuse(std::size_t i);
  void begin_backward();
  void release_after(std::size_t step);

  Context& ctx_;
  std::unique_ptr<SourcedNet> source_;  // filtered, with splits: what to_proto writes
  std::map<std::string, std::unique_ptr<Blob>> blobs_;
  std::vector<std::string> blob_names_, inputs_, outputs_;
  std::vector<NetLayer> layers_;
  std::vector<Parameter> parameters_;
  std::unique_ptr<FusionPlan> fusion_;
  // Gradients of losses that are set to their loss weight, with version and count.
  std::map<const Tensor*, std::pair<std::uint64_t, Index>> filled_;
  Phase phase_{};
  Shard shard_;
  std::uint64_t passes_ = 0;
  bool debug_info_ = false;
  bool shares_weights_ = false;         // with another net, which may train them
  std::unique_ptr<Liveness> liveness_;  // set by save_memory()
  bool backward_allowed_ = true;        // the blobs that backward needs are available
  std::unique_ptr<const GradientGroups> gradient_groups_;
  std::function<void(std::size_t)> gradient_hook_;
  std::unique_ptr<GraphReplay> replay_;
  bool replayed_ = false;  // the last pass replayed a graph, which backward cannot follow
};

/// Throws: Error that lists the mismatched layers of `copied` with both shapes and the remedy; does
/// nothing if there are none.
void require_no_mismatch(const std::vector<CopiedLayer>& copied, const std::string& file);

}  // namespace doppio
