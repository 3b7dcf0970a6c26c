#!/usr/bin/env bash
# Brings the libraries of the pages, at these versions, into page/lib: dash/lib.sh
#
# They are as their authors publish them, but for what makes them importable from there: hooks.js imports ./preact.js,
# uplot.js has an export, and none names a source map.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/page/lib"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

preact=11.2.0 htm=3.1.1 uplot=1.6.32
for package in preact@$preact htm@$htm uplot@$uplot; do
  tarball=$(cd "$work" && npm pack --silent "$package")
  mkdir "$work/${package%@*}"
  tar -xzf "$work/$tarball" -C "$work/${package%@*}" --strip-components=1
done

module() { # NAME VERSION LICENSE SOURCE: its first line says what it is
  printf '/*! %s %s, %s: see LICENSES.txt */\n' "$1" "$2" "$3"
  sed '/^\/\/# sourceMappingURL=/d' "$work/$4"
}
module preact "$preact" MIT preact/dist/preact.mjs >preact.js
module preact/hooks "$preact" MIT preact/hooks/dist/hooks.mjs | sed 's/from"preact"/from".\/preact.js"/' >hooks.js
module htm "$htm" Apache-2.0 htm/dist/htm.mjs >htm.js
{ module uplot "$uplot" MIT uplot/dist/uPlot.iife.min.js; echo 'export default uPlot;'; } >uplot.js
module uplot "$uplot" MIT uplot/dist/uPlot.min.css >uplot.css
for name in preact htm uplot; do
  printf '%s\n\n' "== $name ${!name} =="
  cat "$work/$name/LICENSE"
  printf '\n'
done >LICENSES.txt
