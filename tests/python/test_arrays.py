# SPDX-License-Identifier: Apache-2.0
"""Which arrays are taken, which are copied, and which are refused."""
import array

import numpy as np
import pytest

import cairn
from cairn import _arrays
from conftest import rows


def built(dtype, given, dims=None, metric="cosine", **options):
    index = cairn.Index.create(dims=dims or np.asarray(given).shape[1], dtype=dtype, metric=metric, **options)
    index.build(None, given)
    return index


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64])
def test_keys_of_any_integer_type(kind, vectors):
    index = cairn.Index.create(dims=16)
    index.build(np.arange(100).astype(kind), vectors[:100])
    index.add(kind(101), vectors[101])
    assert kind(101) in index and (index[kind(99)] == vectors[99]).all()


@pytest.mark.parametrize("order", ["<", ">"])
def test_keys_of_either_byte_order_and_of_any_stride(order, vectors):
    index = cairn.Index.create(dims=16)
    index.build(np.arange(200, dtype=order + "i4")[::2], vectors[:100])
    assert 198 in index and 1 not in index


def test_keys_up_to_the_last(vectors):
    last = 2**64 - 1
    for keys in ([1, last], np.array([1, last], np.uint64), (last, 0), np.array([1, last], object)):
        index = cairn.Index.create(dims=16)
        index.build(keys, vectors[:2])
        assert last in index and index.search(vectors[0]).keys.dtype == np.uint64


@pytest.mark.parametrize("keys", [[-1, 2], np.array([3, -1]), [2**64, 1], [-1, 2**64 - 1], np.array([[1, 2]]), [1.0, 2.0], [1, None],
                                  ["1", "2"], np.array([True, False]), np.array([1.5, 2.5])])
def test_other_keys_are_errors(keys, vectors):
    with pytest.raises((ValueError, TypeError)):
        cairn.Index.create(dims=16).build(keys, vectors[:2])


def test_a_negative_key_is_a_value_error_wherever_it_is_given(index, vectors):
    for call in (lambda: index.add(-1, vectors[0]), lambda: index.upsert(-1, vectors[0]), lambda: index.remove(-1),
                 lambda: index[-1], lambda: index.add([-1], vectors[:1]), lambda: index.upsert(np.array([-5]), vectors[:1])):
        with pytest.raises(ValueError, match="negative"):
            call()
    with pytest.raises(TypeError):
        index.remove(1.0)
    with pytest.raises(TypeError):
        index["a"]


def test_generators_and_sets_are_type_errors(vectors):
    index = cairn.Index.create(dims=16)
    for keys, given in (((i for i in range(300)), vectors), (range(300), (row for row in vectors)), ({1, 2}, vectors[:2]),
                        (range(2), {1: 2}), (range(1), 5), (range(1), None)):
        with pytest.raises(TypeError):
            index.build(keys, given)
    with pytest.raises(TypeError):
        index.search(x for x in range(16))


def test_lists_of_numbers():
    assert built("float32", [[1, 2], [3, 4]])[1].tolist() == [3, 4]
    assert built("float32", [[1.5, 2], (3, 4)])[0].tolist() == [1.5, 2]
    assert built("float32", [np.array([1, 2], np.float32)])[0].tolist() == [1, 2]
    assert built("int8", [[1, -128]])[0].tolist() == [1, -128]
    assert built("float16", [[1, 2]])[0].tolist() == [1, 2]
    assert built("bfloat16", [[1, 2]])[0].tolist() == [1, 2]


@pytest.mark.parametrize("given", [[[1, 2], [3]], [["a", "b"]], [[None, 1]], [[1j, 2]], [[[1, 2]]], [1, 2], []])
def test_other_lists_are_errors(given):
    with pytest.raises(ValueError):
        cairn.Index.create(dims=2).build(None, given)


def test_float64_is_refused_not_rounded(index):
    with pytest.raises(ValueError, match=r"float64 and shape \(2, 16\)"):
        index.search(np.zeros((2, 16)))
    with pytest.raises(ValueError, match="float64"):
        index.add(5, np.zeros(16))


