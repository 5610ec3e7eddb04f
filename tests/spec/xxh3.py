# SPDX-License-Identifier: Apache-2.0
"""XXH3-64 and XXH3-128 (seed 0, default secret), from the algorithm's public description; xxh3_64 of inputs from 9
bytes, the others of inputs longer than 240 bytes. Works on many inputs of the same length at once: rows of a numpy
array of bytes."""
import numpy as np

P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P64_4, P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")
MASK = (1 << 64) - 1
STRIPE, BLOCK = 64, 1024


def secret_words(offset, count=8):
    return np.frombuffer(SECRET, dtype="<u8", count=count, offset=offset)


def accumulate(acc, stripe, offset):
    data = np.ascontiguousarray(stripe).view("<u8")
    key = data ^ secret_words(offset)
    acc += data[:, [1, 0, 3, 2, 5, 4, 7, 6]]
    acc += (key & np.uint64(0xFFFFFFFF)) * (key >> np.uint64(32))


def scramble(acc):
    acc ^= acc >> np.uint64(47)
    acc ^= secret_words(128)
    acc *= np.uint64(P32_1)


def accumulators(rows):
    length = rows.shape[1]
    if length <= 240:
        raise ValueError("only inputs longer than 240 bytes")
    start = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]
    acc = np.tile(np.array(start, dtype=np.uint64), (rows.shape[0], 1))
    blocks = (length - 1) // BLOCK
    for block in range(blocks):
        for i in range(BLOCK // STRIPE):
            at = block * BLOCK + i * STRIPE
            accumulate(acc, rows[:, at:at + STRIPE], 8 * i)
        scramble(acc)
    for i in range((length - 1 - blocks * BLOCK) // STRIPE):
        at = blocks * BLOCK + i * STRIPE
        accumulate(acc, rows[:, at:at + STRIPE], 8 * i)
    accumulate(acc, rows[:, length - STRIPE:], 121)
    return acc


def merge(acc, offset, start):
    """One row of accumulators -> 64 bits, in Python's own integers."""
    words = [int(word) for word in secret_words(offset)]
    total = start
    for i in range(4):
        product = (int(acc[2 * i]) ^ words[2 * i]) * (int(acc[2 * i + 1]) ^ words[2 * i + 1])
        total += (product & MASK) ^ (product >> 64)
    total &= MASK
    total ^= total >> 37
    total = total * 0x165667919E3779F9 & MASK
    return total ^ (total >> 32)


def xxh3_64_rows(rows):
    """One hash for each row."""
    length = rows.shape[1]
    return [merge(acc, 11, length * P64_1 & MASK) for acc in accumulators(rows)]


def xxh3_128(data):
    """(low, high) of one input."""
    row = np.frombuffer(data, dtype=np.uint8)[None, :]
    acc = accumulators(row)[0]
    return (merge(acc, 11, len(data) * P64_1 & MASK), merge(acc, 117, ~(len(data) * P64_2) & MASK))


def word(data, at):
    return int.from_bytes(data[at:at + 8], "little")


def mix16(data, at, secret_at):
    product = (word(data, at) ^ word(SECRET, secret_at)) * (word(data, at + 8) ^ word(SECRET, secret_at + 8))
    return (product & MASK) ^ (product >> 64)


def avalanche(value):
    value &= MASK
    value ^= value >> 37
    value = value * 0x165667919E3779F9 & MASK
    return value ^ (value >> 32)


def xxh3_64_short(data):
    """Of 9 to 16 bytes."""
    low = word(data, 0) ^ word(SECRET, 24) ^ word(SECRET, 32)
    high = word(data, len(data) - 8) ^ word(SECRET, 40) ^ word(SECRET, 48)
    product = low * high
    swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
    return avalanche(len(data) + swapped + high + (product & MASK ^ product >> 64))


def xxh3_64(data):
    """Of one input."""
    length = len(data)
    if length < 9:
        raise ValueError("only inputs of at least 9 bytes")
    if length <= 16:
        return xxh3_64_short(data)
    if length > 240:
        return xxh3_64_rows(np.frombuffer(data, dtype=np.uint8)[None, :])[0]
    total = length * P64_1
    if length <= 128:
        for i in range((length - 1) // 32 + 1):
            total += mix16(data, 16 * i, 32 * i) + mix16(data, length - 16 * (i + 1), 32 * i + 16)
        return avalanche(total)
    for i in range(8):
        total += mix16(data, 16 * i, 16 * i)
    total = avalanche(total)
    for i in range(8, length // 16):
        total += mix16(data, 16 * i, 16 * (i - 8) + 3)
    return avalanche(total + mix16(data, length - 16, 136 - 17))
