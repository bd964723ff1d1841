# Tests of kernels that any back end runs on its own tables; it adds tests/support/under_test_<name>.cc.
set(QUAMBA2_KERNEL_TESTS causal_conv1d_test.cc elementwise_test.cc hadamard_test.cc linear_problem.cc linear_test.cc
  norm_test.cc selective_scan_test.cc ssd_scan_test.cc)
list(TRANSFORM QUAMBA2_KERNEL_TESTS PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
