#include <souk/runtime/simulate/hazards.hpp>

#include <boost/mp11.hpp>

namespace souk::simulate {

hazards all_hazards() {
    hazards all;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<hazard>>([&](auto e) { all.insert(e.value); });
    return all;
}

result<hazards> parse_hazards(std::string_view text) {
    if (text == "all") return all_hazards();
    hazards chosen;
    if (text.empty() || text == "none") return chosen;
    for (;;) {
        const auto comma = text.find(',');
        const std::string name(text.substr(0, comma));
        hazard found{};
        if (!boost::describe::enum_from_string(name.c_str(), found)) {
            std::string known;
            for (const auto h : all_hazards()) known += (known.empty() ? "" : ", ") + name_of(h);
            return refusal{"unknown_fault", "there is no fault " + name + "; there are " + known};
        }
        chosen.insert(found);
        if (comma == text.npos) return chosen;
        text.remove_prefix(comma + 1);
    }
}

std::string name_of(hazard h) { return boost::describe::enum_to_string(h, "?"); }

} // namespace souk::simulate
