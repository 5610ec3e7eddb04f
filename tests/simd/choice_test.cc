// SPDX-License-Identifier: Apache-2.0
//
// The choice is made once in a process, so each test makes it in a child of its own.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>

#include "simd/kernels.h"

namespace cairn::simd {
namespace {

struct Answer {
  std::string table;
  std::string problem;
};

// What a new process decides with CAIRN_SIMD set to `wanted`, or unset.
Answer decide(const char* wanted) {
  int ends[2];
  if (pipe(ends) != 0) ADD_FAILURE() << "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    if (wanted == nullptr) {
      unsetenv("CAIRN_SIMD");
    } else {
      setenv("CAIRN_SIMD", wanted, 1);
    }
    const Active& decided = active();
    std::string text = decided.table->name;
    text += '\n';
    if (decided.problem != nullptr) text += decided.problem;
    const bool same = &kernels() == decided.table && active().table == decided.table;
    const bool written =
        write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    _exit(same && written ? 0 : 1);
  }
  close(ends[1]);
  std::string text;
  char buffer[512];
  ssize_t got = 0;
  while ((got = read(ends[0], buffer, sizeof(buffer))) > 0) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  close(ends[0]);
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << text;
  const std::size_t line = text.find('\n');
  return {text.substr(0, line), line == std::string::npos ? "" : text.substr(line + 1)};
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

const char* best_available() {
  const Choices all = choices();
  const char* best = nullptr;
  for (std::size_t i = 0; i < all.size; ++i) {
    if (all.data[i].available) best = all.data[i].table->name;
  }
  return best;
}

TEST(Choice, ScalarIsFirstAndAlwaysAvailable) {
  const Choices all = choices();
  ASSERT_GE(all.size, 1U);
  EXPECT_STREQ(all.data[0].table->name, "scalar");
  EXPECT_TRUE(all.data[0].available);
}

TEST(Choice, EveryTableIsComplete) {
  const Choices all = choices();
  for (std::size_t i = 0; i < all.size; ++i) {
    const KernelTable& t = *all.data[i].table;
    EXPECT_TRUE(t.dot_f32 != nullptr && t.l2_f32 != nullptr && t.dot_i8 != nullptr &&
                t.l2_i8 != nullptr && t.hamming != nullptr && t.dot_f32_many != nullptr &&
                t.l2_f32_many != nullptr && t.dot_i8_many != nullptr && t.l2_i8_many != nullptr &&
                t.hamming_many != nullptr && t.score_codes != nullptr && t.max_abs != nullptr &&
                t.quantize_i8 != nullptr && t.pool_insert != nullptr)
        << t.name;
  }
}

TEST(Choice, AvailableOnesComeBeforeTheOthers) {
  const Choices all = choices();
  for (std::size_t i = 1; i < all.size; ++i) {
    EXPECT_TRUE(all.data[i - 1].available || !all.data[i].available) << all.data[i].table->name;
  }
}

TEST(Choice, BestAvailableIsTakenWithoutTheVariable) {
  const Answer answer = decide(nullptr);
  EXPECT_EQ(answer.table, best_available());
  EXPECT_EQ(answer.problem, "");
}

TEST(Choice, EmptyVariableIsLikeNone) {
  const Answer answer = decide("");
  EXPECT_EQ(answer.table, best_available());
  EXPECT_EQ(answer.problem, "");
}

TEST(Choice, VariableNamesTheTableOrSaysWhyNot) {
  const Choices all = choices();
  for (std::size_t i = 0; i < all.size; ++i) {
    const char* name = all.data[i].table->name;
    const Answer answer = decide(name);
    if (all.data[i].available) {
      EXPECT_EQ(answer.table, name);
      EXPECT_EQ(answer.problem, "");
    } else {
      EXPECT_EQ(answer.table, "scalar");
      EXPECT_TRUE(has(answer.problem, name)) << answer.problem;
      EXPECT_TRUE(has(answer.problem, "does not support")) << answer.problem;
    }
  }
}

TEST(Choice, InstructionSetOfAnotherArchitectureIsAProblem) {
#if defined(__aarch64__)
  const Answer answer = decide("avx2");
#else
  const Answer answer = decide("neon");
#endif
  EXPECT_EQ(answer.table, "scalar");
  EXPECT_TRUE(has(answer.problem, "not compiled into")) << answer.problem;
}

TEST(Choice, UnknownNameIsAProblemThatListsWhatIsAvailable) {
  for (const char* wanted : {"avx1024", "AVX2", " avx2", "avx2 ", "avx", "best"}) {
    const Answer answer = decide(wanted);
    EXPECT_EQ(answer.table, "scalar");
    EXPECT_TRUE(has(answer.problem, wanted)) << answer.problem;
    EXPECT_TRUE(has(answer.problem, "no instruction set known")) << answer.problem;
    EXPECT_TRUE(has(answer.problem, best_available())) << answer.problem;
  }
}

// CI sets it to what its machine is known to have, so that no test is skipped without notice.
TEST(Choice, RequiredInstructionSetIsAvailable) {
  const char* required = std::getenv("CAIRN_TEST_MIN_ISA");
  const Choices all = choices();
  const std::string_view name =
      required == nullptr || *required == '\0' ? std::string_view("scalar") : required;
  bool found = false;
  for (std::size_t i = 0; i < all.size; ++i) {
    found = found || (all.data[i].table->name == name && all.data[i].available);
  }
  EXPECT_TRUE(found) << name;
}

}  // namespace
}  // namespace cairn::simd
