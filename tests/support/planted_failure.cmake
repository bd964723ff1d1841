# Runs PROGRAM with one output element of every kernel run made wrong: it must fail, and say where.
foreach(filter Norm.RmsNorm* Elementwise.ConvertM* CausalConv1d.* SelectiveScan.* SsdScan.Small*)
  execute_process(COMMAND ${CMAKE_COMMAND} -E env QUAMBA2_PLANT_FAILURE=1 ${PROGRAM} --gtest_filter=${filter}
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 1 OR NOT output MATCHES "beyond their bound; worst at row")
    message(FATAL_ERROR "${filter}: a planted wrong kernel was not found (exit status ${result})")
  endif()
endforeach()
