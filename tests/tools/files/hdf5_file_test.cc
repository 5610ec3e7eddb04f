// SPDX-License-Identifier: Apache-2.0
#include "tools/files/hdf5_file.h"

#include <gtest/gtest.h>
#include <hdf5.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tools/files/npy_header.h"

namespace cairn::tools {
namespace {

std::string data(const std::string& name) {
  return (std::filesystem::path(CAIRN_VECTORS_DIR) / name).string();
}

TEST(Hdf5, DoublesOfH5pyAreReadWithTheirMetric) {
  const auto rows = read_hdf5(data("h5-angular-f64.hdf5"), "train");
  ASSERT_TRUE(rows) << rows.error().message();
  const auto wanted = read_vectors(data("h5-angular-f64.train.npy"));
  ASSERT_TRUE(wanted) << wanted.error().message();
  EXPECT_EQ(rows->rows, 100u);
  EXPECT_EQ(rows->dims, 12u);
  EXPECT_EQ(rows->values, wanted->values);
  EXPECT_EQ(rows->metric, Metric::cosine);
}

TEST(Hdf5, BooleansOfH5pyAreZeroAndOne) {
  const auto rows = read_hdf5(data("h5-hamming-bool.hdf5"), "train");
  ASSERT_TRUE(rows) << rows.error().message();
  EXPECT_EQ(rows->values, read_vectors(data("h5-hamming-bool.train.npy"))->values);
  EXPECT_EQ(rows->metric, Metric::hamming);
}

TEST(Hdf5, CompressedQueriesAndNeighboursAreRead) {
  const auto queries = read_queries(data("h5-chunked-gzip.hdf5"), 12);
  ASSERT_TRUE(queries) << queries.error().message();
  EXPECT_EQ(queries->values, read_vectors(data("h5-chunked-gzip.test.npy"))->values);
  EXPECT_EQ(queries->metric, Metric::l2sq);
  const auto truth = read_truth(data("h5-chunked-gzip.hdf5"));
  ASSERT_TRUE(truth) << truth.error().message();
  EXPECT_EQ(truth->ids, read_truth(data("h5-chunked-gzip.neighbors.npy"))->ids);
}

TEST(Hdf5, AFilterThatIsNotThereIsNamed) {
  const auto rows = read_hdf5(data("h5-lzf.hdf5"), "train");
  ASSERT_FALSE(rows);
  EXPECT_NE(rows.error().message().find("filter lzf (32000)"), std::string::npos)
      << rows.error().message();
}

// Files that the library itself writes.
class Hdf5Written : public testing::Test {
 protected:
  void SetUp() override { (void)H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }
  void TearDown() override { std::filesystem::remove(path_); }

  // A file with what `fill` puts into it.
  void write(const std::function<void(hid_t)>& fill) {
    const hid_t file = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    ASSERT_GE(file, 0);
    fill(file);
    ASSERT_GE(H5Fclose(file), 0);
  }
  static void put(hid_t file, const char* name, hid_t file_type, std::vector<hsize_t> shape,
                  hid_t memory_type, const void* values, hid_t made = H5P_DEFAULT) {
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t set = H5Dcreate2(file, name, file_type, space, H5P_DEFAULT, made, H5P_DEFAULT);
    ASSERT_GE(set, 0);
    if (values != nullptr) {
      ASSERT_GE(H5Dwrite(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
    }
    H5Dclose(set);
    H5Sclose(space);
  }
  static void put_distance(hid_t file, const std::string& text) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, text.size());
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute = H5Acreate2(file, "distance", type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, type, text.data());
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
  }
  std::string refusal(ErrorCode code = ErrorCode::invalid_argument) const {
    const auto rows = read_hdf5(path_, "train");
    if (rows) return "was read";
    EXPECT_EQ(rows.error().code(), code);
    return rows.error().message();
  }

