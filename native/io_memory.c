// Memory that JavaScript and the pool's threads share: who frees it? Whoever lets go of it last, by a reference count.
//
// An ordinary ArrayBuffer goes when its environment goes, whatever a thread is doing with it. One of allocateIoBuffer
// only borrows its memory. It carries a type tag, by which it is known again when it comes back as an argument.
#include "fdset.h"
#include "io_pool.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SIZE ((size_t)4096)

// The head has the page before the bytes. Held by the ArrayBuffer, and by each job on it.
struct io_memory {
  atomic_int references;
};

static const napi_type_tag memory_tag = {0x6664736574696f6d, 0x9d1c4f0e2b7a4c55};

void *io_allocate_pages(size_t size) {
  void *memory = NULL;
  return posix_memalign(&memory, PAGE_SIZE, size) == 0 ? memory : NULL;
}

void io_memory_drop(struct io_memory *memory) {
  if (memory != NULL && atomic_fetch_sub(&memory->references, 1) == 1) free(memory);
}

struct io_memory *io_memory_hold(napi_env env, napi_value array, const uint8_t *data) {
  napi_value buffer = NULL;
  size_t offset = 0;
  bool is_ours = false;
  if (data == NULL || napi_get_typedarray_info(env, array, NULL, NULL, NULL, &buffer, &offset) != napi_ok) return NULL;
  if (napi_check_object_type_tag(env, buffer, &memory_tag, &is_ours) != napi_ok || !is_ours) return NULL;
  struct io_memory *memory = (struct io_memory *)(uintptr_t)(data - offset - PAGE_SIZE);
  atomic_fetch_add(&memory->references, 1);
  return memory;
}

static void release_buffer(napi_env env, void *data, void *memory) {
  (void)env, (void)data;
  io_memory_drop(memory);
}

// allocateIoBuffer(size): ArrayBuffer, zeroed
napi_value io_memory_allocate(napi_env env, napi_callback_info info) {
  napi_value args[1], buffer = NULL;
  int size;
  if (!take_args(env, info, 1, args) || !arg_fd(env, args[0], &size)) return NULL;
  if (size == 0) return throw_type_error(env, "expected a size above 0");
  struct io_memory *memory = io_allocate_pages(PAGE_SIZE + (size_t)size);
  if (memory == NULL) return throw_error(env, "out of memory");
  uint8_t *data = (uint8_t *)memory + PAGE_SIZE;
  memset(data, 0, (size_t)size);
  atomic_init(&memory->references, 1);
  if (napi_create_external_arraybuffer(env, data, (size_t)size, release_buffer, memory, &buffer) != napi_ok) {
    free(memory);
    return throw_error(env, "cannot make an ArrayBuffer of the addon's memory");
  }
  return napi_type_tag_object(env, buffer, &memory_tag) == napi_ok ? buffer : throw_error(env, "cannot tag a buffer");
}
