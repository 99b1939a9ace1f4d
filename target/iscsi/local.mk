# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += target/iscsi/libiscsit.a
target_iscsi_libiscsit_a_SOURCES = target/iscsi/pdu.h target/iscsi/opcodes.def target/iscsi/iscsi.h \
	target/iscsi/conn.h target/iscsi/conn_fsm.def target/iscsi/session.h \
	target/iscsi/arrive.h target/iscsi/arrive.c target/iscsi/conn.c \
	target/iscsi/conn_watch.c target/iscsi/conn_rx.c target/iscsi/conn_tx.c \
	target/iscsi/session.c target/iscsi/member.c target/iscsi/join.c target/iscsi/ack.c target/iscsi/window.c \
	target/iscsi/registry.c target/iscsi/server.c target/iscsi/look.h target/iscsi/look.c \
	target/iscsi/command.c target/iscsi/dataout.c target/iscsi/nop.c target/iscsi/tmf.c \
	target/iscsi/logout.c target/iscsi/login.h target/iscsi/login_guts.h target/iscsi/login.c target/iscsi/login_text.c target/iscsi/login_chap.h \
	target/iscsi/catalogue.h target/iscsi/catalogue.c target/iscsi/round.c \
	target/iscsi/login_chap.c target/iscsi/login_guard.h target/iscsi/login_guard.c \
	target/iscsi/binary.h target/iscsi/binary.c target/iscsi/keys.h target/iscsi/keys.def \
	target/iscsi/keys.c target/iscsi/text.c target/iscsi/access.h target/iscsi/access.c

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_access tests/unit/test_chap tests/unit/test_keys tests/unit/test_login tests/unit/test_text
tests_unit_test_access_SOURCES = tests/unit/test_access.c tests/unit/talk.c tests/unit/talk.h
tests_unit_test_access_LDADD = target/iscsi/libiscsit.a common/libcommon.a $(ISAL_LIBS) $(CRYPTO_LIBS) $(CMOCKA_LIBS)
tests_unit_test_chap_SOURCES = tests/unit/test_chap.c
tests_unit_test_chap_LDADD = target/iscsi/libiscsit.a common/libcommon.a $(ISAL_LIBS) $(CRYPTO_LIBS) $(CMOCKA_LIBS)
tests_unit_test_keys_SOURCES = tests/unit/test_keys.c
tests_unit_test_keys_LDADD = target/iscsi/libiscsit.a common/libcommon.a $(ISAL_LIBS) $(CRYPTO_LIBS) $(CMOCKA_LIBS)
tests_unit_test_login_SOURCES = tests/unit/test_login.c tests/unit/talk.c tests/unit/talk.h
tests_unit_test_login_LDADD = target/iscsi/libiscsit.a common/libcommon.a $(ISAL_LIBS) $(CRYPTO_LIBS) $(CMOCKA_LIBS)
tests_unit_test_text_SOURCES = tests/unit/test_text.c tests/unit/talk.c tests/unit/talk.h
tests_unit_test_text_LDADD = target/iscsi/libiscsit.a common/libcommon.a $(ISAL_LIBS) $(CRYPTO_LIBS) $(CMOCKA_LIBS)
endif
