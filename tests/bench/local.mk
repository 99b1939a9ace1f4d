# SPDX-License-Identifier: Apache-2.0
noinst_PROGRAMS += tests/bench/kura-bench
tests_bench_kura_bench_SOURCES = tests/bench/kura-bench.c \
	tests/bench/opts.h tests/bench/opts.c tests/bench/hist.h tests/bench/hist.c \
	tests/bench/crc.h tests/bench/crc.c tests/bench/stamp.h tests/bench/stamp.c \
	tests/bench/tx.h tests/bench/tx.c tests/bench/sess.h tests/bench/sess.c \
	tests/bench/login.c tests/bench/xfer.c tests/bench/disk.c \
	tests/bench/load.h tests/bench/lane.c tests/bench/worker.c \
	tests/bench/run.h tests/bench/run.c tests/bench/report.h tests/bench/report.c

if HAVE_CMOCKA
check_PROGRAMS += tests/bench/test_parts
tests_bench_test_parts_SOURCES = tests/bench/test_parts.c \
	tests/bench/hist.c tests/bench/crc.c tests/bench/stamp.c tests/bench/tx.c
tests_bench_test_parts_LDADD = $(CMOCKA_LIBS)
endif

# The data check under load; kurad and the generator of the same tree.
TESTS += tests/bench/selftest.py
