// Lexicons, AT Protocol's schemas (https://atproto.com/specs/lexicon): the part of the language that records are described in. Types: record,
// object, string (format, enum, const, knownValues, minLength, maxLength), integer, boolean, bytes, cid-link, array, ref, union (open or
// closed), unknown (anything at all: prices are written as numbers or texts), token; and the inputs of procedures. A keyword that is not known
// here, anywhere in a document, makes the document bad: it would have said something.
// As the language has it, fields that a lexicon does not name may be there; the structs of records.hpp say which are believed.
#pragma once
#include <map>
#include <vector>

#include <souk/messages/value.hpp>

namespace souk {

class lexicons {
public:
    // Code "bad_lexicon", with document and path: another version, an id twice, a keyword that is not known, a reference to nothing.
    static result<lexicons> of(const std::vector<value>& documents);

    bool knows(std::string_view nsid) const { return documents_.find(nsid) != documents_.end(); }
    // A record of that collection; a type that it names must be the collection's, one that it lacks is for its reader to judge.
    // Codes "unknown_lexicon", "invalid_record" with the path of what failed.
    result<void> check_record(std::string_view nsid, const value& record) const;
    // The body of a procedure's call. Codes "unknown_lexicon", "invalid_input" with the path.
    result<void> check_input(std::string_view nsid, const value& body) const;
    // What "nsid" or "nsid#name" defines; nullptr: nothing.
    const value* definition(std::string_view ref) const;

private:
    std::map<std::string, value, std::less<>> documents_; // by id
};

// Those of docs/lexicons, which are built in: of every record that this node reads or writes.
const lexicons& known_lexicons();

} // namespace souk
