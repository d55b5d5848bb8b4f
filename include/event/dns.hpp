// Name resolution (DNS) without threads. CMake target event::dns.
#pragma once

#include "event/dns/error.hpp"
#include "event/dns/options.hpp"
#include "event/dns/resolver.hpp"
#include "event/dns/test.hpp"
#include "event/net.hpp"
