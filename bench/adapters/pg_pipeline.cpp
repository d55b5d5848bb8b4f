// A pipeline, in which each query is a transaction of its own.
#include "adapters/pg.hpp"

int main(int argc, char** argv) {
  event::Base base;
  event::co::run(base, bench::ask_all<event::pg::Pipeline>(bench::arguments(argc, argv)));
}
