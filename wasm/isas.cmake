# One module has one instruction set: a browser without relaxed SIMD rejects a module that contains it.
set(GOSSAMER_WASM pyodide CACHE STRING "simd or relaxed (modules for the web), or pyodide (side module)")
set_property(CACHE GOSSAMER_WASM PROPERTY STRINGS simd relaxed pyodide)

if(GOSSAMER_WASM STREQUAL "relaxed")
  goss_isa(wasm_relaxed VECTOR wasm/vector_relaxed.h FLAGS -msimd128 -mrelaxed-simd)
  set(wasm_kernels goss_kernels_wasm_relaxed)
else()
  goss_isa(wasm_simd VECTOR wasm/vector_simd128.h FLAGS -msimd128)
  set(wasm_kernels goss_kernels_wasm_simd)
endif()
set(select wasm/select.c)
set_source_files_properties(${select} PROPERTIES COMPILE_DEFINITIONS GOSS_WASM_KERNELS=${wasm_kernels})
