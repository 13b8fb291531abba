# Flags of our own code; generated and imported code does not get them. -Wno-restrict: false alarms of g++ 12 (PR 105329).
add_library(doppio_options INTERFACE)
target_compile_options(
  doppio_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wno-restrict -fno-math-errno -fno-trapping-math>)
if(DOPPIO_WERROR)
  target_compile_options(doppio_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(DOPPIO_SANITIZE)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fsanitize=address,undefined>
                      $<$<COMPILE_LANGUAGE:CXX>:-fno-omit-frame-pointer>)
  add_link_options(-fsanitize=address,undefined)
endif()
