// SPDX-License-Identifier: Apache-2.0
#include "tools/files/hdf5_file.h"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "tools/files/packed_rows.h"

namespace cairn::tools {
namespace {

constexpr std::uint64_t kBlockBytes = std::uint64_t{1} << 22;
// More than deflate, or any filter that comes with the library, makes of one byte.
constexpr std::uint64_t kMostFromAByte = 1100;

// An identifier of the library, closed at the end.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) (void)close_(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }

 private:
  hid_t id_;
  Close close_;
};

// The library neither prints nor loads code that a file names.
void quieten() {
  (void)H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  (void)H5PLset_loading_state(0);
}

hid_t open_hdf5(const std::string& path) {
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
#if H5_VERSION_GE(1, 10, 7)
  (void)H5Pset_file_locking(access.get(), false, true);
#endif
  return H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get());
}

// A data set of two dimensions whose numbers stand in this file.
class Table {
 public:
  static Result<Table> open(const Handle& file, const std::string& name, std::uint64_t file_bytes);

  std::uint64_t rows() const { return rows_; }
  std::uint64_t columns() const { return columns_; }
  hid_t type() const { return type_->get(); }

  // Rows from `first` on, as `memory_type`; false if the library cannot.
  bool read(std::uint64_t first, std::uint64_t count, hid_t memory_type, void* out) const;

 private:
  std::unique_ptr<Handle> set_, type_, space_;
  std::uint64_t rows_ = 0;
  std::uint64_t columns_ = 0;
};

// A filter that the numbers went through and that the library has not got, by its name; "" if none.
std::string missing_filter(hid_t made) {
  for (int i = 0; i < H5Pget_nfilters(made); ++i) {
    std::array<char, 64> name = {};
    unsigned flags = 0;
    std::size_t values = 0;
    const H5Z_filter_t filter = H5Pget_filter2(made, static_cast<unsigned>(i), &flags, &values,
                                               nullptr, name.size() - 1, name.data(), nullptr);
    if (filter >= 0 && H5Zfilter_avail(filter) <= 0) {
      const std::string number = std::to_string(filter);
      return name.front() == '\0' ? number : std::string(name.data()) + " (" + number + ")";
    }
  }
  return "";
}

