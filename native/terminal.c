// Which modes of a terminal does a character device change? Whether its keys send signals: termios(3), ISIG.
#include "fdset.h"

#include <termios.h>

static napi_value set_terminal_signals(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int fd;
  bool on;
  if (!take_args(env, info, 2, args) || !arg_fd(env, args[0], &fd) || !arg_bool(env, args[1], &on)) return NULL;
  struct termios modes;
  int result = tcgetattr(fd, &modes);
  if (result == 0) {
    modes.c_lflag = on ? (modes.c_lflag | ISIG) : (modes.c_lflag & ~(tcflag_t)ISIG);
    result = tcsetattr(fd, TCSANOW, &modes);
  }
  return syscall_result(env, result);
}

static const struct exported_function functions[] = {{"setTerminalSignals", set_terminal_signals}};

bool terminal_init(napi_env env, napi_value exports) {
  return export_functions(env, exports, functions, COUNT_OF(functions));
}
