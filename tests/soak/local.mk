# SPDX-License-Identifier: Apache-2.0
# Run by `./dev soak`, and in its short form by `./dev check`; it needs a kurad.
EXTRA_DIST += \
	tests/soak/soak.py
