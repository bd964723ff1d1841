# Flags of every target of ours.
add_library(quamba2_options INTERFACE)
target_compile_options(quamba2_options INTERFACE -Wall -Wextra -Wshadow -Wno-unused-parameter
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>  # GCC 12 warns falsely about string concatenation (its bug 105329)
  $<$<BOOL:${QUAMBA2_WERROR}>:-Werror>
  # False in inlined std::string and std::vector code too: shown, but no reason to stop.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-error=array-bounds>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-error=stringop-overflow>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-error=stringop-overread>)
if(QUAMBA2_SANITIZE)
  target_compile_options(quamba2_options INTERFACE -fsanitize=${QUAMBA2_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(quamba2_options INTERFACE -fsanitize=${QUAMBA2_SANITIZE})
endif()
