// Internal. The routes of com.atproto.sync, as a repository's door has them: https://docs.bsky.app/docs/api/com-atproto-sync-get-repo and its like.
//   GET  getRepo?did&since getRecord?did&collection&rkey getBlocks?did&cids    CARs
//   GET  getLatestCommit getRepoStatus getHead listRepos listReposByCollection
//   WS   subscribeRepos?cursor
#pragma once
#include <souk/backends/http/server.hpp>
#include <souk/backends/records/repository.hpp>

namespace souk::internal {

std::optional<http::response> answer_sync(const synced_repository&, const http::request&);
std::optional<std::variant<http::stream_handler, http::response>> upgrade_sync(synced_repository&, const http::request&, std::shared_ptr<http::stream>);

} // namespace souk::internal
