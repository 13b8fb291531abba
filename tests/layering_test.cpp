// Reads the #include lines of the sources and the symbols of their objects, and fails where a part
// of the program depends on one that stands above it: core <- math <- layers <- net <- solver <-
// tools, with data above math and io beside it. Folders of layers, net, data and cuda are parts
// too, and the same holds among them.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;

// What each part may include beside itself and the generated schema. "public:net" and
// "public:solver" are include/doppio/net.hpp and solver.hpp; every other public header is core's.
// The folders of cuda, data, layers and net are parts of their own.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"core", {}},
    {"io", {"core"}},
    {"data", {"core", "io", "math"}},
    {"data/storage", {"core", "io", "math", "data"}},
    {"data/image", {"core", "io", "math", "data", "data/storage"}},
    {"data/augment", {"core", "io", "math", "data", "data/storage", "data/image"}},
    {"data/convert", {"core", "io", "math", "data", "data/storage", "data/image"}},
    {"distributed", {"core", "math"}},
    {"math", {"core"}},
    {"layers/support", {"core", "math"}},
    {"layers/activation", {"core", "math", "layers/support"}},
    {"layers/loss", {"core", "io", "math", "layers/support"}},
    {"layers/recurrent", {"core", "math", "layers/support"}},
    {"layers/shape", {"core", "math", "layers/support"}},
    {"layers/common", {"core", "math", "layers/support", "layers/loss"}},
    {"layers/detection", {"core", "math", "layers/support", "layers/loss"}},
    {"layers/pooling", {"core", "math", "layers/support"}},
    {"layers/normalization", {"core", "math", "layers/support", "layers/pooling"}},
    {"layers/convolution", {"core", "math", "layers/support", "layers/normalization"}},
    {"layers/data", {"core", "io", "math", "layers/support", "data", "data/*"}},
    {"net/format", {"core", "io", "public:net"}},
    {"net/weights", {"core", "io", "net/format", "public:net"}},
    {"net/passes", {"core", "io", "net/format", "public:net"}},
    {"net", {"core", "io", "net/*", "public:net"}},
    {"solver",
     {"core", "io", "math", "distributed", "net", "net/*", "public:net", "public:solver"}},
    {"cuda", {"core"}},
    {"cuda/kernels", {"core", "data/image", "math", "layers/*", "cuda"}},
    {"cuda/runtime", {"core", "io", "cuda", "cuda/kernels"}},
    {"cuda/engines", {"core", "io", "math", "layers/*", "cuda", "cuda/*"}},
    {"tools",
     {"core", "io", "data", "data/*", "math", "distributed", "layers/*", "net", "net/*", "solver",
      "public:net", "public:solver"}},
    {"public:net", {"core"}},
    {"public:solver", {"core", "public:net"}},
};

// Single files that may be included from a part that may not include the rest of theirs.
const std::set<std::pair<std::string, std::string>> kExceptions = {
    // .h5 weights and snapshots are the same file format as HDF5Data's, so they share its reader.
    {"net/weights", "data/storage/hdf5.hpp"},
    {"solver", "data/storage/hdf5.hpp"},
    // Old BN layers are brought to today's form as files are read.
    {"net/format", "layers/normalization/bn_form.hpp"},
    // The CUDA half of parallel_for, which only nvcc sees.
    {"math", "cuda/kernels/launch.hpp"},
    // What nvcc brings along, for g++ in the emulated build.
    {"cuda/kernels", "emulated_cuda/launch.hpp"},
};

/// "a" of "a/b/c".
std::string top_of(const std::string& path) { return path.substr(0, path.find('/')); }

/// The part that a file belongs to, given its path below src/, or as "tools/..." or "doppio/...".
std::string part_of(const std::string& path) {
  if (path == "doppio/net.hpp") return "public:net";
  if (path == "doppio/solver.hpp" || path == "doppio/doppio.hpp") return "public:solver";
  if (path.rfind("doppio/", 0) == 0) return "core";
  std::string top = top_of(path);
  if (top != "cuda" && top != "data" && top != "layers" && top != "net") return top;
  const std::size_t end = path.find('/', top.size() + 1);  // convolution/image is convolution's
  return end == path.npos ? top : path.substr(0, end);
}

