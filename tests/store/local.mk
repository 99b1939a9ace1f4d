# SPDX-License-Identifier: Apache-2.0
if HAVE_CMOCKA
check_LIBRARIES += tests/store/librig.a
tests_store_librig_a_SOURCES = tests/store/rig.h tests/store/rig.c tests/store/cases.h tests/store/cases.c

STORE_TEST_LIBS = tests/store/librig.a volume/libvolume.a target/loop/libloop.a common/libcommon.a \
	$(DEVMAPPER_LIBS) $(URING_LIBS) $(AIO_LIBS) $(ISAL_LIBS) $(CRYPTO_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/store/test_store tests/store/test_open tests/store/test_layers tests/store/test_meta tests/store/test_crypt tests/store/test_limit \
	tests/store/test_limit_threads
tests_store_test_store_SOURCES = tests/store/test_store.c
tests_store_test_store_LDADD = $(STORE_TEST_LIBS)
tests_store_test_open_SOURCES = tests/store/test_open.c
tests_store_test_open_LDADD = $(STORE_TEST_LIBS)
tests_store_test_layers_SOURCES = tests/store/test_layers.c
tests_store_test_layers_LDADD = $(STORE_TEST_LIBS)
tests_store_test_meta_SOURCES = tests/store/test_meta.c
tests_store_test_meta_LDADD = $(STORE_TEST_LIBS)
tests_store_test_crypt_SOURCES = tests/store/test_crypt.c
tests_store_test_crypt_LDADD = $(STORE_TEST_LIBS)
tests_store_test_limit_SOURCES = tests/store/test_limit.c
tests_store_test_limit_LDADD = $(STORE_TEST_LIBS)
tests_store_test_limit_threads_SOURCES = tests/store/test_limit_threads.c
tests_store_test_limit_threads_LDADD = $(STORE_TEST_LIBS)

check_LIBRARIES += tests/store/libpoolrig.a
tests_store_libpoolrig_a_SOURCES = tests/store/pool_rig.h tests/store/pool_rig.c
check_PROGRAMS += tests/store/test_pool tests/store/test_pool_faults tests/store/test_pool_policy tests/store/test_pool_claim tests/store/test_pool_says
tests_store_test_pool_says_SOURCES = tests/store/test_pool_says.c
tests_store_test_pool_says_LDADD = $(STORE_TEST_LIBS)
tests_store_test_pool_claim_SOURCES = tests/store/test_pool_claim.c
tests_store_test_pool_claim_LDADD = $(STORE_TEST_LIBS)
tests_store_test_pool_policy_SOURCES = tests/store/test_pool_policy.c
tests_store_test_pool_policy_LDADD = $(STORE_TEST_LIBS)
# For tests/vm/pools.py: one verb in a machine.
noinst_PROGRAMS += tests/store/poolctl
tests_store_poolctl_SOURCES = tests/store/poolctl.c
tests_store_poolctl_LDADD = volume/libvolume.a target/loop/libloop.a common/libcommon.a \
	$(DEVMAPPER_LIBS) $(URING_LIBS) $(AIO_LIBS) $(ISAL_LIBS) $(CRYPTO_LIBS)
tests_store_test_pool_SOURCES = tests/store/test_pool.c
tests_store_test_pool_LDADD = tests/store/libpoolrig.a $(STORE_TEST_LIBS)
tests_store_test_pool_faults_SOURCES = tests/store/test_pool_faults.c
tests_store_test_pool_faults_LDADD = tests/store/libpoolrig.a $(STORE_TEST_LIBS)
endif