Result<Table> Table::open(const Handle& file, const std::string& name, std::uint64_t file_bytes) {
  const auto bad = [&](const std::string& what) { return malformed("'" + name + "' " + what); };
  if (H5Lexists(file.get(), name.c_str(), H5P_DEFAULT) <= 0) {
    return malformed("there is no data set '" + name + "'");
  }
  H5L_info_t link;
  if (H5Lget_info(file.get(), name.c_str(), &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
    return bad("is a link to elsewhere");
  Table table;
  table.set_ = std::make_unique<Handle>(H5Dopen2(file.get(), name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!*table.set_) return bad("is no data set");
  const hid_t set = table.set_->get();
  const Handle made(H5Dget_create_plist(set), H5Pclose);
  const H5D_layout_t layout = H5Pget_layout(made.get());
  if (layout == H5D_VIRTUAL || H5Pget_external_count(made.get()) != 0)
    return bad("has its numbers in other files");
  if (const std::string filter = missing_filter(made.get()); !filter.empty()) {
    return bad("is packed by the filter " + filter +
               ", which libhdf5 has not got: write it with gzip, or as .npy");
  }
  table.type_ = std::make_unique<Handle>(H5Dget_type(set), H5Tclose);
  table.space_ = std::make_unique<Handle>(H5Dget_space(set), H5Sclose);
  const int dimensions = H5Sget_simple_extent_ndims(table.space_->get());
  if (dimensions != 2) {
    return bad("has " + std::to_string(std::max(dimensions, 0)) +
               " dimensions, not 2 (rows, components)");
  }
  std::array<hsize_t, 2> shape = {};
  if (H5Sget_simple_extent_dims(table.space_->get(), shape.data(), nullptr) != 2)
    return bad("has no shape");
  table.rows_ = shape[0];
  table.columns_ = shape[1];
  if (table.columns_ < 1 || table.columns_ > kMaxDims) {
    return bad("has " + std::to_string(table.columns_) + " components a row, not 1 ... 65535");
  }
  const std::uint64_t row_bytes =
      table.columns_ * std::max<std::size_t>(H5Tget_size(table.type()), 1);
  const bool packed = layout == H5D_CONTIGUOUS || layout == H5D_COMPACT;
  const std::uint64_t most = packed ? file_bytes : file_bytes * kMostFromAByte;
  if (table.rows_ > most / row_bytes) {
    return bad("says " + shape_text(table.rows_, table.columns_) + ", more than a file of " +
               std::to_string(file_bytes) + " bytes can hold");
  }
  if (packed && H5Dget_storage_size(set) != table.rows_ * row_bytes) {
    return bad("says " + shape_text(table.rows_, table.columns_) + ", but has " +
               std::to_string(H5Dget_storage_size(set)) + " bytes");
  }
  return table;
}

bool Table::read(std::uint64_t first, std::uint64_t count, hid_t memory_type, void* out) const {
  const std::array<hsize_t, 2> begin = {first, 0};
  const std::array<hsize_t, 2> extent = {count, columns_};
  const Handle memory(H5Screate_simple(2, extent.data(), nullptr), H5Sclose);
  const Handle part(H5Scopy(space_->get()), H5Sclose);
  return memory && part &&
         H5Sselect_hyperslab(part.get(), H5S_SELECT_SET, begin.data(), nullptr, extent.data(),
                             nullptr) >= 0 &&
         H5Dread(set_->get(), memory_type, memory.get(), part.get(), H5P_DEFAULT, out) >= 0;
}

// As what numbers of a type are read: a kind that has all of them.
struct ReadAs {
  ElementKind kind;
  hid_t type;  // of the library, never closed
};

std::optional<ReadAs> integers(std::size_t bytes, bool is_signed) {
  switch (bytes) {
    case 1:
      return is_signed ? ReadAs{ElementKind::i8, H5T_NATIVE_INT8}
                       : ReadAs{ElementKind::u8, H5T_NATIVE_UINT8};
    case 2:
      return is_signed ? ReadAs{ElementKind::i16, H5T_NATIVE_INT16}
                       : ReadAs{ElementKind::u16, H5T_NATIVE_UINT16};
    case 4:
      return is_signed ? ReadAs{ElementKind::i32, H5T_NATIVE_INT32}
                       : ReadAs{ElementKind::u32, H5T_NATIVE_UINT32};
    case 8:
      return is_signed ? ReadAs{ElementKind::i64, H5T_NATIVE_INT64}
                       : ReadAs{ElementKind::u64, H5T_NATIVE_UINT64};
    default: return {};
  }
}

// Booleans are read as what they are in the file, since an enumeration is converted to no number:
// the type is then none of the library's.
std::optional<ReadAs> read_as(hid_t type) {
  const std::size_t bytes = H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_FLOAT:
      if (bytes == 2 || bytes == 4) return ReadAs{ElementKind::f32, H5T_NATIVE_FLOAT};
      if (bytes == 8) return ReadAs{ElementKind::f64, H5T_NATIVE_DOUBLE};
      return {};
    case H5T_INTEGER: return integers(bytes, H5Tget_sign(type) == H5T_SGN_2);
    case H5T_ENUM:
      if (bytes == 1) return ReadAs{ElementKind::boolean, type};
      return {};
    default: return {};
  }
}

// A string attribute of the root, or "".
std::string text_attribute(const Handle& file, const char* name) {
  if (H5Aexists(file.get(), name) <= 0) return "";
  const Handle attribute(H5Aopen(file.get(), name, H5P_DEFAULT), H5Aclose);
  const Handle type(attribute ? H5Aget_type(attribute.get()) : -1, H5Tclose);
  const Handle space(attribute ? H5Aget_space(attribute.get()) : -1, H5Sclose);
  if (!type || !space || H5Tget_class(type.get()) != H5T_STRING ||
      H5Sget_simple_extent_npoints(space.get()) != 1) {
    return "";
  }
  if (H5Tis_variable_str(type.get()) <= 0) {
    constexpr std::size_t kLongest = 256;
    const std::size_t bytes = H5Tget_size(type.get());
    std::string text(std::min(bytes, kLongest), '\0');
    if (bytes > kLongest || H5Aread(attribute.get(), type.get(), text.data()) < 0) return "";
    text.resize(std::min(text.find('\0'), text.size()));
    return text;
  }
  char* bytes = nullptr;
  if (H5Aread(attribute.get(), type.get(), static_cast<void*>(&bytes)) < 0 || bytes == nullptr)
    return "";
  std::string text = bytes;
  (void)H5free_memory(bytes);
  return text;
}

Result<std::optional<Metric>> metric_of(const Handle& file) {
  const std::string distance = text_attribute(file, "distance");
  std::optional<Metric> metric;
  if (distance == "euclidean") metric = Metric::l2sq;
  if (distance == "angular") metric = Metric::cosine;
  if (distance == "hamming") metric = Metric::hamming;
  if (distance == "jaccard") {
    return Error(ErrorCode::unsupported, "its distance is jaccard, which an index does not have");
  }
  return metric;
}

// The size, after what can be told without the library.
Result<std::uint64_t> size_of_file(const std::string& path) {
  quieten();
  auto opened = open_regular_file(path);
  if (!opened) return opened.error();
  if (opened->size == 0) return malformed("the file is empty");
  return opened->size;
}

Error no_hdf5() { return malformed("not an HDF5 file, or a damaged one"); }

Error unread(const std::string& name, std::uint64_t first, std::uint64_t count) {
  return malformed("'" + name + "': rows " + std::to_string(first) + " to " +
                   std::to_string(first + count - 1) + " cannot be read");
}

std::uint64_t block_rows(const Table& table) {
  return std::max<std::uint64_t>(1, kBlockBytes / (table.columns() * sizeof(double)));
}

}  // namespace

Result<VectorFile> read_hdf5(const std::string& path, const std::string& dataset) {
  const auto size = size_of_file(path);
  if (!size) return size.error();
  const Handle file(open_hdf5(path), H5Fclose);
  if (!file) return no_hdf5();
  const auto metric = metric_of(file);
  if (!metric) return metric.error();
  const auto table = Table::open(file, dataset, *size);
  if (!table) return table.error();
  const auto as = read_as(table->type());
  if (!as) return malformed("'" + dataset + "' has neither floats, integers nor booleans");
  auto rows = allocate_rows(table->rows(), table->columns());
  if (!rows) return rows;
  rows->metric = *metric;
  const std::uint64_t dims = table->columns();
  std::vector<std::byte> block(std::min(block_rows(*table), table->rows()) * dims *
                               element_bytes(as->kind));
  for (std::uint64_t first = 0; first < table->rows(); first += block_rows(*table)) {
    const std::uint64_t count = std::min(block_rows(*table), table->rows() - first);
    if (!table->read(first, count, as->type, block.data())) return unread(dataset, first, count);
    const auto out = std::span(rows->values).subspan(first * dims, count * dims);
    if (const auto misfit = to_f32({as->kind, false}, block, out)) {
      return misfit_error(*misfit, first + misfit->index / dims, misfit->index % dims)
          .with_context("'" + dataset + "'");
    }
  }
  return rows;
}

Result<TruthFile> read_hdf5_truth(const std::string& path) {
  const std::string name = "neighbors";
  const auto size = size_of_file(path);
  if (!size) return size.error();
  const Handle file(open_hdf5(path), H5Fclose);
  if (!file) return no_hdf5();
  const auto table = Table::open(file, name, *size);
  if (!table) return table.error();
  if (H5Tget_class(table->type()) != H5T_INTEGER)
    return malformed("'" + name + "' has no integers");
  TruthFile truth;
  truth.rows = table->rows();
  truth.columns = table->columns();
  truth.ids.resize(truth.rows * truth.columns);
  std::vector<std::int64_t> block;
  for (std::uint64_t first = 0; first < table->rows(); first += block_rows(*table)) {
    const std::uint64_t count = std::min(block_rows(*table), table->rows() - first);
    block.resize(count * truth.columns);
    if (!table->read(first, count, H5T_NATIVE_INT64, block.data()))
      return unread(name, first, count);
    for (std::size_t i = 0; i < block.size(); ++i) {
      if (block[i] < 0 || block[i] > std::int64_t{std::numeric_limits<std::uint32_t>::max()}) {
        return malformed("'" + name + "': row " + std::to_string(first + i / truth.columns) + ": " +
                         std::to_string(block[i]) + " is no row number");
      }
      truth.ids[first * truth.columns + i] = static_cast<std::uint32_t>(block[i]);
    }
  }
  return truth;
}

}  // namespace cairn::tools
