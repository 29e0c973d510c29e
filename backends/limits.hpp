// What strangers are granted at each door: how many they may be, how much they may send, how long they may take. docs/security.md has the
// reasons; tests/hostile holds a running node to these figures, its memory to `most_memory`, and its doors to serving others meanwhile.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace souk {

namespace http {

struct server_limits {
    std::size_t connections = 4096;          // in all; more are accepted and closed at once
    std::size_t connections_per_peer = 1024; // one address
    std::size_t head_bytes = 48 * 1024;      // a payment header is up to 16 KiB
    std::size_t body_bytes = 1 << 20;
    std::chrono::milliseconds head_within{10'000}, body_within{30'000}, idle{60'000}, write_within{30'000};
    std::chrono::milliseconds handshake_within{5'000};
    std::chrono::milliseconds answer_within{120'000}; // a handler that never answers becomes a 504
    std::size_t streams = 2048;                       // WebSocket readers: half of the places are always left to those who ask
    std::size_t streams_per_peer = 512;               // when all are taken, the address that holds most of them gives up its oldest
    std::size_t stream_queue_bytes = 4 << 20;         // to one reader; a slower one is cut off
    std::size_t stream_total_bytes = 64 << 20;        // to all of them; more, and those who hold most are cut off. It is a page of a record
                                                      // stream for every second one; what is published now is held once for all
    std::size_t stream_kernel_bytes = 64 * 1024;      // of the kernel's memory for one (it takes twice that); else megabytes, for who never reads
    std::chrono::milliseconds stream_write_within{15'000}; // one text, beyond what the kernel holds; the largest record is 3 MiB of it
    std::size_t stream_message_bytes = 4 * 1024;      // from one: a reader has little to say
};

} // namespace http

namespace tunnel {

struct broker_limits {
    std::chrono::milliseconds login{10'000}, head{10'000}, open{10'000}, linger{10'000}, idle_ping{15'000}, dead{45'000}, idle_visitor{120'000};
    std::size_t pending_logins = 256, pending_logins_per_peer = 64, auth_tries = 8, labels = 16, channels = 1024;
    std::size_t head_bytes = 16 * 1024, to_client_bytes = 512 * 1024, tunnels = 10'000, tunnels_per_handle = 64;
    std::size_t visitors = 10'000, visitors_per_peer = 4096;
};

} // namespace tunnel

struct cluster_limits {
    std::uint32_t frame_bytes = 4u << 20;
    std::size_t unsent_bytes = 256u << 20; // waiting for one peer to take them; more and the link is cut
    std::size_t handshakes = 32;           // under way at once
    std::size_t links = 256;
    std::size_t links_per_address = 64;
    std::chrono::milliseconds handshake_within{5'000}, dial_within{5'000};
    std::chrono::milliseconds heartbeat{1'000}, lost_after{5'000};
    std::chrono::milliseconds redial_first{250}, redial_at_most{10'000};
    std::size_t pending = 10'000; // requests under way to one remote role; more are failed at once
    std::chrono::milliseconds longest_request{60'000};
};

// What 10,000 strangers at one door, who say nothing, or little, or nonsense, may cost a node that runs, in bytes: by door.
struct most_memory {
    std::size_t http = 48u << 20, cluster = 8u << 20, ssh = 16u << 20, https = 160u << 20;
    std::size_t http_secured = 128u << 20, https_secured = 320u << 20; // the same with TLS up, or on the way there
    std::size_t readers = 128u << 20;                                  // as many readers as are let in, none of whom reads
};

} // namespace souk
