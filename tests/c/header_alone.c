/* Compiled as C11 and as C++17 with every warning: the header needs nothing included before it. */
#include "gossamer.h"

goss_status (*goss_test_header_is_usable(void))(goss_session *, goss_error *);

goss_status (*goss_test_header_is_usable(void))(goss_session *, goss_error *) { return goss_session_run; }
