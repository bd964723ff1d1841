# Sources of one kind of processor are named so: cpu_features_${QUAMBA2_PROCESSOR}.cc.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  set(QUAMBA2_PROCESSOR x86_64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(QUAMBA2_PROCESSOR aarch64)
else()
  set(QUAMBA2_PROCESSOR other)
endif()
