# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += config/libconfigkura.a
config_libconfigkura_a_SOURCES = config/config.h config/config_read.c config/config_write.c config/object.h config/object.c config/keys.def config/keys.h \
	config/keys.c config/value.h config/value.c config/value_net.c config/iscsi_name.c config/text.h config/text.c \
	config/report.h config/report.c config/check.c config/check_auth.c config/secret.h config/secret.c
config_libconfigkura_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBCONFIG_CFLAGS)

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_config tests/unit/test_config_access tests/unit/test_config_object
tests_unit_test_config_object_SOURCES = tests/unit/test_config_object.c \
	tests/unit/config_texts.h tests/unit/config_texts.c
tests_unit_test_config_object_LDADD = config/libconfigkura.a common/libcommon.a $(LIBCONFIG_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_test_config_access_SOURCES = tests/unit/test_config_access.c \
	tests/unit/config_texts.h tests/unit/config_texts.c
tests_unit_test_config_access_LDADD = config/libconfigkura.a common/libcommon.a $(LIBCONFIG_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_test_config_SOURCES = tests/unit/test_config.c tests/unit/config_texts.h \
	tests/unit/config_texts.c
tests_unit_test_config_LDADD = config/libconfigkura.a common/libcommon.a $(LIBCONFIG_LIBS) \
	$(CMOCKA_LIBS)
endif
