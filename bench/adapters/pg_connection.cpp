// One query after the other.
#include "adapters/pg.hpp"

int main(int argc, char** argv) {
  event::Base base;
  event::co::run(base, bench::ask_all<event::pg::Connection>(bench::arguments(argc, argv)));
}
