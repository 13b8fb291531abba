#pragma once
#include <google/protobuf/message.h>

#include <string>

#include "net/format/source_map.hpp"

namespace doppio {

/// Parses a text net, keeping the line of every field, and upgrades old generations.
/// Throws: one Error with every unknown field ("did you mean") and syntax error.
SourcedNet read_prototxt(const std::string& file);
SourcedNet parse_prototxt(const std::string& text, const std::string& file);

/// Parses protobuf text into `out` and returns where every field stands.
/// Throws: one Error with every unknown field and enum value ("did you mean"), syntax error and
/// missing required field.
FieldLocations parse_text(const std::string& text, const std::string& file,
                          google::protobuf::Message& out);

/// The part of `all` that lies under `path`, with paths relative to it.
FieldLocations locations_under(const FieldLocations& all, const std::string& path);

/// Fills `layers` of a net that was just parsed from its `fields`.
/// Throws: Error if it has both `layer` and `layers`.
SourcedNet with_layer_places(SourcedNet source);

}  // namespace doppio
