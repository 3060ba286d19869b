#!/usr/bin/env bash
# Checks the documentation: every link and every path that it names is there, and the book has every
# page. With a program (`docs/check.sh target/release/pemm`) also: every command, option, preset,
# method, parameter and key of the program is documented, and none is that the program does not have.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
failed=0
fail() { printf 'docs: %s\n' "$*" >&2; failed=1; }
# Readme and pages, not the list of pages itself.
mapfile -t pages < <(printf '%s\n' README.md; find docs -name '*.md' ! -name SUMMARY.md | sort)

# The anchor that GitHub and mdBook make of a heading.
anchors() {
    sed -n '/^```/,/^```/d; s/^##* //p' "$1" | sed 's/`//g; s/\[\([^]]*\)\]([^)]*)/\1/g' |
        awk '{ print tolower($0) }' | sed 's/[^[:alnum:] _-]//g; s/ /-/g'
}

for page in "${pages[@]}" docs/SUMMARY.md; do
    folder=$(dirname "$page")
    # Links and pictures, outside of code.
    while IFS= read -r target; do
        case $target in http://* | https://* | mailto:*) continue ;; esac
        file=${target%%#*} anchor=
        [[ $target == *'#'* ]] && anchor=${target#*#}
        path=$page
        [ -n "$file" ] && path=$folder/$file
        [ -e "$path" ] || { fail "$page: no file $target"; continue; }
        [[ -z $anchor || $path != *.md ]] || grep -qxF -- "$anchor" <(anchors "$path") ||
            fail "$page: no heading $target"
    done < <(sed '/^```/,/^```/d' "$page" | sed 's/`[^`]*`//g' | grep -oE '\]\([^)]+\)' | sed 's/^](//; s/)$//' || true)
    # Paths of the repository, in code.
    while IFS= read -r path; do
        [ -e "$path" ] || compgen -G "$path" >/dev/null || fail "$page: no path $path"
    done < <(grep -oE '\b(bench|crates|experiments|records|docs)/[[:alnum:]_./*-]*[[:alnum:]_*/-]' "$page" | sort -u || true)
done

for page in "${pages[@]}"; do
    [ "$page" = README.md ] || grep -qF "(${page#docs/})" docs/SUMMARY.md || fail "docs/SUMMARY.md: $page is missing"
done

lines=$(wc -l <README.md)
[ "$lines" -le 150 ] || fail "README.md has $lines lines; the rest belongs to docs/ (at most 150)"

if [ $# -gt 0 ]; then
    pemm=$(realpath "$1")
    all=$(cat "${pages[@]}")
    documented() { grep -qF -- "\`$1\`" <<<"$all" || fail "$2 $1 of the program is not documented"; }

    # Names from `pemm methods --json`: presets, methods, parameters.
    methods=$("$pemm" methods --json)
    names=$(grep -oE '"(name|key)": ?"[^"]+"' <<<"$methods" | sed 's/.*"\([^"]*\)"$/\1/; s/.*\.//' | sort -u)
    while IFS= read -r name; do documented "$name" "the name"; done <<<"$names"

    # Every key of an experiment.
    keys=$("$pemm" explain digits --quiet | sed -n 's/^\([a-z_0-9]*\) = .*/\1/p' | sort -u)
    while IFS= read -r key; do documented "$key" "the key"; done <<<"$keys"

    # Every command, and every option that a page names.
    commands=$("$pemm" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | grep -v '^help$')
    for command in $commands; do documented "pemm $command" "the command"; done
    options=$(for command in $commands "energy curve" "energy settle" "energy compare" "data info" "data fetch"; do
        # shellcheck disable=SC2086 # of two words
        "$pemm" $command --help | grep -oE -- '--[a-z][a-z-]+'
    done | sort -u)
    while IFS= read -r option; do
        grep -qxF -- "$option" <<<"$options" || fail "no command has the option $option"
    done < <(grep -hE '`[^`]*--|^pemm ' "${pages[@]}" | grep -v cargo | grep -oE -- '(^|[ `(])--[a-z][a-z-]+' | sed 's/^[ `(]*//' | sort -u)

    # Presets that an example names.
    while IFS= read -r preset; do
        grep -qxF "$preset" <<<"$names" || fail "there is no preset $preset"
    done < <(grep -ohE -- '--preset [a-z-]+' "${pages[@]}" | sed 's/--preset //' | grep -v '^[A-Z]' | sort -u)
fi

[ "$failed" -eq 0 ] && echo "docs: links, paths and names are right"
exit "$failed"
