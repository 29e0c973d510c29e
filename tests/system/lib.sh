# What the system tests share: checks that are counted, waiting that ends, nodes with certificates of their own. Sourced; `souk` is the
# program. `dir` is made, and removed at the end with every process in `pids`; when something failed, the nodes' last words are shown.
dir=$(mktemp -d)
pids=()
count=0 failed=0
at_end() { :; } # a test's own
# Asked to, every process ends within half a minute; one that does not is a failure.
end_all() {
    local p late=
    kill "${pids[@]}" 2>/dev/null
    for _ in $(seq 150); do
        late=
        for p in "${pids[@]}"; do kill -0 "$p" 2>/dev/null && late="$late $p"; done
        [ -z "$late" ] && break
        sleep 0.2
    done
    [ -z "$late" ] || { echo "FAILED  asked to end, these do not:$late"; failed=$((failed + 1)); kill -9 $late 2>/dev/null; }
    wait 2>/dev/null
}
finish() {
    status=$?
    at_end
    end_all
    [ "$status" = 0 ] || [ "$status" = 77 ] || tail -n 15 "$dir"/*/log
    rm -rf "$dir"
    exit "$status"
}
trap finish EXIT
export ASAN_OPTIONS=log_path=$dir/found UBSAN_OPTIONS=log_path=$dir/found # should the program have sanitizers
export LSAN_OPTIONS=suppressions=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/leaks:print_suppressions=0
check() { # check WHAT CONDITION...
    count=$((count + 1))
    local what=$1; shift
    if "$@"; then echo "ok      $what"; else failed=$((failed + 1)); echo "FAILED  $what"; return 1; fi
}
verdict() { # what sanitizers say of a process they say when it ends
    end_all; pids=()
    if compgen -G "$dir/found*" > /dev/null; then failed=$((failed + 1)); head -c 5000 "$dir"/found*; fi
    echo "$((count - failed)) passed, $failed failed"
    [ "$failed" = 0 ]
}
# SECONDS CONDITION...: that long where there is nothing else to do; others run beside it, so it waits thrice as long before it gives up.
until_true() { local n=$1; shift; for _ in $(seq $((n * 15))); do "$@" && return 0; sleep 0.2; done; return 1; }
port() { local p; for _ in $(seq 100); do p=$((12000 + RANDOM % 20000)); (exec 3<>/dev/tcp/127.0.0.1/$p) 2>/dev/null || { echo $p; return; }; done; }
authority() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=test CA" -keyout "$dir/ca.key" -out "$dir/ca.crt" 2>/dev/null; }
certificate() { # NAME [MORE-ALTERNATIVE-NAMES]
    mkdir -p "$dir/$1"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$dir/$1/door.key" -out "$dir/$1/csr" 2>/dev/null
    openssl x509 -req -in "$dir/$1/csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days 2 -out "$dir/$1/door.crt" \
        -extfile <(echo "subjectAltName=DNS:$1.localhost,DNS:localhost${2:+,$2}") 2>/dev/null
}
# The first lines of a configuration; `hosts` is what DNS would say.
common() { # NAME ROLES METHOD LISTEN
    printf '[node]\nname = "%s"\nowner = "%s"\nroles = [%s]\nlog_level = "debug"\n[identity]\nmethod = "%s"\nhandle = "%s.localhost"\n' "$1" "$1" "$2" "$3" "$1"
    printf '[door]\nlisten = "%s"\npublic = "https://%s.localhost"\ncertificate = "door.crt"\nkey = "door.key"\n' "$4" "$1"
    printf '[network]\nplc_directory = "https://alice.localhost"\nauthority = "../ca.crt"\nallow_private = true\nhosts = %s\n' "$hosts"
}
start() { # NAME [COMMAND-TO-RUN-IT-WITH...]
    local name=$1; shift
    "$@" "$souk" node --config "$dir/$name/souk.toml" >> "$dir/$name/log" 2>&1 & pids+=($!); pid_of[$name]=$!
    until_true 20 "$souk" --node "$dir/$name" keys > /dev/null 2>&1
}
declare -A pid_of
alice() { "$souk" --node "$dir/alice" --json "$@"; }
bob() { "$souk" --node "$dir/bob" --json "$@"; }
phase() { alice show "$1" | jq -r '.all[0].phase'; }
phase_is() { [ "$(phase "$1")" = "$2" ]; }
