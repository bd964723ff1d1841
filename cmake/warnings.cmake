# Flags of every target of ours.
add_library(quamba2_options INTERFACE)
set(cxx_warnings -Wall -Wextra -Wshadow -Wno-unused-parameter
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>  # GCC 12 warns falsely about string concatenation (its bug 105329)
  $<$<BOOL:${QUAMBA2_WERROR}>:-Werror>
  # False in inlined std::string and std::vector code too: shown, but no reason to stop.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-error=array-bounds>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-error=stringop-overflow>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-error=stringop-overread>)
target_compile_options(quamba2_options INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:${cxx_warnings}>"
  "$<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${QUAMBA2_WERROR}>>:-Werror=all-warnings>")
if(QUAMBA2_SANITIZE)
  set(cxx_sanitizers -fsanitize=${QUAMBA2_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_compile_options(quamba2_options INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${cxx_sanitizers}>")
  target_link_options(quamba2_options INTERFACE -fsanitize=${QUAMBA2_SANITIZE})
endif()
