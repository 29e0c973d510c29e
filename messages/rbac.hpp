// com.fedproxy.rbac: who may do what with a workload token. Refusal by default; issuer, audience and subject are matched together.
#pragma once
#include <souk/messages/records.hpp>

namespace souk {

struct workload_grant { // what Alice writes for one lease
    std::string issuer;   // wif.issuer_uri
    std::string audience; // "api://ATProto?actx=<alice>"
    std::string subject;  // rendered
    std::string repository;
    std::string collection;             // the one kind of record
    std::optional<std::string> service; // record.service must be this; absent: any (the guest chooses its own)
    std::string name;                   // of the role
};
rbac rbac_for(const workload_grant&, std::string created_at);

// Renders a subject template: {actx}, {did-plc-key}, {role}. A part outside [A-Za-z0-9._-] is refused: "bad_subject_part".
// {did-plc-key} is a did:plc's own identifier; of any other DID, 24 characters of base32 of its SHA-256, which has that shape.
result<std::string> render_subject(std::string_view pattern, std::string_view actx, std::string_view did, std::string_view role);

struct request_shape {
    std::string path;       // "/xrpc/com.atproto.repo.createRecord"
    std::string capability; // "create"
    value body;
};
// Allowed when some role of some record matches (iss, aud, sub) exactly and one of its policies, of the same record, has a schema
// for the path that the instance {capability, body} satisfies. A schema's path is exact, or has "*" after its start; the exact one,
// else the longest that matches counts. The schema language is draft-07's type, const, enum, required, properties,
// additionalProperties and items (annotations may stand); any other keyword refuses. Codes "no_role", "no_policy", "schema" (the
// text begins with the path of what failed).
result<void> allows(const std::vector<rbac>&, std::string_view issuer, std::string_view audience, std::string_view subject,
                    const request_shape&);

} // namespace souk
