#!/usr/bin/env bash
# All that guards a change, and then the slow rest, with one summary at the end. Goes on after a failure.
# Run it before a change of more than a few lines is called done. The steps are listed in .ci/run.
exec bash "$(dirname "${BASH_SOURCE[0]}")/../.ci/run" --all
