// Which part of libuv does the addon use? The few functions that Node exports and has kept stable since libuv 1.0,
// declared by hand, so that no libuv headers are needed and one binary serves every Node. A handle is opaque: it is
// allocated with uv_handle_size. docs.libuv.org/en/v1.x
#ifndef FDSET_UV_MIN_H
#define FDSET_UV_MIN_H

#include <stddef.h>

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef struct uv_async_s uv_async_t;
typedef struct uv_poll_s uv_poll_t;

// Values of uv_handle_type that are used here; the order of that enum is part of libuv's ABI.
enum { FDSET_UV_ASYNC = 1, FDSET_UV_POLL = 8 };
enum { UV_READABLE = 1, UV_WRITABLE = 2, UV_DISCONNECT = 4 };

typedef void (*uv_close_cb)(uv_handle_t *handle);
typedef void (*uv_async_cb)(uv_async_t *handle);
typedef void (*uv_poll_cb)(uv_poll_t *handle, int status, int events);

size_t uv_handle_size(int type);
void *uv_handle_get_data(const uv_handle_t *handle);
void uv_handle_set_data(uv_handle_t *handle, void *data);
void uv_ref(uv_handle_t *handle);
void uv_unref(uv_handle_t *handle);
void uv_close(uv_handle_t *handle, uv_close_cb callback);
int uv_async_init(uv_loop_t *loop, uv_async_t *handle, uv_async_cb callback);
// The one call here that any thread may make.
int uv_async_send(uv_async_t *handle);
int uv_poll_init(uv_loop_t *loop, uv_poll_t *handle, int fd);
int uv_poll_start(uv_poll_t *handle, int events, uv_poll_cb callback);
int uv_poll_stop(uv_poll_t *handle);

#endif
