# Sourced by the scripts that measure, in the root of the repository, once $out is set.

hierarchy=.venv/bin/hierarchy
mkdir -p "$out"

# An evaluation into $out/NAME.json, which goes on where it was interrupted; not if it is there.
evaluated() { # NAME ARGUMENTS...
    name=$1
    shift
    [ -e "$out/$name.json" ] && return
    echo "== $name"
    "$hierarchy" evaluate --resume --json "$out/$name.json" "$@" 2>"$out/$name.log"
}

# The same by the flat policy. It never says that it is done, and has all the time there is.
evaluated_flat() { # NAME ARGUMENTS...
    evaluated "$@" --policy flat --until-done --controller-option done_threshold=1.0 \
        --controller-option "weights=${FLAT:-benchmarks/flat/controller.safetensors}" \
        --controller-option time_limit=120
}
