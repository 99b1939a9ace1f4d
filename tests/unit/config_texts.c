// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/config_texts.h"

#include "common/own.h"

#include <stdio.h>
#include <string.h>

/* libconfig 1.5 loses the text at which it finds broken syntax. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

struct config *good(const char *text)
{
	struct cfg_error errors[MAX_ERRORS];
	unsigned count = 99;
	struct config *cfg = cfg_read_text(text, strlen(text), "t", errors, MAX_ERRORS, &count);

	if (count)
		print_message("# %s\n", errors[0].text);
	assert_int_equal(count, 0);
	assert_non_null(cfg);
	return cfg;
}

void bad(const char *text, const char *want)
{
	struct cfg_error errors[MAX_ERRORS];
	unsigned count = 0;
	char got[sizeof errors + MAX_ERRORS] = "";
	struct config *cfg = cfg_read_text(text, strlen(text), "t", errors, MAX_ERRORS, &count);

	assert_null(cfg);
	assert_in_range(count, 1, MAX_ERRORS);
	for (unsigned i = 0; i < count; i++) {
		strcat(got, errors[i].text);
		strcat(got, "\n");
	}
	assert_string_equal(got, want);
}

void bad_in(const char *form, const char *part, const char *want)
{
	size_t front = strcspn(form, "@");
	char *text own_free = own_printf("%.*s%s%s", (int)front, form, part, form + front + 1);

	bad(text, want);
}

char folder[] = "kura-test-config.XXXXXX";

int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static const char *const names[] = { "main.conf", "made.conf", "a.conf", "sub/b.conf", "sub" };

int remove_folder(void **state)
{
	(void)state;
	for (size_t i = 0; i < own_array_len(names); i++) {
		char *path own_free = own_printf("%s/%s", folder, names[i]);

		(void)remove(path);
	}
	return rmdir(folder);
}

void write_file(const char *name, const char *text)
{
	char *path own_free = own_printf("%s/%s", folder, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

struct config *read_main(unsigned want, const char *message)
{
	char *path own_free = own_printf("%s/main.conf", folder);
	struct cfg_error errors[MAX_ERRORS];
	unsigned count = 0;
	struct config *cfg = cfg_read(path, errors, MAX_ERRORS, &count);

	assert_int_equal(count, want);
	if (want)
		assert_string_equal(errors[0].text + strlen(folder) + 1, message);
	return cfg;
}
