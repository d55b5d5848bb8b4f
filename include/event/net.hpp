// Networking: addresses, streams, listeners, datagrams. Target event::net.
#pragma once

#include "event/co.hpp"
#include "event/net/address.hpp"
#include "event/net/buffered.hpp"
#include "event/net/bytes.hpp"
#include "event/net/chunk.hpp"
#include "event/net/connect.hpp"
#include "event/net/datagram.hpp"
#include "event/net/kernel.hpp"
#include "event/net/listener.hpp"
#include "event/net/memory.hpp"
#include "event/net/serve.hpp"
#include "event/net/socket.hpp"
#include "event/net/socket_stream.hpp"
#include "event/net/stream.hpp"
#include "event/net/transfer.hpp"
