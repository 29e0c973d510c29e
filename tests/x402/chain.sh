# A chain on loopback. Sourced after ../system/lib.sh, with `peers` and `here` set, and `more_contracts` where a test has its own; its node's address
# is `rpc` then.
chain() { # [BLOCK_SECONDS]
    local port; port=$(port)
    node "$here/../../deploy/contracts/compile.mjs" "$peers" "$dir/contracts" ${more_contracts:+"$more_contracts"} || exit 1
    mkfifo "$dir/chain.in"
    node "$here/chain.mjs" "$peers" "$dir/contracts" "$port" "$@" < "$dir/chain.in" > "$dir/chain.out" 2>&1 & pids+=($!)
    exec 7> "$dir/chain.in" # it ends with this
    until_true 30 grep -q ready "$dir/chain.out" || { cat "$dir/chain.out"; exit 1; }
    rpc=http://127.0.0.1:$port
}
