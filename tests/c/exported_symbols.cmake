# cmake -DNM=... -DLIBRARY=... -DHEADER=... -P exported_symbols.cmake
# What the shared library exports is what gossamer.h declares.
file(STRINGS ${HEADER} declarations REGEX "^GOSS_API")
foreach(declaration IN LISTS declarations)
  string(REGEX MATCH "(goss_[a-z0-9_]+)\\(" ignored "${declaration}")
  list(APPEND declared ${CMAKE_MATCH_1})
endforeach()

execute_process(COMMAND ${NM} -D --defined-only ${LIBRARY} OUTPUT_VARIABLE symbols RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${NM} cannot read ${LIBRARY}")
endif()
string(REGEX MATCHALL "[A-Za-z_][^ \n]*\n" names "${symbols}")
string(REPLACE "\n" "" exported "${names}")

list(SORT declared)
list(SORT exported)
if(NOT declared STREQUAL exported)
  message(FATAL_ERROR "${LIBRARY} exports\n  ${exported}\nand gossamer.h declares\n  ${declared}")
endif()