@pytest.mark.parametrize("given", [[[np.float64(0.1), 2.0]], [(1, np.float64(0.1))], [[0.5, 1], [1, np.float64(0.1)]],
                                   [np.array([0.1, 2])], [array.array("d", [0.1, 2])], [[np.float64(1e300), 0.0]]])
def test_float64_in_nested_lists_is_refused(given):
    with pytest.raises(ValueError, match="float64"):
        cairn.Index.create(dims=2).build(None, given)


def test_other_numbers_of_numpy_in_nested_lists_are_taken():
    for kind in (np.float32, np.float16, np.int8, np.int64):
        assert built("float32", [[kind(1), kind(2)], [3.0, 4]])[0].tolist() == [1, 2]


def test_numbers_beyond_float32_in_lists_are_refused(index):
    with pytest.raises(ValueError, match="1e[+]300 is beyond float32"):
        cairn.Index.create(dims=2).build(None, [[1.0, 1e300]])
    with pytest.raises(ValueError, match="-1e[+]39 is beyond float32"):
        index.search([-1e39] * 16)


@pytest.mark.parametrize("kind, value", [(np.int64, 2**63 - 1), (np.int64, 2**63 - 2**30), (np.uint64, 2**64 - 1), (np.uint64, 2**63 + 1),
                                         (np.int32, 2**31 - 1), (np.uint32, 2**32 - 1), (np.int32, 2**24 + 1)])
def test_integers_that_float32_does_not_hold_are_refused(kind, value):
    with pytest.raises(ValueError, match=np.dtype(kind).name):
        cairn.Index.create(dims=2, metric="l2sq").build(None, np.array([[value, 0]], kind))


@pytest.mark.parametrize("kind, value", [(np.int64, 2**63 - 1), (np.uint64, 2**64 - 1), (np.int32, 2**31 - 1), (np.uint32, 2**32 - 1)])
def test_whether_integers_are_held_does_not_depend_on_casts_beyond_their_range(kind, value):
    class Saturating(np.ndarray):
        """Casts as AArch64 does: what is beyond the range becomes its end."""

        def astype(self, dtype, **options):
            top = np.iinfo(dtype).max
            return np.array([top if int(one) > top else int(one) for one in self.ravel().tolist()], dtype).reshape(self.shape)

    integers = np.array([[value, 1]], kind)
    assert not _arrays._are_equal(integers.astype(np.float32).view(Saturating), integers)
    assert _arrays._are_equal(np.array([[2.0**30, 1]], np.float32).view(Saturating), np.array([[2**30, 1]], kind))


@pytest.mark.parametrize("kind, value", [(np.int64, -(2**63)), (np.int64, 2**62), (np.uint64, 2**63), (np.int32, 2**24)])
def test_integers_that_float32_holds_are_taken(kind, value):
    assert built("float32", np.array([[value, 0]], kind), metric="l2sq")[0].tolist() == [value, 0]


@pytest.mark.parametrize("given", [np.zeros((2, 2), complex), np.array([["a", "b"]]), np.zeros((2, 2), object), np.zeros((2, 2), "M8[s]"),
                                   np.full((2, 2), 2**40 + 1), np.zeros((2, 2), bool), np.zeros((2, 2, 2), np.float32), np.float32(3)])
def test_other_arrays_are_errors(given):
    with pytest.raises(ValueError):
        cairn.Index.create(dims=2).build(None, given)


def test_integers_that_float32_holds_are_taken():
    for kind in (np.uint8, np.int16, np.int32, np.int64, np.uint64):
        assert built("float32", np.array([[1, 2]], kind))[0].tolist() == [1, 2]
    with pytest.raises(ValueError):
        built("float32", np.array([[2**24 + 1, 1]]))
    with pytest.raises(ValueError):
        built("int8", np.array([[128, 1]]), metric="l2sq")


def test_strided_rows_are_not_copied(vectors):
    wide = np.zeros((100, 40), np.float32)
    wide[:, 3:19] = vectors[:100]
    for view in (vectors[::2], vectors[5:90], wide[:, 3:19], wide[::3, 3:19]):
        fit = _arrays.vectors(view, "f32", 16, "x")
        assert fit is view
        index = built("float32", view)
        assert (index[7] == view[7]).all() and index.search(view, k=1).keys[:, 0].tolist() == list(range(len(view)))


