# SPDX-License-Identifier: Apache-2.0
sbin_PROGRAMS += kurad
kurad_SOURCES = target/main.c target/run.h target/run.c target/server.h target/server.c target/apply.h target/apply.def \
	target/apply_guts.h target/apply.c target/apply_plan.c target/apply_report.c \
	target/storage.h target/storage_guts.h target/storage.c target/ports.c target/change.c \
	target/errand.h target/errand.c target/server_guts.h target/guests.h target/guests.c target/check.h target/check.c target/check_box.c target/check_files.c \
	target/check_served.c target/rest.h target/rest.c target/reserved.h target/reserved.c target/offer.h target/offer.c target/door.h target/door.c target/listen.h \
	target/listen.c target/watch.h target/watch.c target/notify.h target/notify.c \
	target/ctl/ctl.h target/ctl/ctl.c target/ctl/rpc.c target/ctl/call.h target/ctl/call.c \
	target/ctl/job.h target/ctl/job.c target/ctl/verbs.h target/ctl/verbs.c \
	target/ctl/verb_look.c target/ctl/edit.h target/ctl/edit.c target/ctl/verb_target.c \
	target/ctl/verb_lun.c target/ctl/verb_host.c target/ctl/verb_portal.c target/ctl/verb_share.c \
	target/ctl/verb_apply.c target/ctl/verb_check.c target/ctl/verb_rest.c target/ctl/verb_session.c target/ctl/verb_reservation.c
kurad_SOURCES += target/pools.h target/pools_guts.h target/pools.c target/pools_level.c target/doing.h target/doing.c target/tend.h target/tend.c target/hold.c \
	target/ctl/volumes.h target/ctl/volumes.c target/ctl/verb_pool.c target/ctl/verb_volume.c \
	target/ctl/verb_limit.c target/ctl/verb_resize.c target/ctl/verb_snapshot.c target/ctl/verb_image.c target/ctl/image.h target/ctl/image.c
if HAVE_ISNS
kurad_SOURCES += target/isns.h target/isns.c target/isns_list.h target/isns_list.c \
	target/isns_msg.h target/isns_msg.c
endif
kurad_SOURCES += target/survey.h target/survey.c target/scrape.h target/scrape.c target/metrics_text.h target/metrics_text.c \
	target/ctl/verb_stats.c target/ctl/verb_trace.c
if HAVE_MICROHTTPD
kurad_SOURCES += target/metrics.h target/metrics.c
endif
kurad_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS) $(MICROHTTPD_CFLAGS)
kurad_LDADD = rpc/librpc.a $(KURA_LIBS) $(JANSSON_LIBS) $(MICROHTTPD_LIBS)

# They start the kurad of the same tree.
TESTS += tests/unit/test_server.py tests/unit/test_fencing.py tests/unit/test_atomic.py tests/unit/test_mcs.py tests/unit/test_apply.py
tests/unit/test_server.log tests/unit/test_fencing.log tests/unit/test_atomic.log tests/unit/test_mcs.log tests/unit/test_apply.log: kurad$(EXEEXT)
EXTRA_DIST += tests/lib/initiator.py tests/lib/guest.py
TESTS += tests/unit/test_metrics.py tests/unit/test_events.py
tests/unit/test_metrics.log tests/unit/test_events.log: kurad$(EXEEXT) kura$(EXEEXT)

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_watch
tests_unit_test_watch_SOURCES = tests/unit/test_watch.c target/watch.c
tests_unit_test_watch_LDADD = target/loop/libloop.a common/libcommon.a $(URING_LIBS) $(AIO_LIBS) \
	$(CMOCKA_LIBS)
if HAVE_ISNS
check_PROGRAMS += tests/unit/test_isns
tests_unit_test_isns_SOURCES = tests/unit/test_isns.c target/isns.c target/isns_list.c \
	target/isns_msg.c
tests_unit_test_isns_LDADD = common/libcommon.a $(CMOCKA_LIBS)
endif
endif
