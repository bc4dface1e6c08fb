# Cross-compiling to WebAssembly with the emcc that tools/toolchain finds: $EMSDK, one on PATH, or its own.
# CMake reads this file again for every compiler check, hence the cached results.
if(NOT EXISTS "${GOSSAMER_EMCC}")
  execute_process(
    COMMAND python3 ${CMAKE_CURRENT_LIST_DIR}/../tools/toolchain --print emcc
    OUTPUT_VARIABLE emcc OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "No WebAssembly compiler, see above.")
  endif()
  set(GOSSAMER_EMCC ${emcc} CACHE FILEPATH "The WebAssembly compiler" FORCE)

  # Tests run in node. Node before version 21 has relaxed SIMD behind a flag that later ones do not know, and its quick
  # compiler of then, Liftoff, computes the dot product of bytes wrong.
  find_program(GOSSAMER_NODE NAMES node nodejs REQUIRED)
  set(relaxed --experimental-wasm-relaxed-simd --no-liftoff)
  execute_process(COMMAND ${GOSSAMER_NODE} ${relaxed} -e 0 RESULT_VARIABLE unknown OUTPUT_QUIET ERROR_QUIET)
  if(unknown)
    unset(relaxed)
  endif()
  set(CMAKE_CROSSCOMPILING_EMULATOR ${GOSSAMER_NODE} ${relaxed} CACHE STRING "Runs what is built")
endif()
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES GOSSAMER_EMCC CMAKE_CROSSCOMPILING_EMULATOR)

get_filename_component(emscripten ${GOSSAMER_EMCC} DIRECTORY)
include(${emscripten}/cmake/Modules/Platform/Emscripten.cmake)
