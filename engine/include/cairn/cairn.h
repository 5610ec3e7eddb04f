// SPDX-License-Identifier: Apache-2.0
//
// Cairn: an embeddable vector-search engine. An HNSW graph in one checksummed file, searched from
// the memory map.
#pragma once

#include <cairn/convert.h>
#include <cairn/cursor.h>
#include <cairn/error.h>
#include <cairn/filter.h>
#include <cairn/import.h>
#include <cairn/index.h>
#include <cairn/params.h>
#include <cairn/shard_manifest.h>
#include <cairn/shard_set.h>
#include <cairn/types.h>
#include <cairn/version.h>
