// What does fdset.node consist of? Each part is one C file with one init function, called here for every environment
// (the main thread and each worker that loads the addon).
//
// A new part adds its source file, its init function and, where it keeps state, its slot to fdset.h, and one call to
// init_parts.
#include "fdset.h"

#include <stdlib.h>

struct part_slot {
  void *state;
  part_destroy destroy;
};

struct instance {
  struct part_slot parts[PART_COUNT];
};

static struct instance *instance_of(napi_env env) {
  void *data = NULL;
  if (napi_get_instance_data(env, &data) != napi_ok) return NULL;
  return data;
}

void *part_state(napi_env env, enum part part) {
  struct instance *instance = instance_of(env);
  return instance == NULL ? NULL : instance->parts[part].state;
}

void set_part_state(napi_env env, enum part part, void *state, part_destroy destroy) {
  struct instance *instance = instance_of(env);
  if (instance == NULL) return;
  instance->parts[part] = (struct part_slot){.state = state, .destroy = destroy};
}

static void destroy_instance(napi_env env, void *data, void *hint) {
  (void)hint;
  struct instance *instance = data;
  for (int part = PART_COUNT - 1; part >= 0; part--) {
    struct part_slot *slot = &instance->parts[part];
    if (slot->destroy != NULL) slot->destroy(env, slot->state);
  }
  free(instance);
}

static bool init_parts(napi_env env, napi_value exports) {
  return fd_ops_init(env, exports) && io_pool_init(env, exports) && unix_diag_init(env, exports) &&
         inline_io_init(env, exports) && file_facts_init(env, exports) && fd_socket_init(env, exports) &&
         sandbox_init(env, exports) && terminal_init(env, exports);
}

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
  struct instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL) return throw_error(env, "out of memory");
  if (napi_set_instance_data(env, instance, destroy_instance, NULL) != napi_ok) {
    free(instance);
    return throw_error(env, "cannot set the instance data");
  }
  // A part that fails leaves its exception pending; what was set up so far goes with the environment.
  return init_parts(env, exports) ? exports : NULL;
}

// --- helpers of every part, declared in fdset.h ---

napi_value throw_error(napi_env env, const char *message) {
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending) napi_throw_error(env, NULL, message);
  return NULL;
}

napi_value throw_type_error(napi_env env, const char *message) {
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending) napi_throw_type_error(env, NULL, message);
  return NULL;
}

bool take_args(napi_env env, napi_callback_info info, size_t count, napi_value *args) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, args, NULL, NULL) == napi_ok && given >= count) return true;
  throw_type_error(env, "too few arguments");
  return false;
}

bool arg_int(napi_env env, napi_value value, int *out) {
  double number = 0;
  // Written so that NaN fails too.
  if (napi_get_value_double(env, value, &number) == napi_ok && number >= INT32_MIN && number <= INT32_MAX) {
    *out = (int)number;
    if ((double)*out == number) return true;
  }
  throw_type_error(env, "expected a 32-bit integer");
  return false;
}

bool arg_fd(napi_env env, napi_value value, int *out) {
  if (!arg_int(env, value, out)) return false;
  if (*out >= 0) return true;
  throw_type_error(env, "expected a file descriptor");
  return false;
}

bool arg_offset(napi_env env, napi_value value, int64_t *out) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) == napi_ok && number >= 0 && number <= MAX_SAFE_INTEGER) {
    *out = (int64_t)number;
    if ((double)*out == number) return true;
  }
  throw_type_error(env, "expected an integer from 0 to 2^53 - 1");
  return false;
}

bool arg_bool(napi_env env, napi_value value, bool *out) {
  if (napi_get_value_bool(env, value, out) == napi_ok) return true;
  throw_type_error(env, "expected a boolean");
  return false;
}

bool arg_bytes(napi_env env, napi_value value, uint8_t **data, size_t *length) {
  bool is_view = false;
  napi_typedarray_type type;
  void *start = NULL;
  if (napi_is_typedarray(env, value, &is_view) == napi_ok && is_view &&
      napi_get_typedarray_info(env, value, &type, length, &start, NULL, NULL) == napi_ok && type == napi_uint8_array) {
    *data = start;
    return true;
  }
  throw_type_error(env, "expected a Uint8Array");
  return false;
}

char *arg_string(napi_env env, napi_value value, size_t *length) {
  size_t size = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &size) != napi_ok) {
    throw_type_error(env, "expected a string");
    return NULL;
  }
  char *text = malloc(size + 1);
  if (text == NULL) {
    throw_error(env, "out of memory");
    return NULL;
  }
  if (napi_get_value_string_utf8(env, value, text, size + 1, &size) != napi_ok) {
    free(text);
    throw_type_error(env, "expected a string");
    return NULL;
  }
  if (length != NULL) *length = size;
  return text;
}

napi_value number_result(napi_env env, double number) {
  napi_value result = NULL;
  napi_create_double(env, number, &result);
  return result;
}

napi_value int_result(napi_env env, int number) {
  napi_value result = NULL;
  napi_create_int32(env, number, &result);
  return result;
}

napi_value syscall_result(napi_env env, int result) { return int_result(env, result < 0 ? -errno : result); }

bool export_functions(napi_env env, napi_value exports, const struct exported_function *functions, size_t count) {
  for (size_t i = 0; i < count; i++) {
    napi_value function = NULL;
    if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, functions[i].name, function) != napi_ok) {
      throw_error(env, "cannot export a function");
      return false;
    }
  }
  return true;
}

bool export_numbers(napi_env env, napi_value exports, const char *name, const struct exported_number *numbers,
                    size_t count) {
  napi_value object = NULL;
  bool ok = napi_create_object(env, &object) == napi_ok;
  for (size_t i = 0; ok && i < count; i++) {
    napi_value value = NULL;
    ok = napi_create_double(env, numbers[i].value, &value) == napi_ok &&
         napi_set_named_property(env, object, numbers[i].name, value) == napi_ok;
  }
  ok = ok && napi_set_named_property(env, exports, name, object) == napi_ok;
  if (!ok) throw_error(env, "cannot export the constants");
  return ok;
}
