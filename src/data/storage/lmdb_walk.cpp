#include "data/storage/lmdb_file.hpp"

namespace doppio {

namespace {

std::size_t first_node(const LmdbPage&) { return 0; }
std::size_t last_node(const LmdbPage& page) { return page.size() - 1; }

}  // namespace

bool LmdbWalk::first() {
  path_.clear();
  if (tree_.root == LmdbTree::kNone) return false;
  descend(tree_.root, first_node);
  return true;
}

bool LmdbWalk::last() {
  path_.clear();
  if (tree_.root == LmdbTree::kNone) return false;
  descend(tree_.root, last_node);
  return true;
}

bool LmdbWalk::next() {
  while (path_.size() > 1) {
    path_.pop_back();
    Step& parent = path_.back();
    if (++parent.at == parent.page.size()) continue;
    descend(parent.page.node(parent.at).child, first_node);
    return true;
  }
  path_.clear();
  return false;
}

bool LmdbWalk::find(std::string_view key) {
  path_.clear();
  if (tree_.root == LmdbTree::kNone) return false;
  descend(tree_.root, [&](const LmdbPage& page) {
    std::size_t i = 0;  // node 0 has no key: its child holds all keys below that of node 1
    while (!page.leaf && i + 1 < page.size() && page.node(i + 1).key <= key) ++i;
    return i;
  });
  return true;
}

template <class Choose>
void LmdbWalk::descend(std::uint64_t number, Choose choose) {
  for (;;) {
    path_.push_back({file_.page(tree_, number, static_cast<int>(path_.size())), 0});
    Step& step = path_.back();
    if (on_page) on_page(step.page);
    step.at = choose(step.page);
    if (step.page.leaf) return;
    number = step.page.node(step.at).child;
  }
}

}  // namespace doppio
