// `doppio new`: makes a net and its data from a folder of pictures.
#include <gflags/gflags.h>
#include <glog/logging.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "core/printable.hpp"
#include "data/convert/image_mean.hpp"
#include "doppio/net.hpp"
#include "io/atomic_file.hpp"
#include "net/passes/passes.hpp"
#include "tools/command.hpp"
#include "tools/deploy_net.hpp"
#include "tools/flags.hpp"
#include "tools/interrupt.hpp"
#include "tools/progress.hpp"
#include "tools/project/like_net.hpp"
#include "tools/project/picture_folder.hpp"
#include "tools/project/project_text.hpp"
#include "tools/setup.hpp"

DEFINE_string(like, "", "net to start from");
DEFINE_double(epochs, 0, "number of times that training reads each picture");
DEFINE_double(val_share, 0.2, "part of the pictures that is set aside for validation");

namespace doppio {

namespace fs = std::filesystem;

namespace {

/// A new folder beside its destination, removed unless it is finished.
class UnfinishedFolder {
 public:
  explicit UnfinishedFolder(const fs::path& destination) {
    if (destination.has_parent_path()) fs::create_directories(destination.parent_path());
    std::string pattern = destination.string() + ".partial-XXXXXX";
    require(mkdtemp(pattern.data()) != nullptr, "cannot make a folder beside ",
            printable(destination.string()), ": ", std::strerror(errno));
    folder_ = pattern;
    fs::permissions(folder_, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                                 fs::perms::others_read | fs::perms::others_exec);
  }
  ~UnfinishedFolder() {
    std::error_code ignored;
    if (!finished_) fs::remove_all(folder_, ignored);
  }
  UnfinishedFolder(const UnfinishedFolder&) = delete;

  std::string operator/(const std::string& name) const { return (folder_ / name).string(); }
  void rename_to(const fs::path& name) {
    fs::rename(folder_, name);
    finished_ = true;
  }

