#include "tls/callbacks.hpp"

#include "tls/connection.hpp"
#include "tls/sessions.hpp"

namespace event_cpp::tls::detail {
namespace {

// Decides nothing: notes which certificate is at fault.
int note_fault(int good, X509_STORE_CTX* verification) {
  if (good == 1) return 1;
  const auto* const ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
  Connection* const connection = Wire::owner_of(ssl);
  if (connection != nullptr) {
    connection->note_fault(X509_STORE_CTX_get_current_cert(verification),
                           X509_STORE_CTX_get_error_depth(verification));
  }
  return good;
}

// A message of a handshake, or the header of a record with one.
[[gnu::noinline]] void count_message(int is_sent, bool is_record, const unsigned char* begin,
                                     std::size_t size, SSL* ssl) {
  Connection* const connection = Wire::owner_of(ssl);
  if (connection == nullptr) return;
  // With TLS 1.2 a client that has shaken hands can only ask to do so again. That is refused, and
  // if the client does not know RFC 5746, OpenSSL does not show the message.
  const bool counts_records = SSL_is_server(ssl) == 1 && SSL_version(ssl) < TLS1_3_VERSION;
  if (is_sent == 0) {
    if (counts_records == is_record) connection->note_message();
  } else if (!is_record && begin[0] == SSL3_MT_KEY_UPDATE &&
             begin[size - 1] == SSL_KEY_UPDATE_REQUESTED) {
    connection->note_request();
  }
}

// Called for each message that has come or is sent, whole: in a handshake, after it, and of other
// kinds, among which are the headers of records. Nearly all are of data.
void on_message(int is_sent, int /*version*/, int kind, const void* bytes, std::size_t size,
                SSL* ssl, void* /*unused*/) {
  const auto* const begin = static_cast<const unsigned char*>(bytes);
  const bool is_record = kind == SSL3_RT_HEADER && begin[0] == SSL3_RT_HANDSHAKE;
  if (is_record || kind == SSL3_RT_HANDSHAKE) count_message(is_sent, is_record, begin, size, ssl);
}

int on_new_session(SSL* ssl, SSL_SESSION* session) {
  Connection* const connection = Wire::owner_of(ssl);
  if (connection != nullptr) connection->keep(session);
  return 0;  // it was copied
}

// Of a server: a ticket is made.
int on_new_ticket(SSL* ssl, void* /*unused*/) {
  note_end(ssl, SSL_get_session(ssl));
  return 1;
}

// Of a server: a ticket has come, and `status` says whether it is one of ours.
SSL_TICKET_RETURN on_given_ticket(SSL* /*ssl*/, SSL_SESSION* session, const unsigned char* /*name*/,
                                  std::size_t /*size*/, SSL_TICKET_STATUS status,
                                  void* /*unused*/) {
  const bool is_good = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
  if (!is_good || !holds(session)) return SSL_TICKET_RETURN_IGNORE_RENEW;
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

int on_name(SSL* ssl, int* alert, void* /*unused*/) {
  Connection* const connection = Wire::owner_of(ssl);
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr || connection == nullptr) return SSL_TLSEXT_ERR_NOACK;
  if (connection->show_certificate(name)) return SSL_TLSEXT_ERR_OK;
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
              EVP_MAC_CTX* mac, int makes) {
  Connection* const connection = Wire::owner_of(ssl);
  return connection != nullptr ? connection->prepare_ticket(name, iv, cipher, mac, makes != 0) : 0;
}

}  // namespace

void set_client_callbacks(SSL_CTX* context, bool verifies) noexcept {
  SSL_CTX_set_verify(context, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                     verifies ? &note_fault : nullptr);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, &on_new_session);
}

void set_server_callbacks(SSL_CTX* context, Ask client) noexcept {
  int mode = SSL_VERIFY_NONE;
  if (client != Ask::no) mode = SSL_VERIFY_PEER;
  if (client == Ask::required) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(context, mode, client != Ask::no ? &note_fault : nullptr);
  SSL_CTX_set_tlsext_servername_callback(context, &on_name);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &on_ticket);
  SSL_CTX_set_session_ticket_cb(context, &on_new_ticket, &on_given_ticket, nullptr);
}

void count_messages(SSL* ssl) noexcept { SSL_set_msg_callback(ssl, &on_message); }

}  // namespace event_cpp::tls::detail
