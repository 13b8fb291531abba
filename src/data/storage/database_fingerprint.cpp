#include <algorithm>
#include <functional>

#include "data/storage/database_list.hpp"
#include "data/storage/database_writer.hpp"
#include "io/sha256.hpp"

namespace doppio {

namespace {

/// Returns a key halfway between `a` and `b`, read as fractions in base 256.
std::string halfway(const std::string& a, const std::string& b) {
  std::string half(std::max(a.size(), b.size()) + 1, '\0');
  const auto digit = [](const std::string& key, std::size_t i) {
    return i < key.size() ? static_cast<unsigned char>(key[i]) : 0u;
  };
  unsigned carry = 0;
  for (std::size_t i = half.size(); i-- > 0; carry /= 256) {
    carry += digit(a, i) + digit(b, i);
    half[i] = static_cast<char>(carry % 256);
  }
  for (std::size_t i = 0; i < half.size(); ++i, carry %= 2) {
    carry = carry * 256 + digit(half, i);
    half[i] = static_cast<char>(carry / 2);
  }
  return half;
}

using Use = std::function<void(const Record&)>;

/// Passes up to 2^halvings - 1 records with keys between `low` and `high` to `use`, in order.
///
/// Which ones depends on the keys only, not on the layout of the files, and needs a few dozen
/// searches. Evenly spaced positions would need a pass over all leaves of an LMDB database, and
/// over the whole of a LevelDB database.
void sample_between(SingleDatabase& database, const std::string& low, const std::string& high,
                    int halvings, const Use& use) {
  constexpr int kTries = 12;  // keys of digits leave most of the range above them empty
  if (halvings == 0) return;
  std::string target = high;
  for (int i = 0; i < kTries; ++i) {
    target = halfway(low, target);
    const Record record = database.find(target);
    if (record.key >= high) continue;
    const std::string middle(record.key);
    sample_between(database, low, middle, halvings - 1, use);
    use(record);
    return sample_between(database, middle, high, halvings - 1, use);
  }
}

void sample(SingleDatabase& database, int halvings, const Use& use) {
  const std::string beyond(DatabaseWriter::kMaxKey + 1, '\xff');
  const Record first = database.find(""), last = database.find(beyond);
  use(first);
  sample_between(database, std::string(first.key), std::string(last.key), halvings, use);
  use(last);
}

}  // namespace

std::string database_fingerprint(const std::vector<std::string>& paths) {
  const int halvings = paths.size() == 1 ? 4 : paths.size() < 6 ? 2 : 1;
  Sha256 sha;
  Index records = 0;
  bool counted = true;
  for (const std::string& path : paths) {
    const auto database = open_database(path);
    const Index size = database->known_size();
    sha.update(&size, sizeof size);
    sample(*database, halvings, [&](const Record& record) {
      sha.update_with_length(record.key);
      sha.update_with_length(record.value);
    });
    records += size;
    counted &= size > 0;
  }
  return (counted ? str(records, " records, ") : "") + "sample " + sha.short_hex();
}

}  // namespace doppio
