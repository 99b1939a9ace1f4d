# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += target/loop/libloop.a
target_loop_libloop_a_SOURCES = target/loop/loop.h target/loop/loop.c target/loop/loop_engine.h \
	target/loop/loop_buf.c target/loop/loop_timer.c target/loop/loop_aio.c \
	target/loop/loop_sim.h target/loop/loop_sim.c target/loop/slow.h target/loop/slow.c
if HAVE_LIBURING
target_loop_libloop_a_SOURCES += target/loop/loop_uring.c
endif

if HAVE_CMOCKA
LOOP_TEST_LIBS = target/loop/libloop.a common/libcommon.a $(URING_LIBS) $(AIO_LIBS) $(ISAL_LIBS) \
	$(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test_loop tests/unit/test_loop_base tests/unit/test_loop_file
tests_unit_test_loop_SOURCES = tests/unit/test_loop.h tests/unit/test_loop.c
tests_unit_test_loop_LDADD = $(LOOP_TEST_LIBS)
tests_unit_test_loop_base_SOURCES = tests/unit/test_loop.h tests/unit/test_loop_base.c
tests_unit_test_loop_base_LDADD = $(LOOP_TEST_LIBS)
tests_unit_test_loop_file_SOURCES = tests/unit/test_loop.h tests/unit/test_loop_file.c
tests_unit_test_loop_file_LDADD = $(LOOP_TEST_LIBS)
endif
