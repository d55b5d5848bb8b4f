# Tests of the adapters whose library is there: adapters/NAME_test.cpp and adapters/NAME_*_test.cpp are
# those of the adapter NAME.
if(EVENT_ADAPTERS)
  add_tests_of(adapters)
  get_target_property(sources adapters_tests SOURCES)
  foreach(name IN ITEMS curl glib pg redis)
    if(TARGET event_adapter_${name})
      target_link_libraries(adapters_tests PRIVATE event_adapter_${name})
    else()
      list(FILTER sources EXCLUDE REGEX "/${name}_([a-z_]*_)?test\\.cpp$")
    endif()
  endforeach()
  set_target_properties(adapters_tests PROPERTIES SOURCES "${sources}" UNITY_BUILD OFF)
endif()
