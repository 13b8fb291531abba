#include "tools/project/picture_folder.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "core/printable.hpp"
#include "data/image/image_file.hpp"
#include "data/shuffle.hpp"
#include "doppio/error.hpp"
#include "io/atomic_file.hpp"
#include "io/input_file.hpp"
#include "io/sha256.hpp"
#include "tools/image_files.hpp"

namespace doppio {

namespace fs = std::filesystem;

namespace {

enum class Part { any, train, val };

struct Picture {
  std::string path;  // below the root
  std::string class_name;
  Part part = Part::any;
  std::string digest = {}, damage = {};  // one of them is set by inspect()
  Index height = 0, width = 0;
};

bool is_shown(const fs::directory_entry& entry) {
  return !entry.path().filename().string().starts_with('.');
}

std::vector<std::string> subfolders(const std::string& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.is_directory() && is_shown(entry)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

/// Returns "1 picture", "2 pictures" or "2 classes".
std::string counted(std::size_t count, const std::string& noun) {
  return str(count, ' ', noun, count == 1 ? "" : noun.ends_with('s') ? "es" : "s");
}

/// Names up to five examples.
std::string examples(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, names.size()); ++i)
    text += "\n  " + printable(names[i], 300);
  if (names.size() > kShown) text += str("\n  and ", names.size() - kShown, " more");
  return text;
}

/// Reads a folder of pictures step by step.
class Reader {
 public:
  explicit Reader(const PictureOptions& options) : options_(options) {
    require(fs::is_directory(options.folder), printable(options.folder),
            " is not a folder; give one with a folder of pictures for each class");
    set_.root = options.folder + (options.folder.ends_with('/') ? "" : "/");
  }

  PictureSet run() {
    find();
    inspect();
    leave_out_damaged();
    leave_out_copies();
    divide();
    require(
        set_.classes.size() >= 2, printable(options_.folder), " has pictures of ",
        set_.classes.size(), set_.classes.size() == 1 ? " class" : " classes",
        "; at least two are needed, each in a folder of its own:\n  ", printable(set_.root),
        "CLASS/PICTURE.jpg, or ", printable(set_.root), "train/CLASS/PICTURE.jpg and ",
        printable(set_.root), "val/CLASS/PICTURE.jpg",
        set_.classes.size() == 1 && set_.classes[0].name == "train"
            ? "; for the pictures of train only, give --images=" + printable(set_.root) + "train"
            : "",
        notes());
    return std::move(set_);
  }

 private:
  void warn(const std::string& text) { set_.warnings.push_back(text); }

  std::string notes() const {
    std::string text;
    for (const std::string& warning : set_.warnings) text += "\nwarning: " + warning;
    return text;
  }

  void find() {
    const std::vector<std::string> folders = subfolders(options_.folder);
    const auto has = [&](const std::string& name) {
      return std::find(folders.begin(), folders.end(), name) != folders.end();
    };
    std::string val;
    for (const char* name : {"test", "validation", "valid", "val"})
      if (has(name)) val = name;
    const bool divided = has("train") && !val.empty() && !subfolders(set_.root + "train").empty();
    if (divided) {
      for (const std::string& name : folders)
        if (name != "train" && name != val)
          warn(str("left out the folder ", printable(set_.root + name), ", because train and ", val,
                   " hold the pictures"));
      find_classes("train/", Part::train);
      find_classes(val + "/", Part::val);
      return;
    }
    find_classes("", Part::any);
  }

