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

/// An entry in a list of engines: alternative implementations of the same computation.
template <class Engine, class... Geometry>
struct EngineEntry {
  const char* name;
  /// Returns why the engine cannot compute the geometry; empty if it can.
  std::string (*why_not)(const Geometry&...);
  std::unique_ptr<Engine> (*make)(const Geometry&...);
  /// Returns why another engine is faster, empty if none is. Null if this engine is always the
  /// fastest that can be used. Not called if the user forces an engine.
  std::string (*why_slower)(const Geometry&...) = nullptr;
};

/// Engines in order of preference.
template <class Engine, class... Geometry>
using EngineList = std::span<const std::type_identity_t<EngineEntry<Engine, Geometry...>>>;

/// Creates the first of `engines` that can compute the geometry and is not slower than a later one,
/// or the one named `forced` unless that is empty. Logs the choice and rejected engines at
/// verbosity 1, with `layer` and `task`. Returns null if no engine can. Throws: Error if `forced`
/// cannot, or is not in the list.
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

/// Holds an engine and recreates it only when the geometry changes.
template <class Engine, class... Geometry>
class EngineChoice {
 public:
  /// Calls make(geometry...) unless the current engine was made for this geometry.
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
