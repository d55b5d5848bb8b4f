// TLS 1.2 and 1.3 over any stream, with OpenSSL 3. CMake target event::tls.
#pragma once

#include "event/net.hpp"
#include "event/tls/connect.hpp"
#include "event/tls/context.hpp"
#include "event/tls/error.hpp"
#include "event/tls/server.hpp"
#include "event/tls/stream.hpp"
#include "event/tls/test.hpp"