/// Why `file` must not include `included`; empty if it may.
std::string objection(const std::string& file, const std::string& included) {
  if (included == "doppio.pb.h") return {};
  const std::string from = part_of(file), to = part_of(included);
  if (included.find('/') == std::string::npos)
    return file + " includes \"" + included + "\" without its folder";
  if (from == to || kExceptions.count({from, included})) return {};
  const auto rule = kMayInclude.find(from);
  if (rule == kMayInclude.end()) return file + ": add the part '" + from + "' to this test";
  const bool allowed = rule->second.count(to) || rule->second.count(top_of(to) + "/*");
  return allowed ? "" : file + " (" + from + ") includes " + included;
}

/// The objections to all quoted includes of the files below `folder`, a line each.
std::string objections_below(const fs::path& folder, const fs::path& relative_to) {
  static const std::regex include_line("^\\s*#\\s*include\\s*\"([^\"]+)\".*");
  std::string text;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string extension = entry.path().extension();
    if (extension != ".cpp" && extension != ".hpp" && extension != ".cu" && extension != ".cuh")
      continue;
    const std::string file = fs::relative(entry.path(), relative_to);
    std::ifstream in(entry.path());
    std::smatch match;
    for (std::string line; std::getline(in, line);)
      if (std::regex_match(line, match, include_line)) {
        const std::string problem = objection(file, match[1]);
        if (!problem.empty()) text += problem + '\n';
      }
  }
  return text;
}

TEST(Layering, DependenciesPointOneWay) {
  const fs::path root = DOPPIO_SOURCE_DIR;
  EXPECT_EQ(objections_below(root / "src", root / "src"), "");
  EXPECT_EQ(objections_below(root / "include", root / "include"), "");
  EXPECT_EQ(objections_below(root / "tools", root), "");
}

// Sources whose functions a header of another part, or of another name, declares: who may include
// that header may call them.
const std::map<std::string, std::string> kDeclaredBy = {
    {"cuda/check.cpp", "math/kernel.hpp"},  // by way of cuda/kernels/launch.hpp
    {"cuda/engines/convolution_cudnn.cpp", "layers/convolution/engine.hpp"},
    {"cuda/engines/convolution_batched_gemm.cpp", "layers/convolution/engine.hpp"},
    {"cuda/engines/gemm.cpp", "math/gemm.hpp"},
    {"cuda/engines/lrn_and_pooling.cpp", "layers/pooling/engine.hpp"},
    {"cuda/kernels/pixel_kernels.cpp", "data/image/pixel_batch.hpp"},
    {"cuda/runtime/accelerators.cpp", "core/accelerator.hpp"},
    {"cuda/runtime/communicator.cpp", "core/communicator.hpp"},
    {"data/storage/hdf5.cpp", "data/storage/hdf5.hpp"},
    {"data/storage/hdf5_reader.cpp", "data/storage/hdf5.hpp"},
    {"data/storage/hdf5_writer.cpp", "data/storage/hdf5.hpp"},
};

/// The source of an object file below build/src, as a path below src/: "cuda/x.cpp" of
/// "cuda/CMakeFiles/doppio_cuda.dir/x.cpp.o", "layers/x.cpp" of
/// ".../doppio_cuda.dir/__/layers/...".
std::string source_of(const std::string& object) {
  static const std::regex path("(.*?)CMakeFiles/[^/]*/(__/)?(.*)\\.o");
  std::smatch match;
  if (!std::regex_match(object, match, path)) return {};
  return (match[2].matched ? "" : match[1].str()) + match[3].str();
}

/// A symbol that an object file defines or needs.
struct Symbol {
  std::string source, name;
  char type;  // of nm: U is undefined, capitals but V, W and U are defined once
};

