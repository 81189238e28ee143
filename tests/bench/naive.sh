#!/bin/sh
# One report as one would make it by hand: the commands papermill and nbconvert for each notebook, in order.
# sh tests/bench/naive.sh DEALER, in a project folder. The page is nbconvert's own; there is no data dictionary.
set -e
umask 077
export DEALERKIT_ROOT="$PWD"
for notebook in notebooks/[0-9][0-9]-*.ipynb; do
    stage=$(basename "$notebook" .ipynb)
    export DEALERKIT_STAGE="$stage" # so the notebook saves where the next ones read, as when make runs it
    part="build/$1/.$stage.part"
    mkdir -p "$part"
    .venv/bin/papermill --no-progress-bar -p dealer "$1" -p page "$stage" "$notebook" "build/$1/$stage.ipynb"
    rm -rf "$part/spill"
    mv "$part" "build/$1/$stage"
    .venv/bin/jupyter nbconvert --to html --output-dir "reports/$1" "build/$1/$stage.ipynb"
done
