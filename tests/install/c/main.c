/* SPDX-License-Identifier: Apache-2.0 */
#include <cairn/c.h>

#include <stdio.h>
#include <string.h>

static int check(int code, const char* what) {
  if (code != 0) fprintf(stderr, "%s: %s\n", what, cairn_last_error());
  return code != 0;
}

int main(void) {
  const float rows[] = {0, 1, 1, 1, 2, 1, 3, 1};
  const uint64_t keys[] = {10, 11, 12, 13};
  const float query[] = {2.2f, 1};
  cairn_params params;
  cairn_index* index = NULL;
  cairn_index* file = NULL;
  cairn_match match;
  size_t count = 0;

  cairn_params_init(&params, sizeof params, 2);
  params.metric = CAIRN_METRIC_L2SQ; /* squared Euclidean distance */
  if (check(cairn_create(&params, &index), "create")) return 1;
  if (check(cairn_build(index, keys, rows, 4, 2, 1), "build")) return 1;
  if (check(cairn_save(index, "four.cairn"), "save")) return 1;
  cairn_close(index);

  if (check(cairn_open("four.cairn", 0, &file), "open")) return 1;
  if (check(cairn_search(file, query, 2, 1, 10, &match, &count), "search")) return 1;
  if (count != 1 || match.key != 12 || cairn_size(file) != 4 || cairn_dimensions(file) != 2)
    return 1;
  cairn_close(file);

  if (cairn_open("absent.cairn", 0, &file) != 23 || file != NULL) return 1;
  return strstr(cairn_last_error(), "absent.cairn") == NULL;
}
