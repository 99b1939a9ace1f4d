# SPDX-License-Identifier: Apache-2.0
# libFuzzer programs, built by configure --enable-fuzzers with clang; run.sh runs them.
EXTRA_DIST += \
	tests/fuzz/run.sh \
	tests/fuzz/talk_seeds.py \
	tests/fuzz/corpus

if ENABLE_FUZZERS
noinst_PROGRAMS += \
	tests/fuzz/fuzz_cdb \
	tests/fuzz/fuzz_config \
	tests/fuzz/fuzz_pdu \
	tests/fuzz/fuzz_talk \
	tests/fuzz/fuzz_text

tests_fuzz_fuzz_cdb_SOURCES = tests/fuzz/fuzz.h tests/fuzz/world.h tests/fuzz/world.c \
	tests/fuzz/fuzz_cdb.c
tests_fuzz_fuzz_cdb_LDADD = $(KURA_LIBS)
tests_fuzz_fuzz_cdb_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_config.c
tests_fuzz_fuzz_config_LDADD = $(KURA_LIBS)
tests_fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

tests_fuzz_fuzz_pdu_SOURCES = tests/fuzz/fuzz.h tests/fuzz/world.h tests/fuzz/world.c \
	tests/fuzz/fuzz_pdu.c
tests_fuzz_fuzz_pdu_LDADD = $(KURA_LIBS)
tests_fuzz_fuzz_pdu_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

tests_fuzz_fuzz_talk_SOURCES = tests/fuzz/fuzz.h tests/fuzz/world.h tests/fuzz/talk_conn.h \
	tests/fuzz/talk_keys.def tests/fuzz/talk_world.c tests/fuzz/talk_login.c \
	tests/fuzz/talk_send.c tests/fuzz/talk_check.c tests/fuzz/talk_mutate.c \
	tests/fuzz/fuzz_talk.c
tests_fuzz_fuzz_talk_LDADD = $(KURA_LIBS)
tests_fuzz_fuzz_talk_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

tests_fuzz_fuzz_text_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_text.c
tests_fuzz_fuzz_text_LDADD = $(KURA_LIBS)
tests_fuzz_fuzz_text_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
endif
