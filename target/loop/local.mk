# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += target/loop/libloop.a
target_loop_libloop_a_SOURCES = target/loop/loop.h target/loop/loop.c target/loop/loop_engine.h \
	target/loop/loop_buf.c target/loop/loop_timer.c target/loop/loop_aio.c \
	target/loop/loop_sim.h target/loop/loop_sim.c target/loop/slow.h target/loop/slow.c
if HAVE_LIBURING
target_loop_libloop_a_SOURCES += target/loop/loop_uring.c
endif
