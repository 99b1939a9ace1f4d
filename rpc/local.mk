# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += rpc/librpc.a
rpc_librpc_a_SOURCES = rpc/jval.h rpc/jval.c rpc/verbs.def rpc/verbs.h rpc/verbs.c rpc/check.c rpc/line.h rpc/line.c
rpc_librpc_a_SOURCES += rpc/top.h rpc/top.c
rpc_librpc_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
