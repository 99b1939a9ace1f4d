# SPDX-License-Identifier: Apache-2.0
# The golden conversations need a kurad, so `./dev check` runs them; their own parts do not.
TESTS += tests/wire/selftest.py
EXTRA_DIST += \
	tests/lib/kurad.py \
	tests/lib/tapout.py \
	tests/wire/README.md \
	tests/wire/chap.py \
	tests/wire/conv.py \
	tests/wire/match.py \
	tests/wire/pdu.py \
	tests/wire/peer.py \
	tests/wire/play.py \
	tests/wire/run.py \
	tests/wire/selftest.py \
	tests/wire/default.conf \
	tests/wire/access.conv \
	tests/wire/broken.conv \
	tests/wire/chap.conv \
	tests/wire/crowd.conv \
	tests/wire/digest.conv \
	tests/wire/errors.conv \
	tests/wire/full.conv \
	tests/wire/idle.conv \
	tests/wire/letter.conv \
	tests/wire/limits.conv \
	tests/wire/login.conv \
	tests/wire/logout.conv \
	tests/wire/mcs.conv \
	tests/wire/memory.conv \
	tests/wire/negotiate.conv \
	tests/wire/nop.conv \
	tests/wire/nopin.conv \
	tests/wire/read.conv \
	tests/wire/redirect.conv \
	tests/wire/reject.conv \
	tests/wire/session.conv \
	tests/wire/slow.conv \
	tests/wire/stop.conv \
	tests/wire/text.conv \
	tests/wire/tmf.conv \
	tests/wire/window.conv \
	tests/wire/write.conv
