#include "tools/project/project_text.hpp"

#include <algorithm>
#include <cmath>

#include "core/printable.hpp"
#include "doppio/error.hpp"
#include "tools/flags.hpp"

namespace doppio {

namespace {

std::string folder_of(const Target& target) {
  return shell_command({target.folder.substr(0, target.folder.size() - 1)});
}

/// Says how to turn the mirroring of pictures on or off.
std::string mirror_advice(const LikeNet& like) {
  for (const LayerParameter& layer : like.train_val.net.layer()) {
    if (layer.type() != "Data") continue;
    const bool mirrors = layer.transform_param().mirror();
    return str("* Pictures are ", mirrors ? "" : "not ",
               "mirrored at random. `--set train:", printable(layer.name()),
               ".mirror=", mirrors ? "false" : "true",
               mirrors ? "` turns it off, for classes that are mirror images of each other.\n"
                       : "` turns it on, unless classes are mirror images of each other.\n");
  }
  return {};
}

std::string class_counts(const PictureSet& pictures, std::size_t most) {
  std::string text;
  for (std::size_t i = 0; i < std::min(most, pictures.classes.size()); ++i) {
    const PictureClass& c = pictures.classes[i];
    text += str(i == 0 ? "" : ", ", printable(c.name), ' ', c.train.size() + c.val.size());
  }
  if (pictures.classes.size() > most) text += str(" and ", pictures.classes.size() - most, " more");
  return text;
}

}  // namespace

std::string net_comment(const LikeNet& like, const Target& target) {
  return str("# Made by `doppio new`: ", like.shown, " with ", target.classes,
             " classes. Paths are relative to the folder\n# in which commands are run.\n");
}

std::string solver_comment(const LikeNet& like, const Target& target) {
  return str("# Made by `doppio new`: the solver of ", like.shown, " for ", target.train,
             " pictures, about ", std::lround(adapted_epochs(like, target)),
             " epochs.\n# The learning rate falls linearly to 0.\n");
}

std::string readme_text(const LikeNet& like, const Target& target, const PictureSet& pictures,
                        const std::vector<std::string>& command_line) {
  const std::string folder = folder_of(target);
  std::vector<std::string> command = command_line;
  if (!command.empty()) command[0] = "doppio";
  std::string text = str(
      "# ", target.name, "\n\n", target.classes, " classes: ", class_counts(pictures, 20),
      ". The net is that of ", like.shown,
      target.weights.empty() ? "" : ", fine-tuned from " + target.weights, ".\n", target.train,
      " pictures are trained on and ", target.val,
      " are for validation. This folder was made by\n\n```sh\n", shell_command(command), "\n```\n");
  for (const std::string& warning : pictures.warnings) text += "\nNote: " + warning + "\n";
  text +=
      str("\n## Commands\nRun them in the folder in which `doppio new` was run:\n```sh\n",
          "doppio train --solver=", folder, "              # about ",
          std::lround(adapted_epochs(like, target)), " epochs\n", "doppio train --solver=", folder,
          " --resume     # continues an interrupted training\n", "doppio test --model=", folder,
          "                # accuracy on the validation pictures\n",
          "doppio classify --model=", folder, " PICTURE.jpg    # or a folder of pictures\n```\n");
  text += str("\n## Files\n| file | |\n|---|---|\n",
              "| labels.txt | names of the classes; the label is the line's number minus 1 |\n",
              "| train.txt, val.txt | the pictures, below ", printable(pictures.root), " |\n",
              "| train_lmdb, val_lmdb | the same pictures, resized to ",
              like.stored_side(pictures.common), " x ", like.stored_side(pictures.common), " |\n",
              "| mean.binaryproto", like.input[0] == 3 ? ", pca.binaryproto" : "", " | their mean",
              like.input[0] == 3 ? ", and the principal components of their colors" : "", " |\n",
              "| train_val.prototxt, solver.prototxt | the net and its training |\n",
              "| deploy.prototxt | the net for classification; it states how images are prepared "
              "|\n| ",
              target.name, "_iter_N.caffemodel | weights; N is the iteration |\n| ", target.name,
              "_iter_N.solverstate | what `--resume` needs as well |\n");
  text +=
      "\n## If the accuracy is too low\n"
      "* More pictures help most, above all of classes that are confused with each other.\n"
      "* Fine-tune a net that was trained on many pictures: `doppio new` with `--weights`.\n"
      "* Train longer: make another folder with `--epochs=N`, or continue this training with\n"
      "  `--resume --set max_iter=N`.\n"
      "* Use a larger net: `--like` of `doppio new`; `doppio models` lists them."
      "\n";
  text += mirror_advice(like);
  return text;
}

std::string summary_text(const LikeNet& like, const Target& target, const PictureSet& pictures,
                         const SolverParameter& solver) {
  const std::string folder = folder_of(target);
  return str(folder, ": ", target.classes, " classes (", class_counts(pictures, 5), "), ",
             target.train, " pictures to train on, ", target.val, " for validation, net like ",
             like.name, "\nnext: doppio train --solver=", folder, "    # ", solver.max_iter(),
             " iterations, about ", std::lround(adapted_epochs(like, target)),
             " epochs\nthen: doppio classify --model=", folder, " PICTURES\n");
}

}  // namespace doppio
