# SPDX-License-Identifier: Apache-2.0
# Run by `./dev check`; it needs a kurad and the clients of other people.
EXTRA_DIST += \
	tests/conform/clients.py \
	tests/conform/clients_auth.py \
	tests/conform/clients_isns.py \
	tests/conform/clients_libvirt.py \
	tests/conform/expected.txt \
	tests/conform/run.py
