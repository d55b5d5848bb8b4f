# event_precompile(TARGETS NAME... HEADERS HEADER...): these headers are parsed once for all of these
# targets, which must be compiled with the same options.
function(event_precompile)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "TARGETS;HEADERS")
  list(POP_FRONT arg_TARGETS first)
  target_precompile_headers(${first} PRIVATE ${arg_HEADERS})
  foreach(target IN LISTS arg_TARGETS)
    target_precompile_headers(${target} REUSE_FROM ${first})
  endforeach()
endfunction()
