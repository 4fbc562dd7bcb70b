// How does file I/O that may block run without blocking the event loop?
#include "fdset.h"

bool io_pool_init(napi_env env, napi_value exports) {
  (void)env;
  (void)exports;
  return true;
}
