// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <cairn/c.h>
#include <cairn/cairn.h>

namespace cairn {
namespace {

constexpr int kInvalidArgument = CAIRN_ERROR_INVALID_ARGUMENT;

// Bytes of a struct, followed by those of a later version.
template <class Options>
struct Later {
  Options known;
  unsigned char unknown[24];
};

template <class Options>
Later<Options> later(const Options& known) {
  Later<Options> all;
  std::memset(&all, 0, sizeof all);
  std::memcpy(&all.known, &known, sizeof known);
  all.known.size = offsetof(Later<Options>, unknown) + sizeof all.unknown;
  return all;
}

class COptions : public testing::Test {
 protected:
  void SetUp() override {
    cairn_params_init(&params_, sizeof params_, 2);
    ASSERT_EQ(cairn_create(&params_, &index_), 0);
    ASSERT_EQ(cairn_add(index_, 7, row_, 2), 0);
  }
  void TearDown() override { cairn_close(index_); }

  // What every kind of options promises; `call` is given pointers to them.
  template <class Options>
  void check_sizes(Options options, const std::function<int(const Options*)>& call, int expected) {
    options.size = sizeof options;
    EXPECT_EQ(call(&options), expected) << cairn_last_error();

    Later<Options> of_later = later(options);
    EXPECT_EQ(call(&of_later.known), expected) << cairn_last_error();
    for (const std::size_t i : {std::size_t{0}, sizeof of_later.unknown - 1}) {
      of_later = later(options);
      of_later.unknown[i] = 1;
      EXPECT_EQ(call(&of_later.known), kInvalidArgument) << i;
      EXPECT_NE(std::string(cairn_last_error()).find("->size is "), std::string::npos)
          << cairn_last_error();
    }
    of_later.known.size = sizeof options;  // then the byte is not the caller's
    EXPECT_EQ(call(&of_later.known), expected) << cairn_last_error();

    for (const std::size_t size :
         {std::size_t{0}, sizeof options.size - 1, std::size_t{4097}, ~std::size_t{0}}) {
      options.size = size;
      EXPECT_EQ(call(&options), kInvalidArgument) << size;
    }
  }

