// SPDX-License-Identifier: Apache-2.0
#include <cairn/cairn.h>

#include <cstdio>
#include <vector>

namespace {

int fail(const char* what, const cairn::Error& error) {
  std::fprintf(stderr, "%s: %s\n", what, error.message().c_str());
  return 1;
}

}  // namespace

int main() {
  auto index = cairn::Index::create({.dimensions = 2, .metric = cairn::Metric::l2sq});
  if (!index) return fail("create", index.error());
  for (cairn::Key key = 0; key < 10; ++key) {
    if (auto added = index->add(key, std::vector<float>{static_cast<float>(key), 1.0f}); !added) {
      return fail("add", added.error());
    }
  }
  if (auto saved = index->save("ten.cairn"); !saved) return fail("save", saved.error());

  auto file = cairn::Index::open("ten.cairn");
  if (!file) return fail("open", file.error());
  auto found = file->search(std::vector<float>{7.2f, 1.0f}, {.k = 1});
  if (!found) return fail("search", found.error());
  return file->size() == 10 && found->size() == 1 && found->front().key == 7 ? 0 : 1;
}
