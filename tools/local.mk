# SPDX-License-Identifier: Apache-2.0
bin_PROGRAMS += kura
kura_SOURCES = tools/main.c tools/args.h tools/args.c tools/client.h tools/client.c tools/out.h \
	tools/out.c tools/fmt.h tools/fmt.c tools/help.h tools/help.c tools/complete.c tools/suggest.c tools/job.h tools/job.c \
	tools/blocks.h tools/blocks.c tools/import.h tools/import.c tools/import_tgt.c tools/import_lio.c
kura_SOURCES += tools/top.h tools/top.c tools/follow.h tools/follow.c
kura_LDADD = rpc/librpc.a config/libconfigkura.a common/libcommon.a $(LIBCONFIG_LIBS) $(ISAL_LIBS) $(JANSSON_LIBS)

TESTS += tests/unit/test_tool.py tests/unit/test_verbs.py tests/unit/test_sessions.py tests/unit/test_reservation_verbs.py
tests/unit/test_tool.log tests/unit/test_verbs.log tests/unit/test_sessions.log tests/unit/test_reservation_verbs.log: kurad$(EXEEXT) kura$(EXEEXT)
TESTS += tests/unit/test_import.py tests/unit/test_guides.py
tests/unit/test_import.log tests/unit/test_guides.log: kurad$(EXEEXT) kura$(EXEEXT)
TESTS += tests/unit/test_drain.py
tests/unit/test_drain.log: kurad$(EXEEXT) kura$(EXEEXT)
TESTS += tests/unit/test_pool_move.py
tests/unit/test_pool_move.log: kurad$(EXEEXT) kura$(EXEEXT)
TESTS += tests/unit/test_volume_limit.py
tests/unit/test_volume_limit.log: kurad$(EXEEXT) kura$(EXEEXT)

TESTS += tests/unit/test_pool_level.py
tests/unit/test_pool_level.log: kurad$(EXEEXT) kura$(EXEEXT)
TESTS += tests/unit/test_volume_verbs.py tests/unit/test_images.py
tests/unit/test_images.log: kurad$(EXEEXT) kura$(EXEEXT)
tests/unit/test_volume_verbs.log: kurad$(EXEEXT) kura$(EXEEXT)
# A minute: a job of its own in ./dev check, once
EXTRA_DIST += tests/unit/test_crash.py
TESTS += tests/unit/test_durable.py
tests/unit/test_durable.log: kurad$(EXEEXT) kura$(EXEEXT)
TESTS += tests/unit/test_golden.py
tests/unit/test_golden.log: kurad$(EXEEXT) kura$(EXEEXT)
TESTS += tests/unit/test_check.py
tests/unit/test_check.log: kurad$(EXEEXT) kura$(EXEEXT)
TESTS += tests/unit/test_control.py
tests/unit/test_control.log: kurad$(EXEEXT) kura$(EXEEXT)
