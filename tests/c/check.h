/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_C_CHECK_H
#define TESTS_C_CHECK_H

#include <cairn/c.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program with 1 and a story if it is not so. */
#define CHECK(condition)                                                                       \
  do {                                                                                         \
    if (!(condition)) {                                                                        \
      fprintf(stderr, "%s:%d: %s is not so; last error: %s\n", __FILE__, __LINE__, #condition, \
              cairn_last_error());                                                             \
      exit(1);                                                                                 \
    }                                                                                          \
  } while (0)

#endif
