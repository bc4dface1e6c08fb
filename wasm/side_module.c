/* CMake wants an executable to have a source of its own; everything is in gossamer_core. */
typedef int goss_side_module;