  cairn_params params_;
  cairn_index* index_ = nullptr;
  const float row_[2] = {1.0f, 2.0f};
  const cairn_vector vector_ = {row_, 2, CAIRN_SCALAR_F32};
  cairn_match matches_[4];
  std::size_t count_ = 0;
};

TEST_F(COptions, OfOtherVersionsAreTakenIfNothingUnknownIsWanted) {
  const std::string nowhere = testing::TempDir() + "no folder/x.cairn";
  check_sizes<cairn_params>(
      params_,
      [](const cairn_params* params) {
        cairn_index* out = nullptr;
        const int code = cairn_create(params, &out);
        cairn_close(out);
        return code;
      },
      0);
  check_sizes<cairn_create_options>(
      {},
      [&](const cairn_create_options* options) {
        cairn_index* out = nullptr;
        const int code = cairn_create_with(nullptr, &params_, options, &out);
        cairn_close(out);
        return code;
      },
      0);
  check_sizes<cairn_open_options>(
      {},
      [&](const cairn_open_options* options) {
        cairn_index* out = nullptr;
        return cairn_open_with(nowhere.c_str(), options, &out);
      },
      CAIRN_ERROR_PATH_NOT_FOUND);
  check_sizes<cairn_build_options>(
      {}, [&](const auto* options) { return cairn_compact_with(index_, options); }, 0);
  check_sizes<cairn_build_options>(
      {},
      [&](const auto* options) {
        cairn_verify_report* report = nullptr;
        const int code = cairn_verify_with(index_, options, &report);
        cairn_verify_close(report);
        return code;
      },
      0);
  const cairn_matrix no_rows = {nullptr, 0, 2, 0, CAIRN_SCALAR_F32};
  check_sizes<cairn_build_options>(
      {}, [&](const auto* options) { return cairn_build_with(index_, nullptr, &no_rows, options); },
      CAIRN_ERROR_NOT_EMPTY);
  check_sizes<cairn_save_options>(
      {}, [&](const auto* options) { return cairn_save_with(index_, nowhere.c_str(), options); },
      CAIRN_ERROR_PATH_NOT_FOUND);
  check_sizes<cairn_search_options>(
      {},
      [&](const auto* options) {
        return cairn_search_with(index_, &vector_, options, matches_, 4, &count_);
      },
      0);
  check_sizes<cairn_search_options>(
      {},
      [&](const auto* options) {
        return cairn_search_batch_with(index_, &no_rows, options, matches_, 4, &count_);
      },
      0);
  check_sizes<cairn_import_options>(
      {},
      [&](const auto* options) {
        cairn_index* out = nullptr;
        return cairn_import(nowhere.c_str(), options, &out, nullptr);
      },
      CAIRN_ERROR_PATH_NOT_FOUND);
}

TEST_F(COptions, OfAnOlderVersionHaveDefaultsForTheRest) {
  ASSERT_EQ(cairn_add(index_, 8, row_, 2), 0);
  cairn_search_options options = {};
  options.size = offsetof(cairn_search_options, ef);
  options.k = 1;
  options.ef = ~std::size_t{0};
  options.reserved[0] = 5;  // not the caller's
  EXPECT_EQ(cairn_search_with(index_, &vector_, &options, matches_, 4, &count_), 0);
  EXPECT_EQ(count_, 1u);
  cairn_params params = params_;
  params.size = offsetof(cairn_params, m);
  params.m = 0;
  params.metric = 77;
  cairn_index* out = nullptr;
  ASSERT_EQ(cairn_create(&params, &out), 0) << cairn_last_error();
  cairn_params told;
  told.size = sizeof told;
  ASSERT_EQ(cairn_get_params(out, &told), 0);
  EXPECT_EQ(told.m, 16u);
  EXPECT_EQ(told.metric, CAIRN_METRIC_COSINE);
  cairn_close(out);
}

TEST_F(COptions, WithAnythingReservedAreInvalid) {
  cairn_index* out = nullptr;
  cairn_params params = params_;
  params.reserved[3] = 1;
  EXPECT_EQ(cairn_create(&params, &out), kInvalidArgument);
  EXPECT_STREQ(cairn_last_error(), "invalid_argument (1): create: params->reserved is not 0");
  cairn_open_options open = {};
  open.size = sizeof open;
  open.reserved[0] = 1;
  EXPECT_EQ(cairn_open_with("x", &open, &out), kInvalidArgument);
  cairn_search_options search = {};
  search.size = sizeof search;
  search.reserved[0] = 1;
  EXPECT_EQ(cairn_search_with(index_, &vector_, &search, matches_, 4, &count_), kInvalidArgument);
}

TEST_F(COptions, WithNumbersThatAreNoEnumAreInvalid) {
  const auto open = [](auto change) {
    cairn_open_options options = {};
    options.size = sizeof options;
    change(options);
    cairn_index* out = nullptr;
    return cairn_open_with("x", &options, &out);
  };
  EXPECT_EQ(open([](auto& o) { o.mode = 2; }), kInvalidArgument);
  EXPECT_STREQ(cairn_last_error(), "invalid_argument (1): open: mode 2 does not exist");
  EXPECT_EQ(open([](auto& o) { o.residency = 2; }), kInvalidArgument);
  EXPECT_EQ(open([](auto& o) { o.verify = 2; }), kInvalidArgument);
  EXPECT_EQ(open([](auto& o) { o.durability = 3; }), kInvalidArgument);
  EXPECT_EQ(open([](auto& o) { o.salvage = 2; }), kInvalidArgument);
  EXPECT_EQ(open([](auto& o) { o.guard = 255; }), kInvalidArgument);
  cairn_save_options save = {};
  save.size = sizeof save;
  save.existing = 2;
  EXPECT_EQ(cairn_save_with(index_, "x", &save), kInvalidArgument);
  for (const int scalar : {0, 6, 255}) {
    const cairn_vector vector = {row_, 2, static_cast<std::uint8_t>(scalar)};
    EXPECT_EQ(cairn_add_vector(index_, 8, &vector), kInvalidArgument);
    EXPECT_EQ(cairn_search_with(index_, &vector, nullptr, matches_, 4, &count_), kInvalidArgument);
    float out[2];
    EXPECT_EQ(cairn_get_vector(index_, 7, vector.scalar, out, sizeof out), kInvalidArgument);
  }
}

TEST_F(COptions, NullArgumentsOfCallsWithOptionsAreInvalid) {
  cairn_index* out = nullptr;
  const cairn_vector no_data = {nullptr, 2, CAIRN_SCALAR_F32};
  const cairn_matrix no_rows = {nullptr, 1, 2, 0, CAIRN_SCALAR_F32};
  const cairn_matrix rows = {row_, 1, 2, 0, CAIRN_SCALAR_F32};
  cairn_verify_report* report = nullptr;
  std::uint64_t lsn = 0;
  std::vector<int> codes = {
      cairn_create_with("x", nullptr, nullptr, &out),
      cairn_create_with("x", &params_, nullptr, nullptr),
      cairn_create_file(nullptr, &params_, &out),
      cairn_open_with(nullptr, nullptr, &out),
      cairn_open_with("x", nullptr, nullptr),
      cairn_add_vector(nullptr, 1, &vector_),
      cairn_add_vector(index_, 1, nullptr),
      cairn_add_vector(index_, 1, &no_data),
      cairn_upsert_vector(nullptr, 1, &vector_),
      cairn_build_with(nullptr, &lsn, &rows, nullptr),
      cairn_build_with(index_, &lsn, nullptr, nullptr),
      cairn_build_with(index_, &lsn, &no_rows, nullptr),
      cairn_build_with(index_, nullptr, &rows, nullptr),
      cairn_search_with(nullptr, &vector_, nullptr, matches_, 4, &count_),
      cairn_search_with(index_, nullptr, nullptr, matches_, 4, &count_),
      cairn_search_with(index_, &vector_, nullptr, nullptr, 4, &count_),
      cairn_search_with(index_, &vector_, nullptr, matches_, 4, nullptr),
      cairn_search_batch_with(index_, nullptr, nullptr, matches_, 4, &count_),
      cairn_search_batch_with(index_, &rows, nullptr, nullptr, 10, &count_),
      cairn_search_batch_with(index_, &rows, nullptr, matches_, 10, nullptr),
      cairn_get_vector(nullptr, 7, CAIRN_SCALAR_F32, matches_, 8),
      cairn_get_vector(index_, 7, CAIRN_SCALAR_F32, nullptr, 8),
      cairn_applied_up_to(index_, nullptr),
      cairn_applied_up_to(nullptr, &lsn),
      cairn_set_applied_up_to(nullptr, 1),
      cairn_warm(nullptr),
      cairn_release(nullptr),
      cairn_compact_with(nullptr, nullptr),
      cairn_checkpoint_with(nullptr, nullptr),
      cairn_save_with(index_, nullptr, nullptr),
      cairn_check_save(nullptr, nullptr),
      cairn_verify_with(nullptr, nullptr, &report),
      cairn_verify_with(index_, nullptr, nullptr),
      cairn_verify_count(nullptr, nullptr),
      cairn_get_params(index_, nullptr),
      cairn_get_params(nullptr, &params_),
      cairn_stats(index_, nullptr),
      cairn_export(nullptr, "x", CAIRN_SOURCE_HNSWLIB),
      cairn_export(index_, nullptr, CAIRN_SOURCE_HNSWLIB),
      cairn_export(index_, "x", 5),
      cairn_stop_create(nullptr),
  };
  EXPECT_EQ(codes, std::vector<int>(codes.size(), kInvalidArgument));
  EXPECT_EQ(cairn_verify_finding(nullptr, 0), nullptr);
  EXPECT_EQ(cairn_stop_is_set(nullptr), 0);
  cairn_stop_set(nullptr);
  cairn_stop_clear(nullptr);
}

TEST_F(COptions, RowsThatNoMemoryHasAreErrors) {
  const std::size_t most = ~std::size_t{0};
  for (const cairn_matrix& rows : {cairn_matrix{row_, most / 4, 2, 0, CAIRN_SCALAR_F32},
                                   cairn_matrix{row_, 2, most, 0, CAIRN_SCALAR_F32},
                                   cairn_matrix{row_, 2, 2, most, CAIRN_SCALAR_F32},
                                   cairn_matrix{row_, most, 2, 0, CAIRN_SCALAR_F16},
                                   cairn_matrix{row_, 2, 2, 6, CAIRN_SCALAR_F32}}) {
    EXPECT_EQ(cairn_search_batch_with(index_, &rows, nullptr, matches_, 4, &count_),
              kInvalidArgument);
  }
}

TEST(CNumbers, AreThoseOfTheCxxInterface) {
  const auto number = [](auto value) { return static_cast<int>(value); };
  const std::pair<int, const char*> errors[] = {
      {CAIRN_ERROR_INVALID_ARGUMENT, "invalid_argument"},
      {CAIRN_ERROR_DIMENSION_MISMATCH, "dimension_mismatch"},
      {CAIRN_ERROR_NOT_FINITE, "not_finite"},
      {CAIRN_ERROR_KEY_EXISTS, "key_exists"},
      {CAIRN_ERROR_KEY_NOT_FOUND, "key_not_found"},
      {CAIRN_ERROR_UNSUPPORTED, "unsupported"},
      {CAIRN_ERROR_READ_ONLY, "read_only"},
      {CAIRN_ERROR_NOT_EMPTY, "not_empty"},
      {CAIRN_ERROR_IO_ERROR, "io_error"},
      {CAIRN_ERROR_NO_SPACE, "no_space"},
      {CAIRN_ERROR_PATH_EXISTS, "path_exists"},
      {CAIRN_ERROR_PATH_NOT_FOUND, "path_not_found"},
      {CAIRN_ERROR_PATH_IN_USE, "path_in_use"},
      {CAIRN_ERROR_PERMISSION_DENIED, "permission_denied"},
      {CAIRN_ERROR_OUT_OF_MEMORY, "out_of_memory"},
      {CAIRN_ERROR_NOT_A_CAIRN_FILE, "not_a_cairn_file"},
      {CAIRN_ERROR_VERSION_UNSUPPORTED, "version_unsupported"},
      {CAIRN_ERROR_FEATURE_UNSUPPORTED, "feature_unsupported"},
      {CAIRN_ERROR_CORRUPT, "corrupt"},
      {CAIRN_ERROR_TRUNCATED, "truncated"},
      {CAIRN_ERROR_DATA_LOSS, "data_loss"},
      {CAIRN_ERROR_CANCELLED, "cancelled"},
      {CAIRN_ERROR_DEADLINE_EXCEEDED, "deadline_exceeded"},
      {CAIRN_ERROR_POISONED, "poisoned"},
      {CAIRN_ERROR_BUSY, "busy"},
      {CAIRN_ERROR_INTERNAL, "internal"}};
  for (const auto& [code, name] : errors) EXPECT_STREQ(cairn_error_name(code), name);
  EXPECT_EQ(CAIRN_METRIC_COSINE, number(Metric::cosine));
  EXPECT_EQ(CAIRN_METRIC_L2SQ, number(Metric::l2sq));
  EXPECT_EQ(CAIRN_METRIC_INNER_PRODUCT, number(Metric::inner_product));
  EXPECT_EQ(CAIRN_METRIC_HAMMING, number(Metric::hamming));
  EXPECT_EQ(CAIRN_SCALAR_F32, number(Scalar::f32));
  EXPECT_EQ(CAIRN_SCALAR_F16, number(Scalar::f16));
  EXPECT_EQ(CAIRN_SCALAR_BF16, number(Scalar::bf16));
  EXPECT_EQ(CAIRN_SCALAR_I8, number(Scalar::i8));
  EXPECT_EQ(CAIRN_SCALAR_B1, number(Scalar::b1));
  EXPECT_EQ(CAIRN_TRAVERSAL_AUTOMATIC, number(Traversal::automatic));
  EXPECT_EQ(CAIRN_TRAVERSAL_CODE, number(Traversal::code));
  EXPECT_EQ(CAIRN_TRAVERSAL_EXACT, number(Traversal::exact));
  EXPECT_EQ(CAIRN_READ_ONLY, number(Mode::read_only));
  EXPECT_EQ(CAIRN_READ_WRITE, number(Mode::read_write));
  EXPECT_EQ(CAIRN_RESIDENCY_MAP, number(Residency::map));
  EXPECT_EQ(CAIRN_RESIDENCY_LOAD, number(Residency::load));
  EXPECT_EQ(CAIRN_VERIFY_METADATA, number(Verify::metadata));
  EXPECT_EQ(CAIRN_VERIFY_FULL, number(Verify::full));
  EXPECT_EQ(CAIRN_CHECK_NONE, number(Check::none));
  EXPECT_EQ(CAIRN_CHECK_ON_FIRST_USE, number(Check::on_first_use));
  EXPECT_EQ(CAIRN_DURABILITY_SYNC, number(Durability::sync));
  EXPECT_EQ(CAIRN_DURABILITY_GROUP, number(Durability::group));
  EXPECT_EQ(CAIRN_DURABILITY_NONE, number(Durability::none));
  EXPECT_EQ(CAIRN_EXISTING_REPLACE, number(Existing::replace));
  EXPECT_EQ(CAIRN_EXISTING_REFUSE, number(Existing::refuse));
  EXPECT_EQ(CAIRN_SOURCE_AUTOMATIC, number(Source::automatic));
  EXPECT_EQ(CAIRN_SOURCE_HNSW_RS, number(Source::hnsw_rs));
  EXPECT_EQ(CAIRN_SOURCE_HNSWLIB, number(Source::hnswlib));
  EXPECT_EQ(CAIRN_SOURCE_USEARCH, number(Source::usearch));
  EXPECT_EQ(CAIRN_SOURCE_FAISS, number(Source::faiss));
}

}  // namespace
}  // namespace cairn
