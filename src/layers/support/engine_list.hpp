#pragma once
#include <glog/logging.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>

#include "doppio/error.hpp"

namespace doppio {

/// An engine that may be chosen for a geometry: one way among several to compute the same thing.
template <class Engine, class... Geometry>
struct EngineEntry {
  const char* name;
  /// Returns why the engine cannot compute the geometry; empty if it can.
  std::string (*why_not)(const Geometry&...);
  std::unique_ptr<Engine> (*make)(const Geometry&...);
  /// Returns why another engine is faster, empty if none is; null if this one is the fastest
  /// wherever it can be used. Not asked where the user forces an engine.
  std::string (*why_slower)(const Geometry&...) = nullptr;
};

/// Engines in order of preference.
template <class Engine, class... Geometry>
using EngineList = std::span<const std::type_identity_t<EngineEntry<Engine, Geometry...>>>;

/// Makes the first of `engines` that can compute the geometry and is not slower than a later one,
/// or the one called `forced` unless that is empty. Logs the choice and the refusals at verbosity
/// 1, as `task` of the layer. Returns null if no engine can. Throws: Error if `forced` cannot, or
/// is not in the list.
template <class Engine, class... Geometry>
std::unique_ptr<Engine> make_engine(const std::string& layer, const char* task,
                                    EngineList<Engine, Geometry...> engines,
                                    const std::string& forced, const Geometry&... geometry) {
  std::string refusal;
  for (const EngineEntry<Engine, Geometry...>& engine : engines) {
    if (!forced.empty() && forced != engine.name) continue;
    std::string reason = engine.why_not(geometry...);
    if (reason.empty() && forced.empty() && engine.why_slower)
      reason = engine.why_slower(geometry...);
    if (reason.empty()) {
      VLOG(1) << layer << ": " << task << " by " << engine.name << ": "
              << std::get<0>(std::tie(geometry...)).text();
      return engine.make(geometry...);
    }
    VLOG(1) << layer << ": not by " << engine.name << ": " << reason;
    refusal = reason;
  }
  require(forced.empty() || !refusal.empty(), "engine ", forced, " does not run on this device");
  require(forced.empty(), "engine ", forced, " cannot be used: ", refusal);
  return nullptr;
}

/// An engine that is made again only when the geometry has changed.
template <class Engine, class... Geometry>
class EngineChoice {
 public:
  /// Calls make(geometry...) unless the engine at hand was made for this geometry.
  template <class Make>
  void choose(Make make, const Geometry&... geometry) {
    if (geometry_ == std::tuple(geometry...)) return;
    engine_ = make(geometry...);
    geometry_.emplace(geometry...);
  }
  /// Null before the first choose(), or if that made no engine.
  Engine* get() const { return engine_.get(); }
  Engine* operator->() const { return engine_.get(); }

 private:
  std::unique_ptr<Engine> engine_;
  std::optional<std::tuple<Geometry...>> geometry_;
};

}  // namespace doppio