  const std::string path_ =
      (std::filesystem::temp_directory_path() / ("cairn-" + std::to_string(::getpid()) + ".hdf5"))
          .string();
  const std::array<double, 6> six_ = {1, 2, 3, 4, 5, 6};
};

TEST_F(Hdf5Written, NumbersOfEachKindAreRead) {
  for (const hid_t type :
       {H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64BE, H5T_STD_I8LE, H5T_STD_U8LE, H5T_STD_I16BE,
        H5T_STD_U16LE, H5T_STD_I32LE, H5T_STD_U32BE, H5T_STD_I64LE, H5T_STD_U64LE}) {
    write([&](hid_t file) { put(file, "train", type, {2, 3}, H5T_NATIVE_DOUBLE, six_.data()); });
    const auto rows = read_hdf5(path_, "train");
    ASSERT_TRUE(rows) << rows.error().message();
    EXPECT_EQ(rows->values, (std::vector<float>{1, 2, 3, 4, 5, 6}));
    EXPECT_FALSE(rows->metric);
  }
}

TEST_F(Hdf5Written, MoreThanOneBlockOfRowsIsRead) {
  std::vector<float> values(700001);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  write([&](hid_t file) {
    put(file, "train", H5T_IEEE_F32LE, {values.size(), 1}, H5T_NATIVE_FLOAT, values.data());
  });
  const auto rows = read_hdf5(path_, "train");
  ASSERT_TRUE(rows) << rows.error().message();
  EXPECT_EQ(rows->values, values);
}

TEST_F(Hdf5Written, NumbersThatF32DoesNotHoldAreRefusedWithTheirPlace) {
  const std::array<double, 6> large = {1, 2, 3, 4, 1e200, 6};
  write([&](hid_t file) {
    put(file, "train", H5T_IEEE_F64LE, {2, 3}, H5T_NATIVE_DOUBLE, large.data());
  });
  EXPECT_EQ(refusal(), "'train': row 1, component 1: 1e+200 is beyond f32");
}

TEST_F(Hdf5Written, WhatIsNoTableOfNumbersIsRefused) {
  write([&](hid_t) {});
  EXPECT_EQ(refusal(), "there is no data set 'train'");
  write(
      [&](hid_t file) { put(file, "train", H5T_IEEE_F32LE, {6}, H5T_NATIVE_DOUBLE, six_.data()); });
  EXPECT_EQ(refusal(), "'train' has 1 dimensions, not 2 (rows, components)");
  write([&](hid_t file) {
    H5Gclose(H5Gcreate2(file, "train", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  });
  EXPECT_EQ(refusal(), "'train' is no data set");
  const hid_t text = H5Tcopy(H5T_C_S1);
  write([&](hid_t file) { put(file, "train", text, {2, 3}, text, nullptr); });
  H5Tclose(text);
  EXPECT_EQ(refusal(), "'train' says 2 rows of 3 dimensions, but has 0 bytes");
}

TEST_F(Hdf5Written, NumbersInOtherFilesAreNotFollowed) {
  write([&](hid_t file) {
    H5Lcreate_external("elsewhere.hdf5", "/train", file, "train", H5P_DEFAULT, H5P_DEFAULT);
  });
  EXPECT_EQ(refusal(), "'train' is a link to elsewhere");
  write([&](hid_t file) {
    const hid_t made = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(made, "elsewhere.raw", 0, 24);
    put(file, "train", H5T_IEEE_F32LE, {2, 3}, H5T_NATIVE_FLOAT, nullptr, made);
    H5Pclose(made);
  });
  EXPECT_EQ(refusal(), "'train' has its numbers in other files");
}

TEST_F(Hdf5Written, MoreRowsThanTheFileCanHoldAreRefusedBeforeAllocation) {
  write([&](hid_t file) {
    const hid_t made = H5Pcreate(H5P_DATASET_CREATE);
    const std::array<hsize_t, 2> chunk = {16, 3};
    H5Pset_chunk(made, 2, chunk.data());
    put(file, "train", H5T_IEEE_F32LE, {hsize_t{1} << 40, 3}, H5T_NATIVE_FLOAT, nullptr, made);
    H5Pclose(made);
  });
  const std::string bytes = std::to_string(std::filesystem::file_size(path_));
  EXPECT_EQ(refusal(), "'train' says 1099511627776 rows of 3 dimensions, more than a file of " +
                           bytes + " bytes can hold");
}

TEST_F(Hdf5Written, NeighboursThatAreNoRowNumbersAreRefused) {
  const std::array<double, 6> negative = {1, 2, 3, 4, -5, 6};
  write([&](hid_t file) {
    put(file, "neighbors", H5T_STD_I32LE, {2, 3}, H5T_NATIVE_DOUBLE, negative.data());
  });
  const auto truth = read_hdf5_truth(path_);
  ASSERT_FALSE(truth);
  EXPECT_EQ(truth.error().message(), "'neighbors': row 1: -5 is no row number");
}

TEST_F(Hdf5Written, JaccardHasNoCounterpart) {
  write([&](hid_t file) {
    put_distance(file, "jaccard");
    put(file, "train", H5T_STD_U8LE, {2, 3}, H5T_NATIVE_DOUBLE, six_.data());
  });
  EXPECT_EQ(refusal(ErrorCode::unsupported),
            "its distance is jaccard, which an index does not have");
}

TEST_F(Hdf5Written, DamagedFilesAreErrors) {
  write([&](hid_t file) {
    put(file, "train", H5T_IEEE_F32LE, {2, 3}, H5T_NATIVE_DOUBLE, six_.data());
  });
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) / 2);
  EXPECT_EQ(refusal(), "not an HDF5 file, or a damaged one");
  std::filesystem::resize_file(path_, 0);
  EXPECT_EQ(refusal(), "the file is empty");
  const auto missing = read_vectors("no/such/file.hdf5");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::path_not_found);
}

}  // namespace
}  // namespace cairn::tools
