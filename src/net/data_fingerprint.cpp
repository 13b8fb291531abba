#include "net/data_fingerprint.hpp"

#include "core/with_context.hpp"
#include "doppio/extend/fingerprint.hpp"

namespace doppio {

std::vector<std::string> data_fingerprints(Net& net) {
  std::vector<std::string> fingerprints;
  for (NetLayer& l : net.layers()) {
    auto* const source = dynamic_cast<FingerprintedSource*>(l.layer.get());
    if (!source) continue;
    const auto layer = [&] { return str("layer '", l.name, "'"); };
    fingerprints.push_back(with_context(name_context(layer),
                                        [&] { return str(layer(), ": ", source->fingerprint()); }));
  }
  return fingerprints;
}

}  // namespace doppio
