# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += target/scsi/libscsi.a
target_scsi_libscsi_a_SOURCES = target/scsi/task.h target/scsi/port.h target/scsi/nexus.h \
	target/scsi/lun.h target/scsi/unit.h target/scsi/limits.h target/scsi/command.h \
	target/scsi/fence.h target/scsi/ghost.h target/scsi/ghost.c target/scsi/order.h target/scsi/flow.h target/scsi/flow.c target/scsi/fence.c target/scsi/order.c \
	target/scsi/cmd_compare.c target/scsi/cmd_orwrite.c target/scsi/cmd_atomic.c \
	target/scsi/cmd_prefetch.c target/scsi/sense.h target/scsi/sense.def target/scsi/commands.def target/scsi/vpd.def \
	target/scsi/modes.def target/scsi/task.c target/scsi/command.c target/scsi/sense.c \
	target/scsi/lun.c target/scsi/nexus.c target/scsi/tmf.c target/scsi/cmd_basic.c \
	target/scsi/cmd_inquiry.c target/scsi/vpd.c target/scsi/cmd_capacity.c target/scsi/cmd_lba_status.c \
	target/scsi/cmd_luns.c target/scsi/cmd_mode.c target/scsi/cmd_rw.c \
	target/scsi/cmd_verify.c target/scsi/cmd_cache.c target/scsi/cmd_unmap.c \
	target/scsi/cmd_same.c target/scsi/cmd_opcodes.c \
	target/scsi/live.h target/scsi/live.c target/scsi/copy.h target/scsi/cmd_copy.c target/scsi/copy_list.c \
	target/scsi/copy_move.c target/scsi/cmd_copy_results.c \
	target/scsi/reservation.h target/scsi/reservation_home.h target/scsi/reservation.c \
	target/scsi/reservation_state.c target/scsi/reservation_rules.c \
	target/scsi/reservation_file.c target/scsi/reservation_place.c target/scsi/transport_id.c target/scsi/cmd_pr.c \
	target/scsi/cmd_pr_in.c target/scsi/mode.h \
	target/scsi/cmd_mode_select.c target/scsi/tell.h target/scsi/tell.c \
	target/scsi/record.h target/scsi/record.c target/scsi/cmd_prevent.c \
	target/scsi/cmd_defect.c target/scsi/sanitize.h target/scsi/sanitize.c \
	target/scsi/cmd_sanitize.c target/scsi/alua.h target/scsi/cmd_alua.c \
	target/scsi/logs.def target/scsi/cmd_log.c target/scsi/self_test.h target/scsi/cmd_diag.c \
	target/scsi/cmd_buffer.c target/scsi/cmd_time.c

# It starts the kurad of the same tree.
TESTS += tests/unit/test_units.py tests/unit/test_manual.py
tests/unit/test_units.log: kurad$(EXEEXT)

if HAVE_CMOCKA
SCSI_TESTPORT = tests/unit/scsi_testport.h tests/unit/scsi_testport.c
SCSI_TEST_LIBS = target/scsi/libscsi.a volume/libvolume.a target/loop/libloop.a \
	common/libcommon.a $(DEVMAPPER_LIBS) $(URING_LIBS) $(AIO_LIBS) $(ISAL_LIBS) $(CRYPTO_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test_counts
tests_unit_test_counts_SOURCES = tests/unit/test_counts.c $(SCSI_TESTPORT)
tests_unit_test_counts_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_scsi_check
tests_unit_test_scsi_check_SOURCES = tests/unit/test_scsi_check.c $(SCSI_TESTPORT)
tests_unit_test_scsi_check_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_reservation
tests_unit_test_reservation_SOURCES = tests/unit/test_reservation.c tests/unit/pr.h \
	$(SCSI_TESTPORT)
tests_unit_test_reservation_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_reservation_matrix
tests_unit_test_reservation_matrix_SOURCES = tests/unit/test_reservation_matrix.c tests/unit/pr.h \
	$(SCSI_TESTPORT)
tests_unit_test_reservation_matrix_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_reservation_file
tests_unit_test_reservation_file_SOURCES = tests/unit/test_reservation_file.c tests/unit/pr.h \
	$(SCSI_TESTPORT)
tests_unit_test_reservation_file_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_scsi_info
tests_unit_test_scsi_info_SOURCES = tests/unit/test_scsi_info.c $(SCSI_TESTPORT)
tests_unit_test_scsi_info_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_scsi_rw
tests_unit_test_scsi_rw_SOURCES = tests/unit/test_scsi_rw.c $(SCSI_TESTPORT)
tests_unit_test_scsi_rw_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_scsi_mode
tests_unit_test_scsi_mode_SOURCES = tests/unit/test_scsi_mode.c $(SCSI_TESTPORT)
tests_unit_test_scsi_mode_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_scsi_sanitize
tests_unit_test_scsi_sanitize_SOURCES = tests/unit/test_scsi_sanitize.c $(SCSI_TESTPORT)
tests_unit_test_scsi_sanitize_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_scsi_alua
tests_unit_test_scsi_alua_SOURCES = tests/unit/test_scsi_alua.c $(SCSI_TESTPORT)
tests_unit_test_scsi_alua_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_scsi_live
tests_unit_test_scsi_live_SOURCES = tests/unit/test_scsi_live.c $(SCSI_TESTPORT)
tests_unit_test_scsi_live_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_scsi_live_threads
tests_unit_test_scsi_live_threads_SOURCES = tests/unit/test_scsi_live_threads.c
tests_unit_test_scsi_live_threads_LDADD = $(SCSI_TEST_LIBS)
COPY_RIG = tests/unit/copy_rig.h tests/unit/copy_rig.c $(SCSI_TESTPORT)
check_PROGRAMS += tests/unit/test_scsi_copy_told
tests_unit_test_scsi_copy_told_SOURCES = tests/unit/test_scsi_copy_told.c $(COPY_RIG)
tests_unit_test_scsi_copy_told_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_scsi_copy
tests_unit_test_scsi_copy_SOURCES = tests/unit/test_scsi_copy.c $(COPY_RIG)
tests_unit_test_scsi_copy_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_scsi_rest
tests_unit_test_scsi_rest_SOURCES = tests/unit/test_scsi_rest.c $(SCSI_TESTPORT)
tests_unit_test_scsi_rest_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_scsi_tmf
tests_unit_test_scsi_tmf_SOURCES = tests/unit/test_scsi_tmf.c $(SCSI_TESTPORT)
tests_unit_test_scsi_tmf_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_compare
tests_unit_test_compare_SOURCES = tests/unit/test_compare.c $(SCSI_TESTPORT)
tests_unit_test_compare_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_variable
tests_unit_test_variable_SOURCES = tests/unit/test_variable.c $(SCSI_TESTPORT)
tests_unit_test_variable_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_fence
tests_unit_test_fence_SOURCES = tests/unit/test_fence.c $(SCSI_TESTPORT)
tests_unit_test_fence_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_order
tests_unit_test_order_SOURCES = tests/unit/test_order.c $(SCSI_TESTPORT)
tests_unit_test_order_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_fence_threads
tests_unit_test_fence_threads_SOURCES = tests/unit/test_fence_threads.c
tests_unit_test_fence_threads_LDADD = $(SCSI_TEST_LIBS)
check_PROGRAMS += tests/unit/test_scsi_threads
tests_unit_test_scsi_threads_SOURCES = tests/unit/test_scsi_threads.c
tests_unit_test_scsi_threads_LDADD = $(SCSI_TEST_LIBS)
endif