def test_rows_that_overlap_are_taken(vectors):
    windows = np.lib.stride_tricks.sliding_window_view(vectors[:3].ravel(), 16)
    everyone = built("float32", vectors)
    for view in (np.broadcast_to(vectors[0], (5, 16)), np.broadcast_to(vectors[:1], (1, 16)), windows, windows[::3]):
        index = built("float32", view)
        assert (index[len(view) - 1] == view[-1]).all()
        assert (everyone.search(view, k=1).keys == everyone.search(view.copy(), k=1).keys).all()
        assert everyone.measure_recall(view, k=1).queries == len(view)


def test_other_orders_are_copied(vectors):
    for view in (np.asfortranarray(vectors), vectors[::-1], vectors[:, ::-1], vectors.astype(">f4"), np.repeat(vectors, 2, 1)[:, ::2]):
        index = built("float32", view)
        assert (index[3] == view[3]).all()
        assert index.search(view[3], k=1).pairs() == [(3, 0.0)]
        assert index.search(view[:4], k=1).keys[:, 0].tolist() == [0, 1, 2, 3]


def test_read_only_arrays_are_taken(vectors):
    vectors.setflags(write=False)
    index = built("float32", vectors)
    assert index.search(vectors[2], k=1).keys.tolist() == [2]


def test_float16_is_kept():
    given = rows(50, 8).astype(np.float16)
    index = built("float16", given)
    assert index[3].dtype == np.float16 and (index[3] == given[3]).all()
    assert index.search(given[3], k=1).keys.tolist() == index.search(given[3].astype(np.float32), k=1).keys.tolist() == [3]
    assert index.search(given[:5], k=1).keys[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert built("float32", given)[3].dtype == np.float32


def test_bfloat16_is_bit_patterns_or_ml_dtypes():
    exact = np.array([[1, 2, 3], [-4, 0.5, 8]], np.float32)
    patterns = (exact.view(np.uint32) >> 16).astype(np.uint16)
    index = built("bfloat16", patterns)
    assert (index[1] == exact[1]).all() and index.search(exact[1], k=1).keys.tolist() == [1]
    assert index.search(patterns[:1], k=1).keys.tolist() == [[0]]
    ml_dtypes = pytest.importorskip("ml_dtypes")
    typed = exact.astype(ml_dtypes.bfloat16)
    assert (built("bfloat16", typed)[0] == exact[0]).all()
    assert (built(ml_dtypes.bfloat16, typed)[0] == exact[0]).all()
    assert (built("float32", typed)[0] == exact[0]).all()


def test_int8_is_kept():
    given = np.random.default_rng(2).integers(-128, 128, (60, 12), dtype=np.int8)
    index = built("int8", given, metric="l2sq")
    assert index[5].dtype == np.int8 and (index[5] == given[5]).all()
    assert index.search(given, k=1).keys[:, 0].tolist() == list(range(60))
    with pytest.raises(ValueError, match="float32"):
        index.search(np.zeros(12, np.float32))


@pytest.mark.parametrize("dims", [16, 13])
def test_bits_are_packed_or_truths(dims):
    truths = np.random.default_rng(3).random((40, dims)) < 0.5
    packed = np.packbits(truths, axis=1, bitorder="little")
    for given in (truths, packed):
        index = built("b1", given, dims=dims, metric="hamming")
        assert (index[4] == packed[4]).all()
        assert dict(index.search(truths[4]).pairs())[4] == 0
        other = int((truths[4] != truths[5]).sum())
        assert dict(index.search(packed[4], k=40, ef=40).pairs())[5] == other
        index[4] = index[5]
        assert (index[4] == packed[5]).all()


def test_bits_of_another_length_are_errors():
    index = cairn.Index.create(dims=13, dtype="b1", metric="hamming")
    for given in (np.zeros((1, 3), np.uint8), np.zeros((1, 1), np.uint8), np.zeros((1, 12), bool), np.full((1, 2), 255, np.uint8)):
        with pytest.raises(ValueError):
            index.build(None, given)


class OnlyDlpack:
    def __init__(self, inner):
        self.inner = inner

    def __dlpack__(self, **options):
        return self.inner.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.inner.__dlpack_device__()


def test_dlpack_and_the_buffer_protocol(vectors):
    index = built("float32", OnlyDlpack(vectors), dims=16)
    assert index.search(OnlyDlpack(vectors[5]), k=1).keys.tolist() == [5]
    assert index.search(memoryview(vectors[6]), k=1).keys.tolist() == [6]
    assert index.search(array.array("f", vectors[7].tolist()), k=1).keys.tolist() == [7]


def test_arrow_columns(vectors):
    arrow = pytest.importorskip("pyarrow")
    column = arrow.FixedSizeListArray.from_arrays(arrow.array(vectors.ravel()), 16)
    index = built("float32", column.flatten().to_numpy().reshape(-1, 16))
    assert index.search(vectors[5], k=1).keys.tolist() == [5]


def test_subclasses_are_arrays(vectors):
    class Mine(np.ndarray):
        pass

    index = built("float32", vectors.view(Mine))
    assert index.search(vectors[3].view(Mine), k=1).keys.tolist() == [3]


def test_masked_elements_are_refused(index, vectors):
    masked = np.ma.array(vectors[:3], mask=False)
    assert index.search(masked, k=1).keys[:, 0].tolist() == index.search(vectors[:3], k=1).keys[:, 0].tolist()
    masked[1, 2] = np.ma.masked
    for call in (
        lambda: index.search(masked),
        lambda: index.search(masked[1]),
        lambda: index.search_range(masked[1], 1.0),
        lambda: index.upsert(1, masked[1]),
        lambda: built("float32", masked),
        lambda: index.filter(only=np.ma.array([1, 2], mask=[0, 1])),
        lambda: index.filter(bits=np.ma.array([True, False], mask=[1, 0])),
    ):
        with pytest.raises(cairn.InvalidArgumentError, match="masked"):
            call()


def test_no_bits_are_a_filter_that_nothing_passes(index):
    for bits in ([], (), np.empty(0, bool), np.empty(0, np.uint64)):
        assert index.filter(bits=bits).count == 0


def test_dtypes_by_many_names():
    for name, kind in (("float32", "f32"), (np.float32, "f32"), (np.dtype("f2"), "f16"), ("f16", "f16"), ("bfloat16", "bf16"),
                       (np.int8, "i8"), ("int8", "i8")):
        assert cairn.Index.create(dims=4, dtype=name).dtype == kind
    for name in ("float64", np.float64, "x", np.uint8):
        with pytest.raises(ValueError):
            cairn.Index.create(dims=4, dtype=name)


def test_the_quickest_way_takes_plain_arrays_only(index, vectors):
    quick = index._core.search_quick
    assert quick(vectors[7], 3, 64).pairs() == index.search(vectors[7:8], k=3)[0].pairs()
    unaligned = np.frombuffer(b"." + vectors[7].tobytes(), np.uint8)[1:].view(np.float32)
    for other in (vectors[:1], vectors[7].tolist(), vectors.T[0], vectors[7][::-1], vectors[7].astype(">f4"), unaligned,
                  vectors[7].astype(np.float16), vectors[7].view(np.recarray), None):
        assert quick(other, 3, 64) is None
    assert quick(vectors[7], 1025, 64) is None
    for same in (vectors[7].astype(">f4"), unaligned, vectors[7].view(np.recarray), np.repeat(vectors[7], 2)[::2]):
        assert index.search(same, k=3).pairs() == index.search(vectors[7], k=3).pairs()
    assert built("int8", [[1, 2]], metric="l2sq")._core.search_quick(np.ones(2, np.float32), 1, 1) is None
    half = built("float16", [[1, 2]])
    assert half._core.search_quick(np.ones(2, np.float32), 5, 5).counts == 1


def test_columns_of_pandas_are_taken(vectors):
    column = np.empty(300, object)
    column[:] = list(vectors)
    index = built("float32", column, 16)
    assert (index[7] == vectors[7]).all()
    column[:] = vectors.tolist()
    assert (built("float32", column, 16)[7] == vectors[7]).all()
    column[5] = vectors[5][:3]
    with pytest.raises(ValueError, match="different lengths"):
        built("float32", column, 16)


def test_lists_of_float64_arrays_are_refused_too():
    with pytest.raises(ValueError, match="float64"):
        built("float32", [np.zeros(3), np.ones(3)], 3)
