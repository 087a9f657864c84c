#!/bin/sh
# nexus pre-commit hook, written by `cargo xtask hooks install`.
# It checks what the commit changes and nothing else; `git commit --no-verify` goes past it.
set -u
root=$(git rev-parse --show-toplevel) || exit 2
cd "$root" || exit 2

changed=$(git -c core.quotePath=off diff --cached --name-only)
[ -n "$changed" ] || exit 0
failed=0

# Of Rust files the staged text is read, not the file: half a file may be staged.
unformatted=$(git -c core.quotePath=off diff --cached --name-only --diff-filter=ACMR -- '*.rs' | while IFS= read -r file; do
    # From its standard input rustfmt tells a difference, and still ends with 0.
    told=$(git show ":$file" | rustfmt --edition 2024 --check 2>&1) && [ -z "$told" ] || printf '  %s\n' "$file"
done)
if [ -n "$unformatted" ]; then
    printf 'not as rustfmt has it:\n%s\nhint: cargo fmt, then stage the files again\n' "$unformatted" >&2
    failed=1
fi

# Git's own variables name the index of this commit and would lead the programs below astray.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX

case "$changed" in
    *policies/*) cargo xtask policy test >&2 || failed=1 ;;
esac
cargo xtask policy check --changed >&2 || failed=1

exit "$failed"
