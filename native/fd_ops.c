// What can be done to an fd at once, without waiting? Flags, duplicates, pairs, and the texts of errno.
#include "fdset.h"

#include <string.h>

static napi_value error_text(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int number;
  if (!take_args(env, info, 1, args) || !arg_int(env, args[0], &number)) return NULL;
  napi_value text = NULL;
  napi_create_string_utf8(env, strerror(number), NAPI_AUTO_LENGTH, &text);
  return text;
}

static const struct exported_function functions[] = {
    {"strerror", error_text},
};

bool fd_ops_init(napi_env env, napi_value exports) {
  return export_functions(env, exports, functions, COUNT_OF(functions));
}
