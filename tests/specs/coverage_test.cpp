#include <algorithm>
#include <map>
#include <set>

#include "doppio/extend/registry.hpp"
#include "spec_file.hpp"
#include "support/layer_harness.hpp"

namespace doppio::specs {
namespace {

// Types that no spec can describe, each with its reason.
const std::map<std::string, std::string> kWithoutSpec = {
    {"Input", "computes nothing; its tops are filled by the program"},
    {"Data", "needs a database; see tests/data and the conformance cases"},
    {"AnnotatedData", "needs a database; see tests/data"},
    {"ImageData", "needs image files; see tests/data and the conformance cases"},
    {"MemoryData", "is filled by the program; see tests/data"},
    {"WindowData", "needs image files; see tests/data"},
    {"HDF5Output", "computes nothing and writes a file; see tests/data"},
    {"HDF5Data", "needs .h5 files; see tests/data and the conformance cases"},
};

TEST(SpecCoverage, EveryRegisteredTypeHasASpec) {
  std::set<std::string> described;
  for (const NamedSpec& named : read_specs()) described.insert(named.spec.layer().type());
  std::string missing;
  for (const std::string& type : LayerRegistry::instance().types())
    if (!described.count(type) && !kWithoutSpec.count(type)) missing += " " + type;
  EXPECT_EQ(missing, "") << "write tests/specs/<type>.prototxt; tests/specs/README.md says how";
}

TEST(SpecCoverage, NoExceptionIsStale) {
  for (const NamedSpec& named : read_specs())
    EXPECT_EQ(kWithoutSpec.count(named.spec.layer().type()), 0u) << named.name << " has a spec";
}

}  // namespace
}  // namespace doppio::specs