 private:
  fs::path folder_;
  bool finished_ = false;
};

void convert(const PictureSet& pictures, const LikeNet& like, const std::string& list,
             const std::string& database, bool shuffle, std::uint64_t seed) {
  ImagesetOptions options;
  options.root = pictures.root;
  options.list = list;
  options.database = database;
  options.gray = like.input[0] == 1;
  options.shuffle = shuffle;
  options.seed = seed;
  options.resize_height = options.resize_width = like.stored_side(pictures.common);
  options.threads = FLAGS_threads;
  options.progress = log_progress("pictures");
  const Interruptible signals;
  options.stop = [&] { return signals.requested(); };
  if (convert_imageset(options).stopped) signals.check();
}

template <class Message>
void write_text(const std::string& file, const std::string& comment, const Message& message) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(message, &text);
  write_file_atomically(file, [&](std::ostream& out) { out << comment << text; });
}

SourcedNet for_testing(SourcedNet net) {
  NetState state;
  state.set_phase(TEST);
  return filter(std::move(net), state);
}

/// Throws: Error if the net cannot be built, for instance because the pictures are too small.
void check_net(const SourcedNet& net, Phase phase) {
  Context ctx;
  ctx.dry_run = true;
  NetState state;
  state.set_phase(phase);
  const Net built(ctx, net, state);
}

/// Returns the folder to make. Throws: Error if it exists, or for a name that cannot be used.
fs::path destination(const std::string& operand) {
  fs::path folder = operand;
  if (!folder.has_filename()) folder = folder.parent_path();
  const std::string name = folder.filename().string();
  require(!name.empty() && name != "." && name != "..", "'", printable(operand),
          "' is not a name for a new folder");
  const bool plain = std::none_of(operand.begin(), operand.end(),
                                  [](unsigned char c) { return c < ' ' || c == ','; });
  require(plain, "'", printable(operand),
          "': a comma or a control character in the name would not work as a flag's value");
  const fs::file_status status = fs::symlink_status(folder);
  const bool empty = fs::is_directory(status) && fs::is_empty(folder);
  require(!fs::exists(status) || empty, printable(folder.string()),
          " exists already; give another name, or remove it");
  return folder;
}

/// Throws: Error unless the given weights fit the net.
void check_weights(const SourcedNet& net, const std::string& weights) {
  Context ctx;
  NetState state;
  state.set_phase(TRAIN);
  Net built(ctx, net, state);
  load_weights(built, {weights});
}

int run(const Arguments& given) {
  require_flag("images", "new");
  if (!(FLAGS_val_share > 0 && FLAGS_val_share < 1))
    throw UsageError("--val_share must be between 0 and 1");
  if (FLAGS_epochs < 0) throw UsageError("--epochs must not be negative");
  const fs::path folder = destination(given.operands[0]);

  const std::string like_name = !FLAGS_like.empty()      ? FLAGS_like
                                : !FLAGS_weights.empty() ? like_of_weights(FLAGS_weights)
                                                         : "cifar10_alexnet";
  const LikeNet like = read_like(like_name);
  Target target;
  target.name = folder.filename().string();
  target.weights = FLAGS_weights;
  target.epochs = FLAGS_epochs;
  target.seed = FLAGS_seed < 0 ? 1 : static_cast<std::uint64_t>(FLAGS_seed);
  const PictureSet pictures =
      read_pictures({FLAGS_images, FLAGS_val_share, target.seed, log_progress("pictures")});
  for (const std::string& warning : pictures.warnings) LOG(WARNING) << warning;
  target.classes = static_cast<Index>(pictures.classes.size());
  target.train = pictures.train_count();
  target.val = pictures.val_count();

  UnfinishedFolder made(folder);
  write_file_atomically(made / "labels.txt", [&](std::ostream& out) {
    for (const PictureClass& c : pictures.classes) out << c.name << '\n';
  });
  write_list(made / "train.txt", pictures, true);
  write_list(made / "val.txt", pictures, false);
  convert(pictures, like, made / "train.txt", made / "train_lmdb", true, target.seed);
  convert(pictures, like, made / "val.txt", made / "val_lmdb", false, target.seed);

  target.folder = made / "";
  const SourcedNet unfinished = adapted_net(like, target);
  MeanOptions mean{made / "train_lmdb", made / "mean.binaryproto", FLAGS_threads, nullptr, {}};
  if (like.input[0] == 3) mean.pca = made / "pca.binaryproto";
  compute_image_mean(mean);
  SourcedNet test_net = for_testing(unfinished);
  test_net.file = (folder / "train_val.prototxt").string();
  write_deploy_net(test_net, stored_image(test_net), made / "deploy.prototxt");
  for (const Phase phase : {TRAIN, TEST}) check_net(unfinished, phase);
  if (!FLAGS_weights.empty()) check_weights(unfinished, FLAGS_weights);

  target.folder = (folder / "").string();
  const SolverParameter solver = adapted_solver(like, target);
  write_text(made / "train_val.prototxt", net_comment(like, target), adapted_net(like, target).net);
  write_text(made / "solver.prototxt", solver_comment(like, target), solver);
  const std::string readme = readme_text(like, target, pictures, given.command_line);
  write_file_atomically(made / "README.md", [&](std::ostream& out) { out << readme; });
  made.rename_to(folder);
  std::cout << summary_text(like, target, pictures, solver);
  return kDone;
}

}  // namespace

Command new_command() {
  return {
      .name = "new",
      .summary = "make a net and its data from a folder of pictures",
      .operands = "FOLDER",
      .flags = {{"images=PICTURES",
                 "folder with one folder of pictures per class, or with folders train and val "
                 "that have one per class each"},
                {"like=NET",
                 "net to start from: a name that `doppio models` lists, or a folder with "
                 "train_val, solver and deploy.prototxt (default: that of --weights, else "
                 "cifar10_alexnet)"},
                {"weights=FILE", "weights to fine-tune (.caffemodel)"},
                {"epochs=X",
                 "times that training reads each picture (default: 30, or 10 with --weights; "
                 "more if there are few pictures)"},
                {"val_share=X",
                 "part of the pictures that is set aside for validation (default 0.2)"},
                {"seed=N", "seed of that choice, of the order and of the training (default 1)"}},
      .example = "doppio new pets --images=pictures && doppio train --solver=pets",
      .run = run,
      .min_operands = 1,
      .max_operands = 1,
      .notes =
          "FOLDER gets lists, databases, a mean image, labels.txt, train_val.prototxt,\n"
          "solver.prototxt, deploy.prototxt and a README with the next commands. Pictures are\n"
          "resized to the square that the net needs. Broken pictures and copies of pictures are\n"
          "reported and left out. `train` takes FOLDER as --solver; `test`, `classify` and "
          "`extract`\n"
          "take it as --model."};
}

}  // namespace doppio