  /// Finds the pictures in the class folders of `folder`, a path below the root.
  void find_classes(const std::string& folder, Part part) {
    std::size_t ignored = 0, loose = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(set_.root + folder))
      if (!entry.is_directory() && is_shown(entry)) ++loose;
    for (const std::string& name : subfolders(set_.root + folder)) {
      const bool fits =
          std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < ' '; });
      require(fits, "the folder name '", printable(name), "' has control characters; rename it");
      const std::vector<std::string> paths = images_below(str(set_.root, folder, name), &ignored);
      if (paths.empty()) warn("class '" + printable(name) + "' has no pictures and is left out");
      for (const std::string& path : paths)
        pictures_.push_back({path.substr(set_.root.size()), name, part});
    }
    if (loose > 0)
      warn(str("left out ", counted(loose, "file"), " in ", printable(set_.root + folder),
               ", which belong to no class"));
    if (ignored > 0)
      warn(str(
          "left out ", counted(ignored, "file"),
          " in the class folders: hidden, without the ending of a picture, or links to folders"));
  }

  static void inspect(const std::string& root, Picture& picture) {
    try {
      constexpr Index kEnough = 64;  // decode JPEGs at reduced size, which is faster
      require(picture.path.find_first_of("\r\n") == picture.path.npos,
              "has a line break in its name");
      const std::string bytes = read_file(root + picture.path);
      const std::optional<ImageHeader> header = image_header(bytes);
      const cv::Mat pixels = decode_image(bytes, Color::color, kEnough);
      picture.height = header ? header->height : pixels.rows;
      picture.width = header ? header->width : pixels.cols;
      picture.digest = sha256_hex(bytes.data(), bytes.size());
    } catch (const Error& e) {
      picture.damage = e.message();
    }
  }

  void inspect() {
    constexpr std::size_t kBatch = 256;
    const auto total = static_cast<Index>(pictures_.size());
    for (std::size_t first = 0; first < pictures_.size(); first += kBatch) {
      const auto count = static_cast<Index>(std::min(kBatch, pictures_.size() - first));
      std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic)
      for (Index i = 0; i < count; ++i) {
        try {
          inspect(set_.root, pictures_[first + static_cast<std::size_t>(i)]);
        } catch (...) {
#pragma omp critical
          failure = std::current_exception();
        }
      }
      if (failure) std::rethrow_exception(failure);
      if (options_.progress) options_.progress(static_cast<Index>(first) + count, total);
    }
  }

  void leave_out_damaged() {
    std::vector<std::string> damaged;
    for (const Picture& p : pictures_)
      if (!p.damage.empty()) damaged.push_back(p.path + ": " + p.damage);
    std::erase_if(pictures_, [](const Picture& p) { return !p.damage.empty(); });
    if (!damaged.empty())
      warn(str("left out ", counted(damaged.size(), "picture"),
               " that cannot be read:", examples(damaged)));
  }

  void leave_out_copies() {
    std::map<std::string, std::vector<const Picture*>> by_content;
    for (const Picture& p : pictures_) by_content[p.digest].push_back(&p);
    std::set<std::string> unwanted;  // paths
    std::vector<std::string> copies, contradictions;
    for (const auto& [digest, same] : by_content) {
      const Picture& first = *same.front();  // in `train`, if there is one
      const bool agree = std::all_of(same.begin(), same.end(), [&](const Picture* p) {
        return p->class_name == first.class_name;
      });
      std::string names = first.path;
      for (auto p = same.begin() + 1; p != same.end(); ++p) names += " = " + (*p)->path;
      if (!agree) unwanted.insert(first.path);
      for (auto p = same.begin() + 1; p != same.end(); ++p) unwanted.insert((*p)->path);
      if (same.size() > 1) (agree ? copies : contradictions).push_back(names);
    }
    std::erase_if(pictures_, [&](const Picture& p) { return unwanted.contains(p.path); });
    if (!copies.empty())
      warn(str("used only once: ", counted(copies.size(), "picture"),
               " with the same content as others of the class:", examples(copies)));
    if (!contradictions.empty())
      warn(str("left out ", counted(contradictions.size(), "picture"),
               " with the same content as one of another class:", examples(contradictions)));
  }

  void divide() {
    std::map<std::string, std::vector<Picture>> by_class;
    for (const Picture& p : pictures_) by_class[p.class_name].push_back(p);
    std::vector<std::string> single, untrained;
    for (const auto& [name, pictures] : by_class) {
      PictureClass made{name, {}, {}};
      const Index count = static_cast<Index>(pictures.size());
      const auto share =
          static_cast<Index>(std::lround(options_.val_share * static_cast<double>(count)));
      const Index val = count < 2 ? 0 : std::clamp<Index>(share, 1, count - 1);
      std::vector<bool> chosen(pictures.size(), false);
      const std::vector<Index> order = permutation(count, Random{options_.seed, stream_of(name)});
      for (Index i = 0; i < val; ++i) chosen[static_cast<std::size_t>(at(order, i))] = true;
      for (std::size_t i = 0; i < pictures.size(); ++i) {
        const Part part = pictures[i].part;
        const bool to_val = part == Part::any ? chosen[i] : part == Part::val;
        (to_val ? made.val : made.train).push_back(pictures[i].path);
      }
      if (made.val.empty()) single.push_back(name);
      if (made.train.empty()) untrained.push_back(name);
      set_.classes.push_back(std::move(made));
    }
    require(untrained.empty(), printable(options_.folder), " has ",
            counted(untrained.size(), "class"),
            " without pictures to train on; add some to train/, or "
            "remove the class from the other folder:",
            examples(untrained));
    set_.val_is_train = set_.val_count() == 0;
    if (set_.val_is_train)
      warn(
          "there are too few pictures to set some aside, so the net is validated with those that "
          "it is trained on: its accuracy says nothing about other pictures");
    else if (!single.empty())
      warn(str(counted(single.size(), "class"),
               " without a picture for validation, because there is only one:", examples(single)));
    for (const Picture& p : pictures_) {
      const Shape size{p.height, p.width};
      if (set_.common.axes() == 0) set_.common = size;
      if (set_.common != size) {
        set_.common = Shape();
        break;
      }
    }
  }

  const PictureOptions& options_;
  PictureSet set_;
  std::vector<Picture> pictures_;
};

Index sum(const std::vector<PictureClass>& classes, std::vector<std::string> PictureClass::*part) {
  Index count = 0;
  for (const PictureClass& c : classes) count += static_cast<Index>((c.*part).size());
  return count;
}

}  // namespace

Index PictureSet::train_count() const { return sum(classes, &PictureClass::train); }

Index PictureSet::val_count() const {
  return val_is_train ? train_count() : sum(classes, &PictureClass::val);
}

PictureSet read_pictures(const PictureOptions& options) { return Reader(options).run(); }

void write_list(const std::string& file, const PictureSet& set, bool train) {
  write_file_atomically(file, [&](std::ostream& out) {
    for (std::size_t label = 0; label < set.classes.size(); ++label) {
      const PictureClass& c = set.classes[label];
      for (const std::string& path : train || set.val_is_train ? c.train : c.val)
        out << path << ' ' << label << '\n';
    }
  });
}

}  // namespace doppio