std::vector<Symbol> symbols_below(const fs::path& build, const fs::path& sources) {
  std::string command = "cd '" + build.string() + "' && " DOPPIO_NM " -A -P -g";
  for (const auto& entry : fs::recursive_directory_iterator(build)) {
    const std::string object = fs::relative(entry.path(), build);
    if (!source_of(object).empty() && fs::exists(sources / source_of(object)))
      command += " '" + object + "'";
  }
  std::vector<Symbol> symbols;
  FILE* nm = popen(command.c_str(), "r");
  std::string line;
  for (int c; (c = std::fgetc(nm)) != EOF;) {
    if (c != '\n') {
      line += static_cast<char>(c);
      continue;
    }
    std::istringstream words(line);  // "src/x.cpp.o: name T 0 8"
    std::string object, name;
    char type = '?';
    if (words >> object >> name >> type)
      symbols.push_back({source_of(object.substr(0, object.size() - 1)), name, type});
    line.clear();
  }
  EXPECT_EQ(pclose(nm), 0);
  return symbols;
}

/// The objections to calls from one part to another, a line each.
std::set<std::string> objections_to_links(const std::vector<Symbol>& symbols) {
  std::map<std::string, std::string> definer;
  for (const Symbol& s : symbols)
    if (std::string("TDBRG").find(s.type) != std::string::npos) definer[s.name] = s.source;
  std::set<std::string> objections;
  for (const Symbol& s : symbols) {
    const auto it = definer.find(s.name);
    if (s.type != 'U' || it == definer.end()) continue;
    const auto declared = kDeclaredBy.find(it->second);
    const bool may_include =
        objection(s.source, it->second).empty() ||
        (declared != kDeclaredBy.end() && objection(s.source, declared->second).empty());
    if (!may_include) objections.insert(s.source + " calls " + s.name + " of " + it->second);
  }
  return objections;
}

TEST(Layering, LinksPointOneWay) {
  const std::vector<Symbol> symbols =
      symbols_below(fs::path(DOPPIO_BINARY_DIR) / "src", fs::path(DOPPIO_SOURCE_DIR) / "src");
  EXPECT_GT(symbols.size(), 10000u);
  for (const std::string& problem : objections_to_links(symbols)) ADD_FAILURE() << problem;
}

TEST(Layering, ObjectsToUpwardLinks) {
  const std::vector<Symbol> symbols = {{"math/gemm.cpp", "f", 'U'}, {"net/net.cpp", "f", 'T'}};
  EXPECT_EQ(objections_to_links(symbols).size(), 1u);
  EXPECT_TRUE(
      objections_to_links({{"net/net.cpp", "f", 'U'}, {"core/shape.cpp", "f", 'T'}}).empty());
}

TEST(Layering, ObjectsToUpwardEdges) {
  EXPECT_NE(objection("math/gemm.cpp", "layers/support/elementwise.hpp"), "");
  EXPECT_NE(objection("layers/activation/relu.cpp", "doppio/net.hpp"), "");
  EXPECT_NE(objection("layers/activation/relu.cpp", "data/storage/lmdb.hpp"), "");
  EXPECT_NE(objection("data/storage/lmdb.cpp", "layers/support/sizes.hpp"), "");
  EXPECT_NE(objection("net/net.cpp", "data/storage/lmdb.hpp"), "");
  EXPECT_NE(objection("doppio/extend/layer.hpp", "doppio/net.hpp"), "");
  EXPECT_NE(objection("layers/data/data.cpp", "net/passes/passes.hpp"), "");
  EXPECT_NE(objection("math/gemm.cpp", "gemm.hpp"), "");
  EXPECT_NE(objection("engines/x.cpp", "math/philox.hpp"), "");
  EXPECT_NE(objection("layers/pooling/pooling.cpp", "layers/normalization/lrn_engine.hpp"), "");
  EXPECT_NE(objection("layers/new_room/x.cpp", "math/philox.hpp"), "");
  EXPECT_NE(objection("net/format/upgrade.cpp", "net/passes/passes.hpp"), "");
}

TEST(Layering, AllowsDownwardEdges) {
  EXPECT_EQ(objection("layers/data/data.cpp", "data/storage/lmdb.hpp"), "");
  EXPECT_EQ(objection("solver/solver_state.cpp", "data/storage/hdf5.hpp"), "");
  EXPECT_EQ(objection("tools/doppio.cpp", "doppio/solver.hpp"), "");
  EXPECT_EQ(objection("core/tensor.cpp", "doppio.pb.h"), "");
  EXPECT_EQ(
      objection("layers/convolution/image/convolution_image.cpp", "layers/convolution/engine.hpp"),
      "");
}

}  // namespace
