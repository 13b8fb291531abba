# cmake -DNM=nm -P kernel_symbols.cmake -- OBJECT...: each object may define one symbol that others see, its table.
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE 5 ${last})
  execute_process(COMMAND ${NM} --defined-only --extern-only --demangle ${CMAKE_ARGV${i}} OUTPUT_VARIABLE symbols
                  COMMAND_ERROR_IS_FATAL ANY)
  if(NOT symbols MATCHES "^[0-9a-f]+ [DR] doppio::k[A-Za-z0-9]+Avx[0-9]+\n$")
    message(FATAL_ERROR "${CMAKE_ARGV${i}} defines more than its table:\n${symbols}")
  endif()
endforeach()
