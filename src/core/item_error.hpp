#pragma once
#include "doppio/error.hpp"
#include "doppio/shape.hpp"

namespace doppio {

/// A mistake in one item of the batch. The net adds the item's source (Layer::item_name()).
class ItemError : public Error {
 public:
  ItemError(const std::string& message, Index item) : Error(message), item_(item) {}
  Index item() const { return item_; }

 private:
  Index item_;
};

}  // namespace doppio
