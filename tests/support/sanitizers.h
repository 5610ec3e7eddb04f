// SPDX-License-Identifier: Apache-2.0
//
// CAIRN_TEST_SANITIZED: 1 if compiled for the address or the thread sanitizer, which make
// everything many times slower and need address space of their own; else 0.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAIRN_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CAIRN_TEST_SANITIZED 1
#endif
#endif
#ifndef CAIRN_TEST_SANITIZED
#define CAIRN_TEST_SANITIZED 0
#endif
