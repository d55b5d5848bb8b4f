# GTest::gtest and GTest::gtest_main, built here, where EVENT_GOOGLETEST_SOURCE names the sources.
# A build whose flags change the C++ library's containers needs one that is built with them, too.
if(NOT EVENT_GOOGLETEST_SOURCE)
  return()
endif()

set(googletest ${EVENT_GOOGLETEST_SOURCE}/googletest)
add_library(googletest STATIC ${googletest}/src/gtest-all.cc)
target_include_directories(googletest PRIVATE ${googletest})
target_include_directories(googletest SYSTEM PUBLIC ${googletest}/include)
target_compile_features(googletest PUBLIC cxx_std_20)
target_compile_options(googletest PRIVATE -w)
target_link_libraries(googletest PUBLIC Threads::Threads)
set_target_properties(googletest PROPERTIES UNITY_BUILD OFF)
add_library(googletest_main STATIC ${googletest}/src/gtest_main.cc)
target_link_libraries(googletest_main PUBLIC googletest)
set_target_properties(googletest_main PROPERTIES UNITY_BUILD OFF)
add_library(GTest::gtest ALIAS googletest)
add_library(GTest::gtest_main ALIAS googletest_main)
