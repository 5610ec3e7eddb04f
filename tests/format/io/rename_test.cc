// SPDX-License-Identifier: Apache-2.0
//
// Renaming without replacing where the system cannot do that in one call: FileSystem::rename_new.
// A child process has these calls refused, as old kernels and some file systems refuse them.
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "format/io/file.h"
#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"

namespace cairn::format {
namespace {

using test::TemporaryDirectory;

struct Refused {
  long call;
  int error;
};

// From now on, for this process and for ever.
bool refuse(const std::vector<Refused>& calls) {
  std::vector<sock_filter> program;
  program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  for (const Refused& refused : calls) {
    program.push_back(
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(refused.call), 0, 1));
    program.push_back(
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(refused.error)));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

constexpr int kCannotRefuse = 77;

// What `run` returns, in a child that has these calls refused.
template <class Run>
int in_child(const std::vector<Refused>& calls, Run&& run) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(refuse(calls) ? run() : kCannotRefuse);
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

struct Without {
  const char* name;
  std::vector<Refused> calls;
};

const std::vector<Refused> kNoLink = {
#ifdef SYS_link
    {SYS_link, EPERM},
#endif
    {SYS_linkat, EPERM}};

std::vector<Refused> and_no_link(Refused first) {
  std::vector<Refused> calls = kNoLink;
  calls.push_back(first);
  return calls;
}

class RenameNew : public testing::TestWithParam<Without> {
 protected:
  // The code of the error, 0: none.
  int rename(const char* from, const char* to) {
    return in_child(GetParam().calls, [&] {
      const auto renamed = fs_.rename_new(directory_ / from, directory_ / to);
      return renamed ? 0 : static_cast<int>(renamed.error().code());
    });
  }
  std::uint64_t bytes_of(const char* name) {
    const auto info = fs_.info(directory_ / name);
    return info ? info->size_bytes : 0;
  }

  const TemporaryDirectory directory_;
  FileSystem& fs_ = default_file_system();
};

TEST_P(RenameNew, GivesTheNameAndTakesTheOldOne) {
  test::write_bytes(directory_ / "a", test::Bytes(7));
  const int code = rename("a", "b");
  if (code == kCannotRefuse) GTEST_SKIP() << "calls cannot be refused here";
  EXPECT_EQ(code, 0);
  EXPECT_EQ(bytes_of("b"), 7u);
  EXPECT_EQ(directory_.entries(), 1u);
}

TEST_P(RenameNew, ReplacesNothing) {
  test::write_bytes(directory_ / "a", test::Bytes(7));
  test::write_bytes(directory_ / "b", test::Bytes(9));
  const int code = rename("a", "b");
  if (code == kCannotRefuse) GTEST_SKIP() << "calls cannot be refused here";
  EXPECT_EQ(code, static_cast<int>(ErrorCode::path_exists));
  EXPECT_EQ(bytes_of("a"), 7u);
  EXPECT_EQ(bytes_of("b"), 9u);
  EXPECT_EQ(directory_.entries(), 2u);
}

TEST_P(RenameNew, LeavesNoNameBehindWhenItFails) {
  const int code = rename("gone", "b");
  if (code == kCannotRefuse) GTEST_SKIP() << "calls cannot be refused here";
  EXPECT_EQ(code, static_cast<int>(ErrorCode::path_not_found));
  EXPECT_EQ(directory_.entries(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Without, RenameNew,
                         testing::Values(Without{"nothing", {}},
                                         Without{"renameat2", {{SYS_renameat2, ENOSYS}}},
                                         Without{"the_flag", {{SYS_renameat2, EINVAL}}},
                                         Without{"link", and_no_link({SYS_renameat2, EINVAL})}),
                         [](const testing::TestParamInfo<Without>& without) {
                           return std::string(without.param.name);
                         });

}  // namespace
}  // namespace cairn::format
