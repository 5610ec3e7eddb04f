// SPDX-License-Identifier: Apache-2.0
//
// Which table is used: what is compiled in, what can run, what CAIRN_SIMD asks for.
#include <cstdlib>
#include <string>
#include <string_view>

#include "simd/cpu.h"
#include "simd/kernels.h"
#include "simd/tables.h"

namespace cairn::simd {
namespace {

constexpr std::string_view kKnown[] = {"scalar",     "avx2", "avx512",
                                       "avx512vnni", "neon", "neon_dotprod"};

bool is_known(std::string_view name) {
  for (const std::string_view known : kKnown) {
    if (known == name) return true;
  }
  return false;
}

// The decision, made once. `message` is what Active::problem points to.
struct Decision {
  std::string message;
  Active active;

  Decision() {
    const Choices all = choices();
    active = {all.data[0].table, nullptr};
    const char* wanted = std::getenv("CAIRN_SIMD");
    if (wanted == nullptr || *wanted == '\0') {
      for (std::size_t i = 0; i < all.size; ++i) {
        if (all.data[i].available) active.table = all.data[i].table;
      }
      return;
    }
    for (std::size_t i = 0; i < all.size; ++i) {
      if (std::string_view(all.data[i].table->name) != wanted) continue;
      if (all.data[i].available) {
        active.table = all.data[i].table;
      } else {
        refuse(wanted, "which this processor or its operating system does not support");
      }
      return;
    }
    refuse(wanted, is_known(wanted) ? "which is not compiled into this library"
                                    : "which is no instruction set known to it");
  }

 private:
  void refuse(std::string_view wanted, std::string_view why) {
    message =
        "CAIRN_SIMD asks for \"" + std::string(wanted) + "\", " + std::string(why) + " (available:";
    const Choices all = choices();
    for (std::size_t i = 0; i < all.size; ++i) {
      if (all.data[i].available) message += ' ' + std::string(all.data[i].table->name);
    }
    message += ')';
    active.problem = message.c_str();
  }
};

}  // namespace

Choices choices() noexcept {
  static const Choice all[] = {
    {scalar_table(), true},
#if defined(CAIRN_SIMD_X86)
    {avx2_table(), has_avx2()},
    {avx512_table(), has_avx512()},
    {avx512vnni_table(), has_avx512vnni()},
#elif defined(CAIRN_SIMD_ARM)
    {neon_table(), has_neon()},
    {neon_dotprod_table(), has_neon_dotprod()},
#endif
  };
  return {all, sizeof(all) / sizeof(all[0])};
}

const Active& active() noexcept {
  static const Decision decision;
  return decision.active;
}

}  // namespace cairn::simd
