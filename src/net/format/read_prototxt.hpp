#pragma once
#include <google/protobuf/message.h>

#include <string>

#include "net/format/source_map.hpp"

namespace doppio {

/// Parses a text net, records the line of every field, and upgrades V0 and V1 nets. Throws: one
/// Error with every unknown field ("did you mean") and syntax error.
SourcedNet read_prototxt(const std::string& file);
SourcedNet parse_prototxt(const std::string& text, const std::string& file);

/// Parses protobuf text into `out` and returns the location of every field. Throws: one Error with
/// every unknown field and enum value ("did you mean"), syntax error and missing required field.
FieldLocations parse_text(const std::string& text, const std::string& file,
                          google::protobuf::Message& out);

/// Returns the entries of `all` below `path`, with paths relative to it.
FieldLocations locations_under(const FieldLocations& all, const std::string& path);

/// Fills SourcedNet::layers of a newly parsed net from its `fields`. Throws: Error if the net has
/// both `layer` and `layers`.
SourcedNet with_layer_places(SourcedNet source);

}  // namespace doppio
