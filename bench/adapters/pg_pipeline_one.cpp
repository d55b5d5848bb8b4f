// A pipeline, in which those of an iteration are one transaction.
#include "adapters/pg.hpp"

int main(int argc, char** argv) {
  event::Base base;
  event::pg::Pipeline::Options options;
  options.one_transaction_an_iteration = true;
  event::co::run(base, bench::ask_all<event::pg::Pipeline>(bench::arguments(argc, argv), options));
}
