# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += common/libcommon.a
common_libcommon_a_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS)
common_libcommon_a_SOURCES = common/be.h common/span.h common/list.h common/own.h common/own.c \
	common/log.h common/log.c common/stat.h common/stat.def common/stat.c \
	common/crc32c.h common/crc32c.c common/secret.h common/secret.c common/file.h common/file.c common/near.h common/near.c common/size.h common/size.c \
	common/crypto.h common/crypto.c

common_libcommon_a_SOURCES += common/fault.h common/fault.def common/fault.c \
	common/exec.h common/exec.c

common_libcommon_a_SOURCES += common/deadline.h common/hist.h common/hist.c common/trace.h common/trace.def \
	common/trace.c

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_common
tests_unit_test_common_SOURCES = tests/unit/test_common.c
tests_unit_test_common_LDADD = common/libcommon.a $(ISAL_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test_crypto
tests_unit_test_crypto_SOURCES = tests/unit/test_crypto.c
tests_unit_test_crypto_LDADD = common/libcommon.a $(CRYPTO_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test_trace
tests_unit_test_trace_SOURCES = tests/unit/test_trace.c
tests_unit_test_trace_LDADD = common/libcommon.a $(CMOCKA_LIBS)
endif
